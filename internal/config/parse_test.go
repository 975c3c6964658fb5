package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const oneService = "  services:\n  - {name: web, run: {command: [bin/web]}}\n"

func TestDocumentsOfAFile(t *testing.T) {
	docs, err := Read(filepath.Join("testdata", "good", "design.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(docs); err != nil {
		t.Fatal(err)
	}
	r, ok := docs.Release("r42")
	if docs.Fleet == nil || docs.Fleet.Metadata.Name != "live" || !ok || r.Spec.Description != "Gifts can be sent twice" {
		t.Errorf("got %+v", docs)
	}
	if _, ok := docs.Release("r43"); ok {
		t.Error("found a release that is not there")
	}
}

// A Release is checked for its fleet too, of which only the fleet's server knows.
func TestAReleaseAloneMayLeaveOutWhatItsFleetHas(t *testing.T) {
	docs := parse(t, `apiVersion: greenroom.dev/v1alpha1
kind: Release
metadata: {name: r42}
spec:
  services:
  - {name: api, run: {command: [bin/api-v2]}}
  - {name: web, version: "2", run: {env: {LEVEL: debug, OLD: null}, replicas: 3}}
  - {name: legacy, endpoints: ["127.0.0.1:9101"]}
`, filepath.Join("testdata", "good"))
	if err := Check(docs); err != nil {
		t.Error(err)
	}
}

func TestReadSaysWhichFileIsMissing(t *testing.T) {
	_, err := Read(filepath.Join(t.TempDir(), "greenroom.yaml"), nil)
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "greenroom.yaml") {
		t.Errorf("got %v", err)
	}
}

