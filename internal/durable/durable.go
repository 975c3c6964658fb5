// Package durable writes files that a crash leaves whole: what is at a path is
// the former content or all of the new, and it stays once a call has returned.
//
// It owns how that is done on a file system, and nothing of what is written.
// It imports nothing else of greenroom.
//
// Start at Replace.
package durable

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Replace makes content the file at path, with mode 0600, whatever was there.
// Its folder must exist. On failure the former file stays.
func Replace(path string, content io.Reader) error {
	return write(path, content, os.Rename)
}

// Create makes content the file at path, with mode 0600, if there is none. Its
// error is fs.ErrExist where there is one, also where another process made it
// meanwhile: of two that create a file, one wins.
func Create(path string, content io.Reader) error {
	return write(path, content, os.Link)
}

// write writes a new file beside path and has put bring it there.
func write(path string, content io.Reader, put func(from, to string) error) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // made with mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // gone already where put renamed it
	_, err = io.Copy(f, content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := put(f.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return SyncFolder(dir)
}

// SyncFolder makes the names in a folder durable: those of files that were
// made, renamed or removed there.
func SyncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync folder %s: %w", dir, err)
	}
	return nil
}

// Sweep removes what processes that were killed while they wrote the file at
// path have left beside it. Call it where nobody else can be writing the file.
func Sweep(path string) error {
	dir, begin := filepath.Dir(path), "."+filepath.Base(path)+"."
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("sweep %s: %w", dir, err)
	}
	var errs []error
	for _, e := range entries {
		number, ours := strings.CutPrefix(e.Name(), begin)
		if _, err := strconv.ParseUint(number, 10, 64); ours && err == nil { // as CreateTemp names them
			errs = append(errs, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}
