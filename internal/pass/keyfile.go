package pass

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-jose/go-jose/v4"

	"github.com/greenroom-dev/greenroom/internal/durable"
)

// maxKeyFile bounds what is read of a key file, in bytes: some hundred keys.
const maxKeyFile = 64 << 10

// readRing reads a key file. Its error is fs.ErrNotExist where there is none.
func readRing(path string) (*ring, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("opening the keys for passes: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("opening the keys for passes: %s is not a regular file", path)
	}
	if open := info.Mode().Perm() & 0o077; open != 0 {
		return nil, fmt.Errorf("the keys for passes in %s can be used by others on this machine (mode %04o): run `chmod 600 %s`; if somebody may have read them, move the file away, and new keys are made, for which passes have to be issued anew",
			path, info.Mode().Perm(), path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the keys for passes: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading the keys for passes in %s: %w", path, err)
	}
	if len(b) > maxKeyFile {
		err = fmt.Errorf("more than %d bytes", maxKeyFile)
	}
	var r *ring
	if err == nil {
		r, err = parseRing(b)
	}
	if err != nil {
		return nil, fmt.Errorf("the keys for passes in %s are damaged (%w): put back a copy, or move the file away, and new keys are made, for which passes have to be issued anew", path, err)
	}
	return r, nil
}

// createRing makes the file with one key in it, or leaves the one that another
// process made meanwhile.
func createRing(path string) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	r, err := newRing([]jose.JSONWebKey{key})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("making the folder of the keys for passes: %w", err)
	}
	return writeRing(path, r, func(path string, content io.Reader) error {
		if err := durable.Create(path, content); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	})
}

func replaceRing(path string, r *ring) error { return writeRing(path, r, durable.Replace) }

func writeRing(path string, r *ring, write func(path string, content io.Reader) error) error {
	b, err := r.marshal()
	if err != nil {
		return err
	}
	if err := write(path, bytes.NewReader(b)); err != nil {
		return fmt.Errorf("writing the keys for passes: %w", err)
	}
	return nil
}
