package app

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/greenroom-dev/greenroom/internal/controller"
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
	fleet   *fleet.Fleet                  // that the snapshot was built from
	last    *gateway.Snapshot
	revoked map[string]struct{}
}

func newHops(g *gateway.Gateway, k *stage.Keeper) *hops {
	return &hops{gateway: g, stage: k, pools: map[string]*forward.Pool{}, early: map[string][]forward.Instance{}}
}

// Prepare builds the Snapshot of rec. Publishing it is one store, whatever the
// number of services.
func (h *hops) Prepare(rec controller.Record) (func(), error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := rec.State
	what := gateway.Switch{Default: s.Default, Passes: passRules(s), Pins: pins(s)}
	var next *gateway.Snapshot
	var err error
	if h.last != nil && sameRoutes(h.views, s.Views) && reflect.DeepEqual(*h.fleet, rec.Fleet) {
		next, err = h.last.With(what)
	} else {
		next, err = h.build(rec, what)
	}
	if err != nil {
		return nil, err
	}
	return func() { h.publish(rec, next) }, nil
}

func (h *hops) build(rec controller.Record, what gateway.Switch) (*gateway.Snapshot, error) {
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
		Passes: what.Passes, Pins: what.Pins, Revoked: h.revoked,
	}).Compile(), nil
}

// pool returns a version's pool, which lives as long as the version is known.
func (h *hops) pool(rec controller.Record, version string) *forward.Pool {
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

func (h *hops) publish(rec controller.Record, next *gateway.Snapshot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	next.Revoked = h.revoked // which may have grown since next was built
	h.gateway.Publish(next)
	if h.last == nil {
		h.recallStage(rec.State)
	}
	h.last, h.views, h.fleet = next, rec.State.Views, &rec.Fleet
	h.switchStage(rec.State.Epoch, rec.State, rec.State.Default)
}

// recallStage tells the stage what served until the last switch, so that after
// a restart a service that serves in both views is not taken for a new one.
func (h *hops) recallStage(s release.State) {
	for _, r := range s.Releases {
		switch {
		case r.Phase == release.Live:
			h.switchStage(s.Epoch-1, s, r.Former)
		case r.RolledBack != nil && r.RolledBack.At.Equal(s.Since):
			h.switchStage(s.Epoch-1, s, r.View)
		}
	}
}

func (h *hops) switchStage(epoch uint64, s release.State, stamp string) {
	view, known := s.Views[stamp]
	if !known || epoch == 0 {
		return
	}
	// It refuses only what a State never does: another view under the same epoch.
	_ = h.stage.Switch(epoch, cmp.Or(view.Release, release.Baseline), view.Versions)
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
	if h.last == nil {
		return
	}
	next, err := h.last.With(gateway.Switch{Default: h.last.Default(), Passes: h.last.Passes, Pins: h.last.Pins})
	if err != nil {
		return // a Snapshot can always be switched to its own default
	}
	next.Revoked = revoked
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
		return x.Ending() == y.Ending() && maps.Equal(x.Versions, y.Versions)
	})
}

// settledAfter is from when on the stage's leases of a former process are
// over.
func settledAfter(restarted bool, now time.Time) time.Time {
	if !restarted {
		return time.Time{}
	}
	return now.Add(stageLease)
}

// stageLease is how long an instance may stay on stage without asking again.
const stageLease = 10 * time.Second
