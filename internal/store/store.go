// Package store keeps greenroom's state on disk: the controller's record, the
// event log, the passes that were issued, the API's tokens and browsers'
// sessions, in one bbolt file.
//
// It owns the file's form, its format number and migrations, and what is true
// after a crash: what a call reported saved is there, whole, with the events
// that came with it. It knows nothing of what the record means, reads no
// clock, and of greenroom it imports durable and pass alone.
//
// Start at Open, then Store.Save. record.go, event.go, pass.go, token.go and
// session.go hold one noun each; check.go is what makes a file fit to be
// opened, format.go what makes an older one fit.
package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/bbolt"

	"github.com/greenroom-dev/greenroom/internal/durable"
)

// The ways in which a file or a change is refused. A refused file is left as
// it was, byte for byte.
var (
	// ErrInUse is returned when another greenroom has the file open.
	ErrInUse = errors.New("in use by another greenroom")
	// ErrDamaged is returned when the file's content is not what was written.
	ErrDamaged = errors.New("damaged")
	// ErrForeign is returned when the file is not a greenroom store.
	ErrForeign = errors.New("not a greenroom store")
	// ErrNewer is returned when the file was written by a later greenroom.
	ErrNewer = errors.New("written by a newer greenroom")
	// ErrStale is returned when a record does not follow the one stored.
	ErrStale = errors.New("the state was changed meanwhile")
	// ErrExists is returned when an ID or name is taken.
	ErrExists = errors.New("exists already")
	// ErrNotFound is returned when nothing has that ID or name.
	ErrNotFound = errors.New("not found")
)

// lockWait is how long Open waits for a former greenroom to end.
const lockWait = time.Second

// Store is an open file. It is safe for concurrent use; writes are durable
// when a call returns.
type Store struct {
	path   string
	db     *bbolt.DB
	retain retention
}

// Open opens the store at path and makes it where there is none. Its error
// wraps ErrInUse, ErrDamaged, ErrForeign or ErrNewer where one of them fits. A
// file of an older format is migrated after a copy of it was put beside it,
// named after its format.
func Open(path string) (*Store, error) {
	return open(path, migrations())
}

func open(path string, ms []migration) (*Store, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = create(path, ms)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	db, err := openChecked(path)
	if err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", path, err)
	}
	if err := migrate(db, ms); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the store %s: %w", path, err), db.Close())
	}
	return &Store{path: path, db: db, retain: defaultRetention()}, nil
}

// Close ends the use of the file after the transactions under way.
func (s *Store) Close() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	return nil
}

// create makes an empty store under another name and links it to path when it
// is whole: a crash leaves no half-made file, and of two processes one wins.
func create(path string, ms []migration) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".store-*") // made with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	db, err := openBolt(f)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error { return initialize(tx, ms) })
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return durable.SyncFolder(dir)
}

// openChecked locks the file and reads all of it with ordinary reads before
// bbolt maps it into memory, since bbolt trusts what it maps: a damaged page
// can make it panic, fault, or overwrite what is still in use.
func openChecked(path string) (*bbolt.DB, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: not a regular file", ErrForeign)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	err = lock(f)
	if err == nil {
		err = check(f)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return openBolt(f)
}

// lock takes the lock that bbolt takes; bbolt, given the same open file, gets
// it once more.
func lock(f *os.File) error {
	deadline := time.Now().Add(lockWait)
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return fmt.Errorf("locking it: %w", err)
		case time.Now().After(deadline):
			return fmt.Errorf("%w: stop that one first, or give this one a state folder of its own with --state", ErrInUse)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// openBolt hands an open file to bbolt and closes it on failure. The free list
// is not kept in the file but found again at each start: one thing less that
// can be damaged, and nothing checks it.
func openBolt(f *os.File) (db *bbolt.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, r)
		}
		if err != nil {
			f.Close()
		}
	}()
	return bbolt.Open(f.Name(), 0o600, &bbolt.Options{
		Timeout:        lockWait,
		NoFreelistSync: true,
		FreelistType:   bbolt.FreelistMapType,
		OpenFile:       func(string, int, os.FileMode) (*os.File, error) { return f, nil },
	})
}
