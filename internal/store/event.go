package store

import (
	"encoding/json"
	"errors"
	"time"
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

// Events returns at most limit events with a Seq above after, ascending.
func (s *Store) Events(after uint64, limit int) ([]Event, error) {
	return s.EventsAfter(after, Filter{Limit: limit})
}

// EventsAfter returns the first events with a Seq above after, ascending.
func (s *Store) EventsAfter(after uint64, f Filter) ([]Event, error) {
	return nil, errors.ErrUnsupported
}

// EventsBefore returns the last events with a Seq below before, ascending; 0
// stands for the log's end, which makes it the tail.
func (s *Store) EventsBefore(before uint64, f Filter) ([]Event, error) {
	return nil, errors.ErrUnsupported
}

// Append adds events to the log, apart from any change of the record, and
// sets their Seq.
func (s *Store) Append(events ...Event) error { return errors.ErrUnsupported }
