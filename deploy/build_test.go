package deploy_test

import (
	"io/fs"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// build builds a folder as kubectl kustomize does.
func build(t *testing.T, folder string) string {
	t.Helper()
	return buildIn(t, filesys.MakeFsOnDisk(), folder)
}

func buildIn(t *testing.T, files filesys.FileSystem, folder string) string {
	t.Helper()
	objects, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, folder)
	if err != nil {
		t.Fatal(err)
	}
	out, err := objects.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// walk hands every file below a folder on.
func walk(root fs.FS, folder string, each func(path string, data []byte) error) error {
	return fs.WalkDir(root, folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		return each(path, data)
	})
}
