package gateway

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// flows counts requests per stamp and service. The request path reads maps
// that are replaced, never changed, and adds to atomics; a lock is taken only
// for the first request of a pair.
type flows struct {
	metrics Metrics
	mu      sync.Mutex // serializes replacing views
	views   atomic.Pointer[map[string]*viewFlow]
}

// viewFlow is what is under way under one stamp.
type viewFlow struct {
	stamp    string
	member   string // of baggage, that carries the stamp
	end      *onceChan
	lastSeen atomic.Int64 // Unix nanoseconds, coarse
	mu       sync.Mutex   // serializes replacing services
	services atomic.Pointer[map[string]*flow]

	gone  bool      // no view has the stamp; guarded by flows.mu
	prior *viewFlow // of a former view of that stamp; set once, before others see v
}

// flow is what is under way to one service under one stamp.
type flow struct {
	inFlight, requests, errors atomic.Int64
	metrics                    FlowMetrics
}

// coarse is how exact LastSeen is: more often a hop does not write it.
const coarse = 100 * time.Millisecond

func (f *flows) load() map[string]*viewFlow {
	if m := f.views.Load(); m != nil {
		return *m
	}
	return nil
}

func newViewFlow(stamp string) *viewFlow {
	return &viewFlow{stamp: stamp, member: stampMember + "=" + url.PathEscape(stamp), end: newOnceChan()}
}

// view returns the counts of a stamp.
func (f *flows) view(stamp string) *viewFlow {
	if v, ok := f.load()[stamp]; ok {
		return v
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.load()
	if v, ok := old[stamp]; ok {
		return v
	}
	v := newViewFlow(stamp)
	next := maps.Clone(old)
	if next == nil {
		next = make(map[string]*viewFlow)
	}
	next[stamp] = v
	f.views.Store(&next)
	return v
}

// follow starts over with stamps that come back after no view had them, such as
// those of a release that is opened again under its name: what was ended or
// counted of the former view is not the new one's. What is still under way of
// the former counts on.
func (f *flows) follow(known func(stamp string) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var next map[string]*viewFlow
	for stamp, v := range f.load() {
		switch {
		case !known(stamp):
			v.gone = true
		case v.gone:
			if next == nil {
				next = maps.Clone(f.load())
			}
			fresh := newViewFlow(stamp)
			if v.sum() > 0 {
				fresh.prior = v
			}
			next[stamp] = fresh
		}
	}
	if next != nil {
		f.views.Store(&next)
	}
}

// end closes what streams of a stamp wait for.
func (f *flows) end(stamp string, known bool) {
	v := f.view(stamp)
	f.mu.Lock()
	defer f.mu.Unlock()
	v.gone = v.gone || !known
	v.end.close()
}

// forget drops the counts of stamps for which drop says so.
func (f *flows) forget(drop func(v *viewFlow) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.load()
	next := maps.Clone(old)
	maps.DeleteFunc(next, func(_ string, v *viewFlow) bool { return drop(v) })
	if len(next) != len(old) {
		f.views.Store(&next)
	}
}

func (v *viewFlow) load() map[string]*flow {
	if m := v.services.Load(); m != nil {
		return *m
	}
	return nil
}

// service returns the counts of a service under the stamp.
func (v *viewFlow) service(name string, metrics Metrics) *flow {
	if f, ok := v.load()[name]; ok {
		return f
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	old := v.load()
	if f, ok := old[name]; ok {
		return f
	}
	f := &flow{metrics: metrics.Flow(name, ReleaseOf(v.stamp))}
	next := maps.Clone(old)
	if next == nil {
		next = make(map[string]*flow)
	}
	next[name] = f
	v.services.Store(&next)
	return f
}

// inFlight returns how many requests to a service are under way.
func (v *viewFlow) inFlight(service string) int64 {
	if f, ok := v.load()[service]; ok {
		return f.inFlight.Load()
	}
	return 0
}

func (v *viewFlow) sum() int64 {
	var n int64
	for _, f := range v.load() {
		n += f.inFlight.Load()
	}
	if v.prior != nil {
		n += v.prior.sum()
	}
	return n
}

// seen notes that a hop saw the stamp.
func (v *viewFlow) seen(now time.Time) {
	if n := now.UnixNano(); n-v.lastSeen.Load() > int64(coarse) {
		v.lastSeen.Store(n)
	}
}

// StampTraffic is what hops saw of one stamp.
type StampTraffic struct {
	InFlight int64     // requests under way, at the edge and between services; streams and upgraded connections too
	LastSeen time.Time // when a request of it began or ended last, exact to 100 ms; zero: never
}

// Traffic returns what is under way per stamp. A stamp that no hop has seen is
// not part of it; those that no view has any more are, until nothing of theirs has been under way for a minute.
func (g *Gateway) Traffic() map[string]StampTraffic {
	g.forgetEnded()
	traffic := make(map[string]StampTraffic)
	for stamp, v := range g.flows.load() {
		t := StampTraffic{InFlight: v.sum()}
		if n := v.lastSeen.Load(); n > 0 {
			t.LastSeen = time.Unix(0, n)
		}
		traffic[stamp] = t
	}
	return traffic
}

// forgetEnded drops what is counted of stamps that are over, so that the
// counts do not grow with the history of a fleet.
func (g *Gateway) forgetEnded() {
	s := g.Current()
	if s == nil {
		return
	}
	before := g.now().Add(-time.Minute).UnixNano()
	over := func(v *viewFlow) bool {
		return !s.Table.Known(v.stamp) && v.sum() == 0 && v.lastSeen.Load() < before
	}
	for _, v := range g.flows.load() {
		if over(v) {
			g.flows.forget(over)
			break
		}
	}
	g.drops.forget(s.Table.Known)
}

// Flow is what went to one service under one stamp since the gateway began.
type Flow struct {
	Service  string
	Stamp    string
	InFlight int64
	Requests int64 // that ended
	Errors   int64 // of them, answered with 500 or above, or broken off by the service
}

// Flows returns what is counted per service and stamp, sorted by service, then
// stamp.
func (g *Gateway) Flows() []Flow {
	var all []Flow
	for stamp, v := range g.flows.load() {
		for name, f := range v.load() {
			all = append(all, Flow{
				Service:  name,
				Stamp:    stamp,
				InFlight: f.inFlight.Load(),
				Requests: f.requests.Load(),
				Errors:   f.errors.Load(),
			})
		}
	}
	slices.SortFunc(all, func(a, b Flow) int {
		if c := strings.Compare(a.Service, b.Service); c != 0 {
			return c
		}
		return strings.Compare(a.Stamp, b.Stamp)
	})
	return all
}
