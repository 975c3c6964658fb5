// Package imports holds the tree's packages to what they may import.
package imports

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/greenroom-dev/greenroom"

func list(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Fields(string(out))
}

// The pure cores are shared by both engines and must stay free of them.
func TestCoresImportNothingOfOurs(t *testing.T) {
	for _, core := range []string{"release", "route", "fleet", "durable", "process"} {
		path := module + "/internal/" + core
		for _, dep := range list(t, "-deps", path) {
			if dep != path && strings.HasPrefix(dep, module) || strings.HasPrefix(dep, "k8s.io/") {
				t.Errorf("internal/%s imports %s", core, dep)
			}
		}
	}
}

// A core that can do I/O or read the clock is no pure function any more.
func TestCoresDoNoIO(t *testing.T) {
	for _, core := range []string{"release", "route", "platform/kubernetes"} {
		imports := list(t, "-f", `{{join .Imports " "}}`, module+"/internal/"+core)
		for _, forbidden := range []string{"os", "net", "net/http", "log", "log/slog", "context", "sync", "math/rand", "crypto/rand"} {
			if slices.Contains(imports, forbidden) {
				t.Errorf("internal/%s imports %s", core, forbidden)
			}
		}
	}
}

func TestEmbeddedGreenroomLinksNoKubernetes(t *testing.T) {
	for _, dep := range list(t, "-deps", module+"/cmd/greenroom") {
		if strings.HasPrefix(dep, "k8s.io/") || strings.HasPrefix(dep, "sigs.k8s.io/") || strings.HasPrefix(dep, "istio.io/") {
			t.Errorf("cmd/greenroom links %s", dep)
		}
	}
}

// The library that services link brings nothing along.
func TestPropagateImportsTheStandardLibraryOnly(t *testing.T) {
	for _, dep := range list(t, "-deps", module+"/propagate") {
		if strings.Contains(strings.Split(dep, "/")[0], ".") && dep != module+"/propagate" {
			t.Errorf("propagate imports %s", dep)
		}
	}
}

// Each layer knows only those below it.
func TestLayers(t *testing.T) {
	for pkg, forbidden := range map[string][]string{
		"internal/gateway":             {"internal/release", "internal/controller", "internal/platform", "internal/store", "internal/httpapi"},
		"internal/platform/local":      {"internal/release", "internal/controller", "internal/gateway", "internal/store"},
		"internal/controller":          {"internal/gateway", "internal/platform", "internal/store", "internal/httpapi"},
		"internal/platform/kubernetes": {"internal/gateway", "internal/platform/local", "internal/store", "internal/controller", "internal/config", "internal/fleet"},
		"api/v1alpha1":                 {"api/v1alpha1/crd", "internal"},
		"api/v1alpha1/crd":             {"internal"},
		"internal/store":               {"internal/release", "internal/controller"},
		"internal/httpapi":             {"internal/gateway", "internal/platform", "internal/app"},
		"client":                       {"internal"},
	} {
		for _, dep := range list(t, "-deps", module+"/"+pkg) {
			for _, f := range forbidden {
				if dep == module+"/"+f || strings.HasPrefix(dep, module+"/"+f+"/") {
					t.Errorf("%s imports %s", pkg, dep)
				}
			}
		}
	}
}
