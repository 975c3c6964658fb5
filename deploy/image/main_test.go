package main

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// files reads an archive.
func files(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	r := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if out[header.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

func TestImage(t *testing.T) {
	out := filepath.Join(t.TempDir(), "bin", "hello.tar")
	if err := run(t.Context(), options{name: "hello:1", arch: "arm64", pkg: "./testdata/hello", out: out}); err != nil {
		t.Fatal(err)
	}
	archive, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	saved := files(t, archive)
	layer := files(t, saved["layer.tar"])
	if len(layer) != 1 {
		t.Errorf("the image has %d files", len(layer))
	}
	program, err := elf.NewFile(bytes.NewReader(layer["greenroom-operator"]))
	if err != nil {
		t.Fatal(err)
	}
	if libraries, err := program.ImportedLibraries(); program.Machine != elf.EM_AARCH64 || len(libraries) > 0 || err != nil {
		t.Errorf("the program is for %s and needs %v (%v)", program.Machine, libraries, err)
	}
	var manifest []struct{ RepoTags []string }
	decode(t, saved["manifest.json"], &manifest)
	if len(manifest) != 1 || !slices.Equal(manifest[0].RepoTags, []string{"hello:1"}) {
		t.Errorf("it is called %+v", manifest)
	}
	var config struct {
		Architecture string
		Config       struct {
			User       string
			Entrypoint []string
		}
	}
	decode(t, saved["config.json"], &config)
	if config.Architecture != "arm64" || config.Config.User != user {
		t.Errorf("the config says %+v", config)
	}
	dockerfile, err := os.ReadFile(filepath.Join("..", "..", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"USER " + config.Config.User, `ENTRYPOINT ["` + strings.Join(config.Config.Entrypoint, `", "`) + `"]`, "FROM scratch"} {
		if !strings.Contains("\n"+string(dockerfile), "\n"+line+"\n") {
			t.Errorf("the Dockerfile does not say %s", line)
		}
	}
}

// What does not build leaves what was there.
func TestImageThatDoesNotBuild(t *testing.T) {
	out := filepath.Join(t.TempDir(), "it.tar")
	if err := os.WriteFile(out, []byte("former"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), options{name: "it:1", arch: "amd64", pkg: "./testdata/none", out: out}); err == nil || !strings.Contains(err.Error(), "./testdata/none") {
		t.Errorf("built with %v", err)
	}
	if left, err := os.ReadDir(filepath.Dir(out)); err != nil || len(left) != 1 {
		t.Errorf("left are %v (%v)", left, err)
	}
}

func decode(t *testing.T, data []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}
