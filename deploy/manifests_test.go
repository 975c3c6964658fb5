package deploy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/greenroom-dev/greenroom/deploy"
	"github.com/greenroom-dev/greenroom/internal/golden"
)

// The program prints what kustomize builds, word for word.
func TestManifestsUpToDate(t *testing.T) {
	built := build(t, "kustomize/operator")
	golden.Check(t, "manifests/operator.yaml", built)
	if golden.Updating() {
		return // what is embedded is older
	}
	if diff := cmp.Diff(built, manifests(t, deploy.Install{})); diff != "" {
		t.Errorf("kustomize builds other manifests than are printed: %s", diff)
	}
}

// Another namespace and image have the effect that kustomize's own transformers
// have, and name the guard's exception as well.
func TestManifestsElsewhere(t *testing.T) {
	files := copied(t, "kustomize")
	overlay := "namespace: green\nresources: [../operator]\nimages: [{name: greenroom-operator, newName: registry.example.com:5000/ops/greenroom, newTag: \"1.0\"}]\n"
	if err := files.WriteFile("/kustomize/overlay/kustomization.yaml", []byte(overlay)); err != nil {
		t.Fatal(err)
	}
	const before, after = "system:serviceaccount:greenroom-system:", "system:serviceaccount:green:"
	want := buildIn(t, files, "/kustomize/overlay")
	if !strings.Contains(want, before) {
		t.Error("the guard lets nobody through")
	}
	want = strings.ReplaceAll(want, before, after)
	got := manifests(t, deploy.Install{Namespace: "green", Image: "registry.example.com:5000/ops/greenroom:1.0"})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestManifestsRefuse(t *testing.T) {
	for _, in := range []deploy.Install{{Namespace: "Green"}, {Namespace: "a: b"}, {Namespace: strings.Repeat("a", 64)},
		{Image: "x: y"}, {Image: "x y"}, {Image: "x\n"}, {Image: "-x"}} {
		var b strings.Builder
		if err := deploy.Manifests(&b, in); err == nil || b.Len() > 0 {
			t.Errorf("%+v is taken", in)
		}
	}
}

func manifests(t *testing.T, in deploy.Install) string {
	t.Helper()
	var b strings.Builder
	if err := deploy.Manifests(&b, in); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// copied returns the folder in memory.
func copied(t *testing.T, folder string) filesys.FileSystem {
	t.Helper()
	out := filesys.MakeFsInMemory()
	root := os.DirFS(".")
	err := walk(root, folder, func(path string, data []byte) error { return out.WriteFile("/"+filepath.ToSlash(path), data) })
	if err != nil {
		t.Fatal(err)
	}
	return out
}
