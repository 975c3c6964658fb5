package store

import (
	"encoding/json"
	"errors"
)

// Record is the controller's whole state.
type Record struct {
	Revision uint64 // 1 for the first, then one more each time
	Data     json.RawMessage
}

// Load returns the record stored last, and false where there is none yet.
func (s *Store) Load() (Record, bool, error) { return Record{}, false, errors.ErrUnsupported }

// Save stores a record and the events that came with it, all or nothing; it
// sets the events' Seq. It returns ErrStale unless rec.Revision is the stored
// one plus one.
func (s *Store) Save(rec Record, events []Event) error { return errors.ErrUnsupported }
