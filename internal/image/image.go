// Package image writes container images of static programs as docker save does,
// with nothing but files: no daemon, no registry.
//
// It owns the format. It imports the standard library alone, and nothing of
// greenroom, so that every module of this repository can use it. What is in an
// image is its callers' matter.
//
// Start at Image.
package image

import (
	"archive/tar"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
)

// Image is a container image of one layer.
type Image struct {
	Name       string // with registry and tag: images.test/echo:1
	Files      []File
	Entrypoint []string
	User       string // "uid:gid"; empty means root
	Arch       string // as Go names it; empty means this machine's
}

// File is a file of an image; folders above it are made. It has one of
// Source, Content and Link, or none: an empty folder.
type File struct {
	Path    string
	Source  string // a file of this machine
	Content []byte
	Link    string // the target of a symbolic link
	// Mode, when zero, is 0755 for folders and what has a Source, else 0644.
	Mode fs.FileMode
}

// WriteTar writes the image in the format of docker save. The same files give
// the same bytes.
func (image Image) WriteTar(w io.Writer) error {
	layer, err := os.CreateTemp("", "layer-*.tar")
	if err != nil {
		return fmt.Errorf("writing the image %s: %w", image.Name, err)
	}
	defer os.Remove(layer.Name())
	defer layer.Close()
	digest := sha256.New()
	if err := writeLayer(io.MultiWriter(layer, digest), image.Files); err != nil {
		return fmt.Errorf("writing the image %s: %w", image.Name, err)
	}
	config, err := json.Marshal(map[string]any{
		"architecture": cmp.Or(image.Arch, runtime.GOARCH),
		"os":           "linux",
		"config": map[string]any{
			"Entrypoint": image.Entrypoint,
			"User":       image.User,
			"Env":        []string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(digest.Sum(nil))}},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]any{map[string]any{
		"Config": "config.json", "RepoTags": []string{image.Name}, "Layers": []string{"layer.tar"},
	}})
	if err != nil {
		return err
	}
	size, err := layer.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if _, err := layer.Seek(0, io.SeekStart); err != nil {
		return err
	}
	tw := tar.NewWriter(w)
	for _, f := range []struct {
		name string
		size int64
		r    io.Reader
	}{
		{"layer.tar", size, layer},
		{"config.json", int64(len(config)), bytes.NewReader(config)},
		{"manifest.json", int64(len(manifest)), bytes.NewReader(manifest)},
	} {
		if err := tw.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: f.size}); err != nil {
			return err
		}
		if _, err := io.Copy(tw, f.r); err != nil {
			return err
		}
	}
	return tw.Close()
}

// writeLayer writes the files, and the folders above them, as a tar.
func writeLayer(w io.Writer, files []File) error {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	tw := tar.NewWriter(w)
	made := map[string]bool{".": true, "/": true}
	var folder func(dir string, mode fs.FileMode) error
	folder = func(dir string, mode fs.FileMode) error {
		if made[dir] {
			return nil
		}
		if err := folder(path.Dir(dir), 0o755); err != nil {
			return err
		}
		made[dir] = true
		header := &tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: int64(mode.Perm())}
		if mode&fs.ModeSticky != 0 {
			header.Mode |= 0o1000
		}
		return tw.WriteHeader(header)
	}
	for _, f := range files {
		name := strings.TrimPrefix(path.Clean(f.Path), "/")
		if f.Source == "" && f.Content == nil && f.Link == "" {
			if err := folder(name, cmp.Or(f.Mode, 0o755)); err != nil {
				return err
			}
			continue
		}
		if err := folder(path.Dir(name), 0o755); err != nil {
			return err
		}
		if err := writeFile(tw, name, f); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	return tw.Close()
}

func writeFile(tw *tar.Writer, name string, f File) error {
	if f.Link != "" {
		return tw.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: f.Link, Mode: 0o777})
	}
	if f.Source == "" {
		header := &tar.Header{Name: name, Mode: int64(cmp.Or(f.Mode, 0o644).Perm()), Size: int64(len(f.Content))}
		if err := tw.WriteHeader(header); err != nil {
			return err
		}
		_, err := tw.Write(f.Content)
		return err
	}
	source, err := os.Open(f.Source)
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	if err := tw.WriteHeader(&tar.Header{Name: name, Mode: int64(cmp.Or(f.Mode, 0o755).Perm()), Size: info.Size()}); err != nil {
		return err
	}
	_, err = io.Copy(tw, source)
	return err
}
