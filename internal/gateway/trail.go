package gateway

import (
	"crypto/rand"
	"slices"
	"strings"
	"sync"
)

// Bounds on what trails take of memory.
const (
	maxTrails     = 20_000 // requests with a trail at a time; others get none
	maxTrailSteps = 64     // different service=version pairs per request
)

// trails collects, for requests that ask for it, which versions they went
// through. An id is random and lives as long as its request; the hops of that
// request bring it as a baggage member.
type trails struct {
	mu   sync.RWMutex
	open map[string]*trail
}

// trail is the way of one request.
type trail struct {
	id    string
	mu    sync.Mutex
	steps []string // service=version, in the order in which they were first met
}

// begin opens a trail; nil when too many are open.
func (t *trails) begin() *trail {
	one := &trail{id: rand.Text()}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.open) >= maxTrails {
		return nil
	}
	if t.open == nil {
		t.open = make(map[string]*trail)
	}
	t.open[one.id] = one
	return one
}

func (t *trails) end(one *trail) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, one.id)
}

// get returns an open trail, or nil.
func (t *trails) get(id string) *trail {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.open[id]
}

// add notes a version by its ID. It does nothing on nil.
func (t *trail) add(version string) {
	if t == nil {
		return
	}
	step := strings.Replace(version, "@", "=", 1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.steps) < maxTrailSteps && !slices.Contains(t.steps, step) {
		t.steps = append(t.steps, step)
	}
}

// String returns the trail as TrailHeader carries it: "web=2.1, api=1.0".
func (t *trail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.steps, ", ")
}

// trailID reports whether s has the form of an id.
func trailID(s string) bool {
	if len(s) != 26 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'A' || c > 'Z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}
