package local

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/greenroom-dev/greenroom/internal/durable"
)

// copyPrefix begins the name of a copy that is not whole yet.
const copyPrefix = ".copy"

// Store keeps a copy of the executable at path under its SHA-256, which it
// returns in hex. What is copied is what was hashed, and it appears whole or
// not at all. Storing the same content again changes nothing.
func (p *Platform) Store(path string) (sha string, err error) {
	src, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("store executable: %w", err)
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return "", fmt.Errorf("store executable: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("store executable: %s is not a file", path)
	}
	if info.Mode().Perm()&0o111 == 0 {
		return "", fmt.Errorf("store executable: %s may not be executed: chmod +x it", path)
	}
	tmp, err := os.CreateTemp(p.binDir(), copyPrefix+"*")
	if err != nil {
		return "", fmt.Errorf("store executable: %w", err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	hash := sha256.New()
	_, err = io.Copy(io.MultiWriter(tmp, hash), src)
	if err == nil {
		err = tmp.Chmod(0o700)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return "", fmt.Errorf("store executable %s: %w", path, err)
	}
	sha = hex.EncodeToString(hash.Sum(nil))
	if err := os.Rename(tmp.Name(), filepath.Join(p.binDir(), sha)); err != nil {
		return "", fmt.Errorf("store executable %s: %w", path, err)
	}
	return sha, durable.SyncFolder(p.binDir())
}

// Executable returns the path of the copy with that SHA-256 in hex, and whether
// there is one.
func (p *Platform) Executable(sha string) (string, bool) {
	if b, err := hex.DecodeString(sha); err != nil || len(b) != sha256.Size {
		return "", false
	}
	path := filepath.Join(p.binDir(), sha)
	info, err := os.Stat(path)
	return path, err == nil && info.Mode().IsRegular()
}

// Prune deletes every stored executable that keep does not name and no version
// still known to the platform runs from.
func (p *Platform) Prune(keep map[string]bool) error {
	entries, err := os.ReadDir(p.binDir())
	if err != nil {
		return fmt.Errorf("prune executables: %w", err)
	}
	used := make(map[string]bool)
	p.mu.Lock()
	for _, v := range p.versions {
		if run := v.spec.Version.Run; run != nil {
			used[run.SHA256] = true
		}
	}
	p.mu.Unlock()
	var errs []error
	for _, e := range entries {
		if _, stored := p.Executable(e.Name()); !stored || keep[e.Name()] || used[e.Name()] {
			continue
		}
		if err := os.Remove(filepath.Join(p.binDir(), e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("prune executables: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (p *Platform) binDir() string { return filepath.Join(p.dir, "bin") }

// SHA256 returns the SHA-256 of the file at path in hex, as Store names copies by.
func SHA256(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
