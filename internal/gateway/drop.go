package gateway

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/greenroom-dev/greenroom/internal/route"
)

// DropKind says what a call outside the promise seems to be.
type DropKind string

// The kinds.
const (
	Dropped    DropKind = "dropped"    // the caller had requests under way, whose stamp it did not pass on
	Background DropKind = "background" // the caller had none under way: a timer, a queue, a start
)

// maxDrops bounds how many different drops are kept, so that stamps nobody
// knows cannot fill the memory.
const maxDrops = 10_000

// Drop is a path on which calls came outside the promise.
type Drop struct {
	Stamp    string // of a view that the caller served meanwhile; "" for Background
	Caller   string // version ID
	Callee   string // service
	Reason   string // what route.Reason.String returns
	Kind     DropKind
	Count    int64
	LastSeen time.Time
}

type dropKey struct {
	stamp, caller, callee string
	reason                route.Reason
	kind                  DropKind
}

type dropCount struct {
	n    int64
	last time.Time
}

// drops counts calls outside the promise. Honoured calls never come here.
type drops struct {
	mu     sync.Mutex
	counts map[dropKey]*dropCount
}

func (d *drops) add(key dropKey, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.counts == nil {
		d.counts = make(map[dropKey]*dropCount)
	}
	c, ok := d.counts[key]
	if !ok {
		if len(d.counts) >= maxDrops {
			return
		}
		c = new(dropCount)
		d.counts[key] = c
	}
	c.n++
	c.last = now
}

// forget drops what is counted of stamps that are not known.
func (d *drops) forget(known func(stamp string) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key := range d.counts {
		if key.stamp != "" && !known(key.stamp) {
			delete(d.counts, key)
		}
	}
}

// Drops returns the calls outside the promise since the gateway began, for
// stamps in use, sorted by stamp, caller and callee. A call of a caller that
// had requests of several views under way is counted for each of them, since
// nobody can tell which one it was made for.
func (g *Gateway) Drops() []Drop {
	g.drops.mu.Lock()
	all := make([]Drop, 0, len(g.drops.counts))
	for k, c := range g.drops.counts {
		all = append(all, Drop{
			Stamp:    k.stamp,
			Caller:   k.caller,
			Callee:   k.callee,
			Reason:   k.reason.String(),
			Kind:     k.kind,
			Count:    c.n,
			LastSeen: c.last,
		})
	}
	g.drops.mu.Unlock()
	slices.SortFunc(all, func(a, b Drop) int {
		return cmp.Or(cmp.Compare(a.Stamp, b.Stamp), cmp.Compare(a.Caller, b.Caller),
			cmp.Compare(a.Callee, b.Callee), cmp.Compare(a.Reason, b.Reason))
	})
	return all
}

// outside counts a call that no stamp decided about.
func (g *Gateway) outside(s *Snapshot, c *Call, reason route.Reason) {
	from := serviceOf(c.Caller)
	g.metrics.Unstamped(from, c.Service, reason.String())
	if c.Stamp != "" && !s.Table.Known(c.Stamp) {
		g.metrics.Late(from, c.Service)
	}
	now := c.Began
	found := false
	for stamp, v := range g.flows.load() {
		if v.inFlight(from) == 0 {
			continue
		}
		if in, ok := s.Table.Lookup(from, stamp, ""); !ok || in.Stamp != stamp || in.Version != c.Caller {
			continue
		}
		found = true
		g.drops.add(dropKey{stamp, c.Caller, c.Service, reason, Dropped}, now)
	}
	if !found {
		g.drops.add(dropKey{"", c.Caller, c.Service, reason, Background}, now)
	}
}
