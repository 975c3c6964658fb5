package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"
)

// The keys of bucketState, and of the buckets that hold one value.
const (
	keyRecord = "record" // the big-endian revision, then Record.State
	keyKept   = "kept"   // Record.Kept, in format 1
	keyWhole  = "whole"  // the only one of bucketBulk and bucketKept
)

// Record is the controller's whole state.
type Record struct {
	Revision uint64          // 1 for the first, then one more each time
	State    json.RawMessage // what every change changes
	Bulk     json.RawMessage // what of the state few changes change; nil for Save: as it is stored, for Load: it was never stored
	Kept     json.RawMessage // what is kept beside the state, and few changes change; nil for Save: as it is stored
}

// Load returns the record stored last, and false where there is none yet.
func (s *Store) Load() (rec Record, ok bool, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		if rec, ok, err = readRecord(tx); err != nil || !ok {
			return err
		}
		bulk, err := get(tx.Bucket([]byte(bucketBulk)), []byte(keyWhole))
		if err != nil {
			return err
		}
		kept, err := get(tx.Bucket([]byte(bucketKept)), []byte(keyWhole))
		rec.State, rec.Bulk, rec.Kept = bytes.Clone(rec.State), bytes.Clone(bulk), bytes.Clone(kept)
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
		for bucket, value := range map[string][]byte{bucketBulk: rec.Bulk, bucketKept: rec.Kept} {
			if value == nil {
				continue
			}
			if err := put(tx.Bucket([]byte(bucket)), []byte(keyWhole), value); err != nil {
				return err
			}
		}
		return put(tx.Bucket([]byte(bucketState)), []byte(keyRecord), binary.BigEndian.AppendUint64(nil, rec.Revision), rec.State)
	})
	if err != nil {
		return fmt.Errorf("saving the state: %w", err)
	}
	return nil
}

// readRecord returns a record without Bulk and Kept, valid within the transaction.
func readRecord(tx *bbolt.Tx) (Record, bool, error) {
	value, err := get(tx.Bucket([]byte(bucketState)), []byte(keyRecord))
	if err != nil || value == nil {
		return Record{}, false, err
	}
	if len(value) < 8 {
		return Record{}, false, fmt.Errorf("%w: the record has no revision", ErrDamaged)
	}
	return Record{Revision: binary.BigEndian.Uint64(value), State: value[8:]}, true, nil
}
