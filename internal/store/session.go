package store

import (
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// maxSessions bounds how many sessions are kept; the one that ends first makes
// room.
const maxSessions = 10_000

// PutSession keeps a browser's session until it ends, as whoever sealed it can
// open it. Those that have ended by now are forgotten.
func (s *Store) PutSession(id string, ends, now time.Time, sealed []byte) error {
	err := s.update(nil, func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(bucketSessions))
		if err != nil {
			return err
		}
		if err := makeRoom(b, now); err != nil {
			return err
		}
		return put(b, []byte(id), binary.BigEndian.AppendUint64(nil, uint64(ends.Unix())), sealed)
	})
	if err != nil {
		return fmt.Errorf("keeping a session: %w", err)
	}
	return nil
}

// makeRoom forgets sessions that are over, and one more where there are too many.
func makeRoom(b *bbolt.Bucket, now time.Time) error {
	var over [][]byte
	var first []byte
	var soonest uint64
	left := 0
	c := b.Cursor()
	for key, _ := c.First(); key != nil; key, _ = c.Next() {
		value, err := get(b, key)
		if err != nil {
			return err
		}
		ends := uint64(0)
		if len(value) >= 8 {
			ends = binary.BigEndian.Uint64(value)
		}
		if ends <= uint64(now.Unix()) {
			over = append(over, key)
			continue
		}
		if left++; first == nil || ends < soonest {
			first, soonest = key, ends
		}
	}
	if left >= maxSessions {
		over = append(over, first)
	}
	for _, key := range over {
		if err := b.Delete(key); err != nil {
			return err
		}
	}
	return nil
}

// Session returns what PutSession was given, and false where there is none.
func (s *Store) Session(id string) (sealed []byte, ok bool, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucketSessions))
		if b == nil {
			return nil
		}
		value, err := get(b, []byte(id))
		if err != nil || len(value) < 8 {
			return err
		}
		sealed, ok = append([]byte{}, value[8:]...), true // value ends with the transaction
		return nil
	})
	if err != nil {
		return nil, false, fmt.Errorf("looking for a session: %w", err)
	}
	return sealed, ok, nil
}

// DropSession forgets a session. One that is not there is no error.
func (s *Store) DropSession(id string) error {
	err := s.update(nil, func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucketSessions))
		if b == nil || b.Get([]byte(id)) == nil {
			return errUnchanged
		}
		return b.Delete([]byte(id))
	})
	if err != nil {
		return fmt.Errorf("forgetting a session: %w", err)
	}
	return nil
}
