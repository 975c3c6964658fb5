// Package store keeps greenroom's state on disk: the controller's record, the
// event log, the passes that were issued and the API's tokens, in one bbolt
// file.
//
// It owns the file's form, its format number and migrations, and what is true
// after a crash: what a call reported saved is there, whole, with the events
// that came with it. It knows nothing of what the record means, reads no
// clock, and imports nothing else of greenroom.
//
// Start at Open, then Store.Save; record.go, event.go, pass.go and token.go
// hold one noun each, check.go what makes a file fit to be opened.
package store

import "errors"

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

// Store is an open file. It is safe for concurrent use; writes are durable
// when a call returns.
type Store struct{}

// Open opens the store at path and makes it where there is none.
func Open(path string) (*Store, error) { return nil, errors.ErrUnsupported }

// Close ends the use of the file after the transactions under way.
func (s *Store) Close() error { return errors.ErrUnsupported }
