package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"
)

// keyRecord is the record's key in bucketState; its value is the big-endian
// revision, then the data.
const keyRecord = "record"

// Record is the controller's whole state.
type Record struct {
	Revision uint64 // 1 for the first, then one more each time
	Data     json.RawMessage
}

// Load returns the record stored last, and false where there is none yet.
func (s *Store) Load() (rec Record, ok bool, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		rec, ok, err = readRecord(tx)
		rec.Data = bytes.Clone(rec.Data)
		return err
	})
	if err != nil {
		return Record{}, false, fmt.Errorf("loading the state: %w", err)
	}
	return rec, ok, nil
}

// Save stores a record and the events that came with it, all or nothing; it
// sets the events' Seq. It returns ErrStale unless rec.Revision is the stored
// one plus one.
func (s *Store) Save(rec Record, events []Event) error {
	err := s.update(events, func(tx *bbolt.Tx) error {
		stored, _, err := readRecord(tx)
		if err != nil {
			return err
		}
		if rec.Revision != stored.Revision+1 {
			return fmt.Errorf("%w: revision %d does not follow %d", ErrStale, rec.Revision, stored.Revision)
		}
		value := append(binary.BigEndian.AppendUint64(nil, rec.Revision), rec.Data...)
		return put(tx.Bucket([]byte(bucketState)), []byte(keyRecord), value)
	})
	if err != nil {
		return fmt.Errorf("saving the state: %w", err)
	}
	return nil
}

// readRecord returns a record whose data is valid within the transaction.
func readRecord(tx *bbolt.Tx) (Record, bool, error) {
	value, err := get(tx.Bucket([]byte(bucketState)), []byte(keyRecord))
	if err != nil || value == nil {
		return Record{}, false, err
	}
	if len(value) < 8 {
		return Record{}, false, fmt.Errorf("%w: the record has no revision", ErrDamaged)
	}
	return Record{Revision: binary.BigEndian.Uint64(value), Data: value[8:]}, true, nil
}
