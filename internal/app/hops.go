package app

import (
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
	"github.com/greenroom-dev/greenroom/internal/release"
	"github.com/greenroom-dev/greenroom/internal/route"
	"github.com/greenroom-dev/greenroom/internal/stage"
)

// hops makes the edge and the mesh follow Records: it is the controller's Hops
// over one gateway, its pools of instances, and the stage.
type hops struct {
	gateway *gateway.Gateway
	stage   *stage.Keeper

	mu      sync.Mutex
	pools   map[string]*forward.Pool      // by version ID
	early   map[string][]forward.Instance // ready before a view, and so a pool, had need of them
	views   map[string]release.View       // that table was built from
	kept    *Kept                         // that the snapshot was built from
	last    *gateway.Snapshot
	revoked map[string]struct{}

	callbacks *gateway.Callbacks
}

func newHops(g *gateway.Gateway, k *stage.Keeper) *hops {
	return &hops{gateway: g, stage: k, pools: map[string]*forward.Pool{}, early: map[string][]forward.Instance{}}
}

// Prepare builds the Snapshot of rec. Publishing it is one store, whatever the
// number of services.
func (h *hops) Prepare(rec Record) (func(), error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := rec.State
	what := gateway.Switch{Default: s.Default, Passes: passRules(s), Pins: pins(s), Hold: holdOf(rec), Serving: s.Named(s.Default)}
	var next *gateway.Snapshot
	var err error
	if h.last != nil && sameRoutes(h.views, s.Views) && (h.kept == rec.Kept || reflect.DeepEqual(h.kept.Fleet, rec.Fleet)) {
		next, err = h.last.With(what)
	} else {
		next, err = h.build(rec, what)
	}
	if err != nil {
		return nil, err
	}
	return func() { h.publish(rec, next) }, nil
}

func (h *hops) build(rec Record, what gateway.Switch) (*gateway.Snapshot, error) {
	config := route.Config{Default: what.Default}
	for stamp, v := range rec.State.Views {
		config.Views = append(config.Views, route.View{Stamp: stamp, Versions: v.Versions, Ending: v.Ending()})
	}
	table, err := route.Build(config, func(version string) *forward.Pool { return h.pool(rec, version) })
	if err != nil {
		return nil, err
	}
	return (&gateway.Snapshot{
		Table: table, Edge: rec.Fleet.Edge, StampHeader: rec.Fleet.StampHeader, Services: rec.Fleet.Services,
		Passes: what.Passes, Pins: what.Pins, Hold: what.Hold, Serving: what.Serving, Revoked: h.revoked, Callbacks: h.callbacks,
	}).Compile(), nil
}

// pool returns a version's pool, which lives as long as the version is known.
func (h *hops) pool(rec Record, version string) *forward.Pool {
	if p, ok := h.pools[version]; ok {
		return p
	}
	v := rec.State.Versions[version]
	protocol := forward.HTTP
	if s, ok := rec.Fleet.Service(v.Service); ok && s.Protocol == fleet.GRPC {
		protocol = forward.GRPC
	}
	p := forward.NewPool(v.Service, v.Name, protocol)
	p.Set(h.early[version])
	delete(h.early, version)
	h.pools[version] = p
	return p
}

func (h *hops) publish(rec Record, next *gateway.Snapshot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	next.Revoked, next.Callbacks = h.revoked, h.callbacks // which may be others since next was built
	h.gateway.Publish(next)
	h.stage.Follow(rec.State, h.last == nil)
	h.last, h.views, h.kept = next, rec.State.Views, rec.Kept
}

// revoke turns away a pass from now on.
func (h *hops) revoke(ids ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	revoked := maps.Clone(h.revoked)
	if revoked == nil {
		revoked = map[string]struct{}{}
	}
	for _, id := range ids {
		revoked[id] = struct{}{}
	}
	h.revoked = revoked
	h.publishAgain()
}

// call makes these the callback addresses that may be called from now on.
func (h *hops) call(list []gateway.Callback) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.callbacks = gateway.NewCallbacks(list)
	h.publishAgain()
}