func TestPathsAreRelativeToTheFile(t *testing.T) {
	dir := folder(t, "bin/web")
	file := filepath.Join(dir, "f.yaml")
	if err := os.WriteFile(file, []byte(head+oneService), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(dir, "bin"))
	for _, name := range []string{file, "../f.yaml"} {
		docs, err := Read(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		f, err := ResolveFleet(*docs.Fleet)
		if err != nil || f.Services[0].First.Run.Executable != filepath.Join(dir, "bin/web") {
			t.Errorf("%s: %+v, %v", name, f.Services, err)
		}
	}
}

func TestFormsOfText(t *testing.T) {
	dir := folder(t, "bin/web")
	for name, text := range map[string]string{
		"JSON with tabs":  "{\n\t\"apiVersion\": \"greenroom.dev/v1alpha1\",\n\t\"kind\": \"Fleet\",\n\t\"metadata\": {\"name\":\"live\"},\n\t\"spec\": {\"services\":[{\"name\":\"web\",\"run\":{\"command\":[\"bin/web\"]}}]}}\n",
		"byte order mark": "\xef\xbb\xbf" + head + oneService,
		"CRLF":            strings.ReplaceAll(head+oneService, "\n", "\r\n"),
		"empty documents": "---\n---\n" + head + oneService + "---\n# no more\n",
		"comments":        "# a fleet\n" + head + "  # of one\n" + oneService,
	} {
		docs, err := Parse("-", []byte(text), dir)
		if err == nil {
			err = Check(docs)
		}
		if err != nil || docs.Fleet == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPlainTextsKeepTheirColons(t *testing.T) {
	docs := parse(t, head+`  services:
  - {name: a, run: {command: [bin/x, 127.0.0.1:80, --at=:90, "q:1", http://a:80/b:c, a b:c  , é:1]}} # c:d
  - name: b
    endpoints: [127.0.0.1:80, b:1:2]
`, t.TempDir())
	want := []string{"bin/x", "127.0.0.1:80", "--at=:90", "q:1", "http://a:80/b:c", "a b:c", "é:1"}
	if diff := cmp.Diff(want, docs.Fleet.Spec.Services[0].Run.Command); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"127.0.0.1:80", "b:1:2"}, docs.Fleet.Spec.Services[1].Endpoints); diff != "" {
		t.Error(diff)
	}
}

func TestMergeKeysGiveWayToWhatIsWritten(t *testing.T) {
	docs, err := Read(filepath.Join("testdata", "good", "anchors.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	api := docs.Fleet.Spec.Services[1]
	if diff := cmp.Diff([]string{"bin/api", "--quick"}, api.Run.Command); diff != "" {
		t.Error(diff)
	}
	if *api.Run.Env["LEVEL"] != "info" || *api.Run.Env["MODE"] != "2" || api.Health.Interval != "500ms" {
		t.Errorf("got %+v", api)
	}
}

func TestErrorsAreStructured(t *testing.T) {
	_, err := Parse("a/fleet.yaml", []byte(head+"  services:\n  - {name: web, rnu: {}}\n"), t.TempDir())
	var one *Error
	if !errors.As(err, &one) {
		t.Fatalf("got %v", err)
	}
	want := Error{
		File: "a/fleet.yaml", Line: 6, Column: 17, Field: "spec.services[0].rnu",
		Excerpt: "   6 |   - {name: web, rnu: {}}\n     |                 ^",
		Problem: "unknown field `rnu`", Hint: "did you mean `run`?",
	}
	if diff := cmp.Diff(want, *one); diff != "" {
		t.Error(diff)
	}
}

func TestStandardInputIsNamed(t *testing.T) {
	_, err := Parse("-", []byte("x"), ".")
	if err == nil || !strings.HasPrefix(err.Error(), "standard input:1:1: ") {
		t.Errorf("got %v", err)
	}
}

func TestHostileTextsAreRefusedSoon(t *testing.T) {
	const n = MaxSize / 8
	for name, text := range map[string]string{
		"too large":   head + oneService + strings.Repeat("# \n", MaxSize/3),
		"brackets":    strings.Repeat("[", n),
		"braces":      strings.Repeat("{a: ", n),
		"dashes":      strings.Repeat("- ", n),
		"questions":   strings.Repeat("? ", n),
		"anchors":     strings.Repeat("&a ", n),
		"tags":        strings.Repeat("!!map ", n),
		"aliases":     strings.Repeat("*a ", n),
		"merges":      strings.Repeat("<<: ", n),
		"keys":        strings.Repeat("a: b\n", n),
		"entries":     "{" + strings.Repeat("a: b,", 30_000) + "}",
		"deep blocks": deepBlocks(1000),
	} {
		var all *Errors
		if _, err := Parse("x", []byte(text), "."); !errors.As(err, &all) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func deepBlocks(n int) string {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "%sa:\n", strings.Repeat(" ", i))
	}
	return b.String()
}

func TestAnAliasOfItselfEnds(t *testing.T) {
	for _, text := range []string{
		"  services: &a [*a]\n",
		"  services:\n  - &a\n    <<: *a\n    name: web\n    run: {command: [bin/web]}\n",
		"  edge: &a {routes: *a}\n  services: *a\n",
		"  services:\n  - {name: &a web, run: &b {command: [*b]}}\n",
	} {
		docs, err := Parse("x", []byte(head+text), ".")
		if err == nil && docs.Fleet == nil {
			t.Errorf("%q: neither a fleet nor an error", text)
		}
	}
}

func TestExcerptsNeverShowEnvironmentVariables(t *testing.T) {
	for _, text := range []string{
		"  - {name: web, run: {command: [bin/none], env: {A: hush, B: \"hush\", C: 'hush'}}}\n",
		"  - {name: web, run: {command: [bin/none], env: {A: &x hush, PORT: *x}, replicas: many}}\n",
		"  - name: web\n    run:\n      command: [bin/web]\n      env:\n        PORT: hush\n        A B: hush\n        C: [hush]\n",
		"  - name: web\n    run:\n      command: [bin/web]\n      env:\n        C: [hush]\n        D: {hush: hush}\n",
	} {
		docs, err := Parse("x", []byte(head+"  services:\n"+text), folder(t, "bin/web"))
		if err == nil {
			err = Check(docs)
		}
		if err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestSuggestions(t *testing.T) {
	for _, c := range []struct{ wrote, want string }{
		{"servce", "did you mean `service`?"},
		{"Service", "did you mean `service`?"},
		{"paht", "did you mean `path`?"},
		{"hots", "did you mean `host`?"},
		{"weight", "known here: host, path, service"},
		{strings.Repeat("x", 1000), "known here: host, path, service"},
	} {
		if got := did(c.wrote, []string{"host", "path", "service"}); got != c.want {
			t.Errorf("%s: %s", c.wrote, got)
		}
	}
}
