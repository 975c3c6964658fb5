package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// untar returns what an archive holds, in its order: names, and contents by
// name.
func untar(t *testing.T, b []byte) (names []string, contents map[string][]byte) {
	t.Helper()
	contents = map[string][]byte{}
	r := tar.NewReader(bytes.NewReader(b))
	for {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return names, contents
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, fmt.Sprintf("%s %04o %s", header.Name, header.Mode, header.Linkname))
		if contents[header.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

func TestImageIsWhatDockerSaves(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("run"), 0o600); err != nil {
		t.Fatal(err)
	}
	one := Image{
		Name: "images.test/app:1", Entrypoint: []string{"/bin/app"}, User: "1:1", Arch: "arm64",
		Files: []File{
			{Path: "/tmp", Mode: os.ModeSticky | 0o777},
			{Path: "/bin/app", Source: program},
			{Path: "/bin/also", Link: "app"},
			{Path: "/etc/deep/file", Content: []byte("text")},
		},
	}
	var first, second bytes.Buffer
	for _, w := range []*bytes.Buffer{&first, &second} {
		if err := one.WriteTar(w); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the same image was written as different bytes")
	}
	_, outer := untar(t, first.Bytes())
	names, inner := untar(t, outer["layer.tar"])
	want := []string{"bin/ 0755 ", "bin/also 0777 app", "bin/app 0755 ", "etc/ 0755 ", "etc/deep/ 0755 ", "etc/deep/file 0644 ", "tmp/ 1777 "}
	if !slices.Equal(names, want) {
		t.Errorf("the layer holds\n%q, want\n%q", names, want)
	}
	if string(inner["bin/app"]) != "run" || string(inner["etc/deep/file"]) != "text" {
		t.Errorf("the layer's contents: %q", inner)
	}
	var config struct {
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
		Config       struct{ User string }
		Architecture string
	}
	if err := json.Unmarshal(outer["config.json"], &config); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(outer["layer.tar"])
	if want := []string{"sha256:" + hex.EncodeToString(sum[:])}; !slices.Equal(config.RootFS.DiffIDs, want) || config.Config.User != "1:1" || config.Architecture != "arm64" {
		t.Errorf("the config says %+v, want the layer %v and user 1:1", config, want)
	}
}
