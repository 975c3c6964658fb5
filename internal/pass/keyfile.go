package pass

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/greenroom-dev/greenroom/internal/durable"
)

// maxKeyFile bounds what is read of a key file, in bytes: some hundred keys.
const maxKeyFile = 64 << 10

// keyFile is the Store of an embedded greenroom: the path of a file for its
// owner alone.
type keyFile string

// String returns the path.
func (f keyFile) String() string { return string(f) }

// Load reads the file.
func (f keyFile) Load(context.Context) ([]byte, error) {
	info, err := os.Stat(string(f))
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", f)
	}
	if open := info.Mode().Perm() & 0o077; open != 0 {
		return nil, fmt.Errorf("%s can be used by others on this machine (mode %04o): run `chmod 600 %s`; if somebody may have read it, move the file away, and new keys are made, for which passes have to be issued anew",
			f, info.Mode().Perm(), f)
	}
	file, err := os.Open(string(f))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", f, err)
	}
	if len(b) > maxKeyFile {
		return nil, fmt.Errorf("%s is damaged (more than %d bytes): put back a copy, or move the file away, and new keys are made, for which passes have to be issued anew", f, maxKeyFile)
	}
	return b, nil
}

// Create makes the file, or leaves the one that another process made meanwhile.
func (f keyFile) Create(_ context.Context, value []byte) error {
	if err := os.MkdirAll(filepath.Dir(string(f)), 0o700); err != nil {
		return fmt.Errorf("making their folder: %w", err)
	}
	if err := durable.Create(string(f), bytes.NewReader(value)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// Replace rewrites the file.
func (f keyFile) Replace(_ context.Context, value []byte) error {
	return durable.Replace(string(f), bytes.NewReader(value))
}
