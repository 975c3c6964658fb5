package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// lockFile is the one name by which all processes of this machine know of the
// cluster: held (flock) while somebody makes, owns or removes one, and holding
// where it is. The kernel lets go of it when its holder dies.
const lockFile = "/run/greenroom-cluster.lock"

// claim is what the lock file says.
type claim struct {
	State string `json:"state,omitempty"` // empty: there is no cluster
	Kept  bool   `json:"kept,omitempty"`  // complete, and meant to outlive its maker
}

type lock struct{ f *os.File }

// takeLock takes the machine's lock or fails at once when another process
// holds it.
func takeLock() (*lock, error) {
	f, err := lockedFile(lockFile)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("%w: its process holds %s; end that process first", ErrRunning, lockFile)
	}
	return &lock{f}, err
}

// lockedFile opens a file, made if missing, and locks it (flock) until it is
// closed. The error wraps EWOULDBLOCK while somebody else has it.
func lockedFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening a lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return f, nil
}

// readClaim says where the machine's cluster is; it needs no lock, and then the
// answer may be old.
func readClaim() (claim, error) {
	var c claim
	b, err := os.ReadFile(lockFile)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(b) == 0 {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("reading where this machine's cluster is: %w", err)
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("reading %s: %w", lockFile, err)
	}
	return c, nil
}

func (l *lock) write(c claim) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := l.f.Truncate(0); err != nil {
		return fmt.Errorf("writing %s: %w", lockFile, err)
	}
	if _, err := l.f.WriteAt(b, 0); err != nil {
		return fmt.Errorf("writing %s: %w", lockFile, err)
	}
	return nil
}

func (l *lock) release() error { return l.f.Close() }
