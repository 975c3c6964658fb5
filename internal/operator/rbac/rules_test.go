package rbac

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/internal/golden"
)

func TestManifestUpToDate(t *testing.T) {
	want, err := Manifest()
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, filepath.Join("..", "..", "..", "deploy", "kustomize", "operator", "rbac.yaml"), string(want))
}

func TestReferenceUpToDate(t *testing.T) {
	file := filepath.Join("..", "..", "..", "docs", "kubernetes.md")
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want, ok := within(string(page), Table())
	if !ok {
		t.Fatalf("%s has no place for the table: it stands between\n%s%s", file, tableBegins, tableEnds)
	}
	golden.Check(t, file, want)
}

// What would give more than anybody asked for, or nothing at all.
func TestRulesStayNarrow(t *testing.T) {
	seen := map[string]string{}
	for _, r := range Rules() {
		for _, list := range [][]string{{r.Group}, r.Resources, r.Verbs} {
			if slices.Contains(list, "*") {
				t.Errorf("%v has a wildcard", r)
			}
		}
		if !strings.HasSuffix(strings.TrimSuffix(r.Reason, ")"), ".") {
			t.Errorf("%v has no reason", r)
		}
		for _, resource := range r.Resources {
			for _, verb := range r.Verbs {
				key := r.Group + "/" + resource + " " + verb + " " + strings.Join(r.Names, ",")
				if before, twice := seen[key]; twice && before == r.Scope.String() {
					t.Errorf("%s stands there twice", key)
				}
				seen[key] = r.Scope.String()
				if resource == "secrets" && (verb == "list" || verb == "watch") {
					t.Errorf("secrets can be found by %s", verb)
				}
				if slices.Contains([]string{"escalate", "bind", "impersonate", "deletecollection"}, verb) {
					t.Errorf("%v can give itself more", r)
				}
			}
		}
	}
}
