package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// Event is a line of the log: what happened, to which release, by whom and
// why.
type Event struct {
	Seq     uint64          `json:"seq"` // given by the store: ascending from 1, without gaps
	Time    time.Time       `json:"time"`
	Type    string          `json:"type"`
	Release string          `json:"release,omitempty"`
	Who     string          `json:"who,omitempty"`
	Why     string          `json:"why,omitempty"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// Filter says which events are wanted, and how many.
type Filter struct {
	Release string // empty: of all
	Limit   int    // at most so many; 0: no limit
}

// retention bounds the log, which otherwise only grows: an event is forgotten
// when it is not among the last keep and either older than age, counted from
// the newest event's time, or not among the last most. Each write forgets at
// most batch events, the oldest first.
type retention struct {
	keep, most uint64
	age        time.Duration
	batch      int
}

func defaultRetention() retention {
	return retention{keep: 100_000, most: 1_000_000, age: 400 * 24 * time.Hour, batch: 256}
}

// Append adds events to the log, apart from any change of the record, and
// sets their Seq.
func (s *Store) Append(events ...Event) error {
	if err := s.update(events, func(*bbolt.Tx) error { return nil }); err != nil {
		return fmt.Errorf("writing to the event log: %w", err)
	}
	return nil
}

// Events returns at most limit events with a Seq above after, ascending; 0
// stands for no limit.
func (s *Store) Events(after uint64, limit int) ([]Event, error) {
	return s.EventsAfter(after, Filter{Limit: limit})
}

// EventsAfter returns the first events with a Seq above after, ascending.
func (s *Store) EventsAfter(after uint64, f Filter) ([]Event, error) {
	if after == ^uint64(0) {
		return nil, nil
	}
	return s.events(f, func(c *bbolt.Cursor, prefix []byte) (func() []byte, []byte) {
		first, _ := c.Seek(binary.BigEndian.AppendUint64(prefix, after+1))
		return func() []byte { k, _ := c.Next(); return k }, first
	})
}

// EventsBefore returns the last events with a Seq below before, ascending; 0
// stands for the log's end, which makes it the tail.
func (s *Store) EventsBefore(before uint64, f Filter) ([]Event, error) {
	if before == 0 {
		before = ^uint64(0)
	}
	events, err := s.events(f, func(c *bbolt.Cursor, prefix []byte) (func() []byte, []byte) {
		prev := func() []byte { k, _ := c.Prev(); return k }
		if k, _ := c.Seek(binary.BigEndian.AppendUint64(prefix, before)); k == nil {
			last, _ := c.Last()
			return prev, last
		}
		return prev, prev()
	})
	slices.Reverse(events)
	return events, err
}

// events collects events along the keys that a walk gives: of the log itself,
// or of the index when a release is wanted.
func (s *Store) events(f Filter, walk func(c *bbolt.Cursor, prefix []byte) (next func() []byte, first []byte)) ([]Event, error) {
	var found []Event
	err := s.db.View(func(tx *bbolt.Tx) error {
		log := tx.Bucket([]byte(bucketEvents))
		c, prefix := log.Cursor(), []byte(nil)
		if f.Release != "" {
			c, prefix = tx.Bucket([]byte(bucketRelease)).Cursor(), indexPrefix(f.Release)
		}
		next, key := walk(c, slices.Clip(prefix))
		for ; key != nil && bytes.HasPrefix(key, prefix) && (f.Limit <= 0 || len(found) < f.Limit); key = next() {
			e, err := readEvent(log, key[len(prefix):])
			if err != nil {
				return err
			}
			found = append(found, e)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the event log: %w", err)
	}
	return found, nil
}

func readEvent(log *bbolt.Bucket, seq []byte) (Event, error) {
	value, err := get(log, seq)
	if err != nil {
		return Event{}, err
	}
	var e Event
	if err := json.Unmarshal(value, &e); err != nil {
		return Event{}, fmt.Errorf("%w: event %x: %w", ErrDamaged, seq, err)
	}
	return e, nil
}

// errUnchanged is returned by a change that found nothing to do.
var errUnchanged = errors.New("unchanged")

// update runs a change and adds its events in one transaction. A change that
// returns errUnchanged writes nothing, events included, and is no failure.
func (s *Store) update(events []Event, change func(*bbolt.Tx) error) error {
	written := slices.Clone(events)
	err := s.db.Update(func(tx *bbolt.Tx) error {
		if err := change(tx); err != nil {
			return err
		}
		for i := range written {
			if err := appendEvent(tx, &written[i]); err != nil {
				return err
			}
		}
		return s.retain.forget(tx)
	})
	switch {
	case err == nil:
		copy(events, written)
	case errors.Is(err, errUnchanged):
		return nil
	}
	return err
}

func appendEvent(tx *bbolt.Tx, e *Event) error {
	if strings.ContainsRune(e.Release, 0) {
		return fmt.Errorf("event %s: no release is called %q", e.Type, e.Release)
	}
	log := tx.Bucket([]byte(bucketEvents))
	seq, err := log.NextSequence()
	if err != nil {
		return fmt.Errorf("numbering an event: %w", err)
	}
	e.Seq = seq
	value, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("event %s: %w", e.Type, err)
	}
	key := binary.BigEndian.AppendUint64(nil, seq)
	log.FillPercent = 1 // keys only ever come at the end
	if err := put(log, key, value); err != nil {
		return fmt.Errorf("event %s: %w", e.Type, err)
	}
	if e.Release == "" {
		return nil
	}
	return put(tx.Bucket([]byte(bucketRelease)), append(indexPrefix(e.Release), key...), nil)
}

func indexPrefix(release string) []byte { return append([]byte(release), 0) }

// forget removes what the retention does not cover.
func (r retention) forget(tx *bbolt.Tx) error {
	log := tx.Bucket([]byte(bucketEvents))
	newest := log.Sequence()
	c := log.Cursor()
	key, _ := c.First()
	if key == nil || newest-binary.BigEndian.Uint64(key) < r.keep {
		return nil
	}
	last, err := readEvent(log, binary.BigEndian.AppendUint64(nil, newest))
	if err != nil {
		return err
	}
	for range r.batch {
		key, _ := c.First()
		if key == nil {
			return nil
		}
		newer := newest - binary.BigEndian.Uint64(key)
		e, err := readEvent(log, key)
		if err != nil {
			return err
		}
		if newer < r.keep || newer < r.most && last.Time.Sub(e.Time) <= r.age {
			return nil
		}
		if e.Release != "" {
			indexed := append(indexPrefix(e.Release), key...)
			if err := tx.Bucket([]byte(bucketRelease)).Delete(indexed); err != nil {
				return fmt.Errorf("forgetting event %d: %w", e.Seq, err)
			}
		}
		if err := c.Delete(); err != nil {
			return fmt.Errorf("forgetting event %d: %w", e.Seq, err)
		}
	}
	return nil
}