// publishAgain lets requests see who may pass now. The caller holds mu.
func (h *hops) publishAgain() {
	if h.last == nil {
		return
	}
	next, err := h.last.With(gateway.Switch{Default: h.last.Default(), Passes: h.last.Passes, Pins: h.last.Pins, Hold: h.last.Hold})
	if err != nil {
		return // a Snapshot can always be switched to its own default
	}
	next.Revoked, next.Callbacks = h.revoked, h.callbacks
	h.gateway.Publish(next)
	h.last = next
}

// ready makes a version's pool hold these instances. A release's versions are
// ready before its view is built: they are kept for the pool to come.
func (h *hops) ready(version string, instances []forward.Instance) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch p, ok := h.pools[version]; {
	case ok:
		p.Set(instances)
	case len(instances) > 0:
		h.early[version] = instances
	default:
		delete(h.early, version)
	}
}

// busy reports whether requests are under way on an instance.
func (h *hops) busy(version, instance string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	p, ok := h.pools[version]
	return ok && p.Busy(instance)
}

// forget drops the pool of a version that is gone.
func (h *hops) forget(version string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.early, version)
	if p, ok := h.pools[version]; ok {
		p.Close()
		delete(h.pools, version)
	}
}

// inFlight returns the requests under way by version ID.
func (h *hops) inFlight() map[string]int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make(map[string]int64, len(h.pools))
	for version, p := range h.pools {
		out[version] = p.InFlight()
	}
	return out
}

// EndView tells and ends the streams of a view that has ended.
func (h *hops) EndView(stamp string) { h.gateway.EndView(stamp) }

// Observe returns what the hops saw of stamps, and which calls lost one.
func (h *hops) Observe() (map[string]release.StampStatus, map[string][]release.Drop) {
	stamps := map[string]release.StampStatus{}
	for stamp, t := range h.gateway.Traffic() {
		stamps[stamp] = release.StampStatus{InFlight: t.InFlight, LastSeen: t.LastSeen}
	}
	drops := map[string][]release.Drop{}
	for _, d := range h.gateway.Drops() {
		if d.Kind != gateway.Dropped {
			continue
		}
		drop := release.Drop{Caller: service(d.Caller), Callee: d.Callee}
		if !slices.Contains(drops[d.Stamp], drop) {
			drops[d.Stamp] = append(drops[d.Stamp], drop)
		}
	}
	return stamps, drops
}

func passRules(s release.State) map[string]gateway.PassRule {
	rules := make(map[string]gateway.PassRule, len(s.Releases))
	for name, r := range s.Releases {
		rule := gateway.PassRule{UID: r.UID}
		switch {
		case r.Phase == release.Settling || r.Phase == release.Settled:
			rule.Access = gateway.Ordinary
		case r.Phase == release.Aborted:
			rule.Reason = "Release " + name + " was aborted."
		case r.Phase == release.Failed:
			rule.Reason = "Release " + name + " has failed."
		case r.View == "":
			rule.Reason = "Release " + name + " is still being prepared."
		default:
			rule.Access, rule.Stamp = gateway.Preview, r.View
		}
		rules[name] = rule
	}
	return rules
}

func pins(s release.State) []gateway.Pin {
	if s.Pin == nil {
		return nil
	}
	return []gateway.Pin{{Stamp: s.Pin.Stamp, Until: s.Pin.Until}}
}

// sameRoutes reports whether two sets of views route alike, whichever of them
// is the default.
func sameRoutes(a, b map[string]release.View) bool {
	return maps.EqualFunc(a, b, func(x, y release.View) bool {
		return x.Ending() == y.Ending() && sameMap(x.Versions, y.Versions)
	})
}

// settledAfter is from when on the stage's leases of a former process are
// over.
func settledAfter(restarted bool, now time.Time, lease time.Duration) time.Time {
	if !restarted {
		return time.Time{}
	}
	return now.Add(lease)
}

// stageLease is how long an instance may stay on stage without asking again,
// unless Options say otherwise.
const stageLease = 10 * time.Second
