package store

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEventsArePagedBothWays(t *testing.T) {
	s := openStore(t)
	// r1 and r10 stand beside each other in the index, and must not be mixed.
	for _, release := range []string{"r1", "r10", "", "r1", "r2", "r10", "r1"} {
		if err := s.Append(event(release, "x")); err != nil {
			t.Fatal(err)
		}
	}
	after := func(seq uint64, f Filter) []uint64 {
		t.Helper()
		events, err := s.EventsAfter(seq, f)
		if err != nil {
			t.Fatal(err)
		}
		return seqs(events)
	}
	before := func(seq uint64, f Filter) []uint64 {
		t.Helper()
		events, err := s.EventsBefore(seq, f)
		if err != nil {
			t.Fatal(err)
		}
		return seqs(events)
	}
	for _, c := range []struct {
		name      string
		want, got []uint64
	}{
		{"all", []uint64{1, 2, 3, 4, 5, 6, 7}, after(0, Filter{})},
		{"the first two", []uint64{1, 2}, after(0, Filter{Limit: 2})},
		{"the next two", []uint64{3, 4}, after(2, Filter{Limit: 2})},
		{"past the end", nil, after(7, Filter{})},
		{"far past the end", nil, after(math.MaxUint64, Filter{})},
		{"of r1", []uint64{1, 4, 7}, after(0, Filter{Release: "r1"})},
		{"of r1 after 1", []uint64{4, 7}, after(1, Filter{Release: "r1"})},
		{"of r1 after 7", nil, after(7, Filter{Release: "r1"})},
		{"of r10, one", []uint64{2}, after(0, Filter{Release: "r10", Limit: 1})},
		{"of none", nil, after(0, Filter{Release: "r3"})},
		{"the tail", []uint64{6, 7}, before(0, Filter{Limit: 2})},
		{"before the tail", []uint64{4, 5}, before(6, Filter{Limit: 2})},
		{"before the first", nil, before(1, Filter{})},
		{"the tail of r1", []uint64{4, 7}, before(0, Filter{Release: "r1", Limit: 2})},
		{"of r1 before 7", []uint64{1, 4}, before(7, Filter{Release: "r1"})},
		{"the tail of r2, last in the index", []uint64{5}, before(0, Filter{Release: "r2"})},
		{"of r10 before 2", nil, before(2, Filter{Release: "r10"})},
		{"the tail of none", nil, before(0, Filter{Release: "a"})},
		{"the tail of none, behind all", nil, before(0, Filter{Release: "z"})},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestTheLogIsBoundedByAgeAndNumber(t *testing.T) {
	s := openStore(t)
	s.retain = retention{keep: 10, most: 20, age: time.Hour, batch: 3}
	at := noon
	add := func(n int, step time.Duration) {
		t.Helper()
		for range n {
			at = at.Add(step)
			e := event("r1", "x")
			e.Time = at
			if err := s.Append(e); err != nil {
				t.Fatal(err)
			}
		}
	}
	kept := func() string {
		t.Helper()
		events, err := s.Events(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		indexed, err := s.EventsAfter(0, Filter{Release: "r1"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(events, indexed); diff != "" {
			t.Errorf("log and index differ:\n%s", diff)
		}
		return fmt.Sprintf("%d..%d", events[0].Seq, events[len(events)-1].Seq)
	}
	add(15, time.Second)
	if got := kept(); got != "1..15" {
		t.Errorf("young events were forgotten: %s are left", got)
	}
	add(15, time.Second)
	if got := kept(); got != "11..30" {
		t.Errorf("of more than 20 are left %s, want the last 20", got)
	}
	add(1, 2*time.Hour)
	if got := kept(); got != "14..31" {
		t.Errorf("after a pause are left %s, want a batch of 3 fewer", got)
	}
	add(9, time.Second)
	if got := kept(); got != "31..40" {
		t.Errorf("of old events are left %s, want the last 10 of all", got)
	}
	add(1, 100*time.Hour)
	if got := kept(); got != "32..41" {
		t.Errorf("after a long pause are left %s, want the last 10 whatever their age", got)
	}
	s = reopen(t, s)
	if events, err := s.EventsBefore(0, Filter{Limit: 1}); err != nil || events[0].Seq != 41 {
		t.Errorf("after a restart the last event is %v (%v)", events, err)
	}
}

func TestAtLeastAHundredThousandEventsAreKept(t *testing.T) {
	if r := defaultRetention(); r.keep < 100_000 || r.most < r.keep {
		t.Errorf("retention %+v", r)
	}
}

func BenchmarkSave(b *testing.B) {
	s := openStore(b)
	rec := record(1)
	rec.State = make([]byte, 64<<10)
	for b.Loop() {
		if err := s.Save(rec, []Event{event("r1", "x")}); err != nil {
			b.Fatal(err)
		}
		rec.Revision++
	}
}

// BenchmarkOpen opens a store with a full log.
func BenchmarkOpen(b *testing.B) {
	s := openStore(b)
	events := make([]Event, 100_000)
	for i := range events {
		events[i] = event(fmt.Sprint("r", i/100), "x")
	}
	if err := s.Append(events...); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s = reopen(b, s)
	}
}
