package store

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/greenroom-dev/greenroom/internal/pass"
)

// Pass is what is kept of a pass that was issued; never its token. Of a callback
// address the token is kept: it stands in the address, and previews are told it.
type Pass struct {
	ID        string    `json:"id"`
	Live      bool      `json:"live,omitempty"` // it is for what serves, and for no release
	Release   string    `json:"release"`
	UID       string    `json:"uid"` // of the release
	Subject   string    `json:"subject"`
	By        string    `json:"by"` // who issued it
	Issued    time.Time `json:"issued"`
	Expires   time.Time `json:"expires"`
	Revoked   time.Time `json:"revoked,omitzero"` // zero: not revoked
	RevokedBy string    `json:"revokedBy,omitempty"`
	LastUse   time.Time `json:"lastUse,omitzero"` // coarse; zero: never
	Paths     []string  `json:"paths,omitempty"`  // that it is limited to; nil: none

	Callback *pass.Callback `json:"callback,omitempty"` // nil: it is a pass
	Used     int            `json:"used,omitempty"`     // calls of a callback
}

// UsedUp reports whether a callback has taken as many calls as it may.
func (p Pass) UsedUp() bool {
	return p.Callback != nil && p.Callback.Count > 0 && p.Used >= p.Callback.Count
}

// PutPass records a pass that was issued, with the events that came with it.
// It returns ErrExists when the ID is taken.
func (s *Store) PutPass(p Pass, events ...Event) error {
	err := s.update(events, func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucketPasses))
		if b.Get([]byte(p.ID)) != nil {
			return ErrExists
		}
		return putJSON(b, p.ID, p)
	})
	if err != nil {
		return fmt.Errorf("recording pass %q: %w", p.ID, err)
	}
	return nil
}

// Passes returns all passes on record, by time of issue.
func (s *Store) Passes() ([]Pass, error) {
	passes, err := all[Pass](s, bucketPasses)
	if err != nil {
		return nil, fmt.Errorf("reading the passes: %w", err)
	}
	slices.SortStableFunc(passes, func(a, b Pass) int {
		return cmp.Or(a.Issued.Compare(b.Issued), cmp.Compare(a.ID, b.ID))
	})
	return passes, nil
}

// RevokePass marks a pass as revoked at a time by somebody. Revoking it again
// keeps the first time and writes no event. It returns ErrNotFound for an
// unknown ID.
func (s *Store) RevokePass(id string, at time.Time, by string, events ...Event) error {
	err := s.update(events, func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucketPasses))
		var p Pass
		if err := getJSON(b, []byte(id), &p); err != nil {
			return err
		}
		if !p.Revoked.IsZero() {
			return errUnchanged
		}
		p.Revoked, p.RevokedBy = at, by
		return putJSON(b, id, p)
	})
	if err != nil {
		return fmt.Errorf("revoking pass %q: %w", id, err)
	}
	return nil
}

// UsePasses notes when passes were last used, by ID; unknown ones and earlier
// times are left out. Call it every minute or so rather than at each request.
func (s *Store) UsePasses(last map[string]time.Time) error {
	err := s.update(nil, func(tx *bbolt.Tx) error {
		b, noted := tx.Bucket([]byte(bucketPasses)), errUnchanged
		for id, at := range last {
			var p Pass
			err := getJSON(b, []byte(id), &p)
			if errors.Is(err, ErrNotFound) || err == nil && !at.After(p.LastUse) {
				continue
			}
			if err != nil {
				return err
			}
			p.LastUse = at
			if err := putJSON(b, id, p); err != nil {
				return err
			}
			noted = nil
		}
		return noted
	})
	if err != nil {
		return fmt.Errorf("noting the use of passes: %w", err)
	}
	return nil
}

// UseCallback notes calls of a callback address, and returns how many were noted
// by then. It returns false, and notes nothing, when it has taken as many as it
// may. It returns ErrNotFound for an unknown ID, or one of a pass.
func (s *Store) UseCallback(id string, calls int, at time.Time) (used int, took bool, err error) {
	err = s.update(nil, func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucketPasses))
		var p Pass
		if err := getJSON(b, []byte(id), &p); err != nil {
			return err
		}
		if p.Callback == nil {
			return ErrNotFound
		}
		used = p.Used
		if took = !p.UsedUp(); !took {
			return errUnchanged
		}
		p.Used += calls
		used = p.Used
		if at.After(p.LastUse) {
			p.LastUse = at
		}
		return putJSON(b, id, p)
	})
	if err != nil {
		return 0, false, fmt.Errorf("noting a call of callback %q: %w", id, err)
	}
	return used, took, nil
}

// PrunePasses forgets the passes that expired before a time.
func (s *Store) PrunePasses(expiredBefore time.Time) error {
	err := s.update(nil, func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucketPasses))
		var over [][]byte
		err := b.ForEach(func(id, _ []byte) error {
			var p Pass
			err := getJSON(b, id, &p)
			if p.Expires.Before(expiredBefore) {
				over = append(over, bytes.Clone(id))
			}
			return err
		})
		if err != nil {
			return err
		}
		if len(over) == 0 {
			return errUnchanged
		}
		for _, id := range over {
			if err := b.Delete(id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forgetting expired passes: %w", err)
	}
	return nil
}

func putJSON(b *bbolt.Bucket, key string, value any) error {
	encoded, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return put(b, []byte(key), encoded)
}

// getJSON decodes the value of a key. It returns ErrNotFound where there is
// none.
func getJSON(b *bbolt.Bucket, key []byte, value any) error {
	encoded, err := get(b, key)
	if err != nil {
		return err
	}
	if encoded == nil {
		return ErrNotFound
	}
	if err := json.Unmarshal(encoded, value); err != nil {
		return fmt.Errorf("%w: the value of %q: %w", ErrDamaged, key, err)
	}
	return nil
}

// all decodes every value of a bucket.
func all[T any](s *Store, bucket string) ([]T, error) {
	var values []T
	err := s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		return b.ForEach(func(key, _ []byte) error {
			var value T
			err := getJSON(b, key, &value)
			values = append(values, value)
			return err
		})
	})
	return values, err
}
