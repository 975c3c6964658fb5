package release_test

import (
	"maps"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/greenroom-dev/greenroom/internal/release"
	"github.com/greenroom-dev/greenroom/internal/route"
)

// request is a visit that goes from service to service under the stamp that it
// got at the edge.
type request struct {
	stamp      string
	view       map[string]string // as it was at the edge
	caller     string            // version that it has come to
	began      time.Time
	background bool // the edge knows nothing of it any more
}

func (m *model) table() *route.Table[string] {
	m.t.Helper()
	c := route.Config{Default: m.s.Default}
	for stamp, v := range m.s.Views {
		c.Views = append(c.Views, route.View{Stamp: stamp, Versions: v.Versions, Ending: v.Ending()})
	}
	table, err := route.Build(c, func(id string) string { return id })
	if err != nil {
		m.t.Fatalf("the views make no table: %v", err)
	}
	return table
}

// stamps are those that the edge may give a request now.
func (m *model) stamps() []string {
	out := []string{m.s.Default}
	if p := m.s.Pin; p != nil && m.now.Before(p.Until) {
		out = append(out, p.Stamp)
	}
	for _, r := range m.s.Releases {
		switch r.Phase {
		case release.Preparing, release.Previewing, release.Canary, release.Live:
			if r.View != "" {
				out = append(out, r.View)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// request comes in at the edge.
func (m *model) request(t *rapid.T) {
	m.at(t)
	stamp := rapid.SampledFrom(m.stamps()).Draw(t, "stamp")
	r := &request{stamp: stamp, view: maps.Clone(m.s.Views[stamp].Versions), began: m.now}
	m.requests = append(m.requests, r)
	m.call(r, rapid.SampledFrom(slices.Sorted(maps.Keys(r.view))).Draw(t, "service"))
}

// call goes to the next service, which must be that of the view that the
// request began on.
func (m *model) call(r *request, service string) {
	m.t.Helper()
	if _, there := m.s.Services[service]; !there {
		return
	}
	got, ok := m.table().Lookup(service, r.stamp, r.caller)
	if !ok || got.Reason != route.Honoured || got.Stamp != r.stamp || got.Version != r.view[service] && service != "mail" {
		m.t.Fatalf("a request of %s at %s calls %s and gets %s of %s, %s; want %s",
			r.stamp, r.caller, service, got.Version, got.Stamp, got.Reason, r.view[service])
	}
	m.lastSeen[r.stamp] = m.now
	r.caller = got.Version
}

func (m *model) hop(t *rapid.T) {
	m.at(t)
	if len(m.requests) == 0 {
		return
	}
	r := rapid.SampledFrom(m.requests).Draw(t, "request")
	if _, there := m.s.Views[r.stamp]; there {
		m.call(r, rapid.SampledFrom(slices.Sorted(maps.Keys(r.view))).Draw(t, "service"))
	}
}

func (m *model) reply(t *rapid.T) {
	m.at(t)
	if len(m.requests) > 0 {
		i := rapid.IntRange(0, len(m.requests)-1).Draw(t, "request")
		m.requests = slices.Delete(m.requests, i, i+1)
	}
}

// keepsViews fails when a view has ended under a request that had time left.
func (m *model) keepsViews() {
	m.t.Helper()
	for _, r := range m.requests {
		if _, there := m.s.Views[r.stamp]; !there && m.now.Before(r.began.Add(drain)) {
			m.t.Fatalf("%s has ended under a request that began %v ago", r.stamp, m.now.Sub(r.began))
		}
	}
}

// lively lets what goes on in the background call, since d is about to pass;
// what says nothing for as long as the quiet time is over by definition.
func (m *model) lively(d time.Duration) {
	m.requests = slices.DeleteFunc(m.requests, func(r *request) bool { return r.background && d >= quiet })
	for _, r := range m.requests {
		if _, there := m.s.Views[r.stamp]; there && r.background {
			m.lastSeen[r.stamp] = m.now
		}
	}
}

// watch is what the hops see of stamps.
func (m *model) watch() {
	m.o.Stamps = map[string]release.StampStatus{}
	for stamp, seen := range m.lastSeen {
		m.o.Stamps[stamp] = release.StampStatus{LastSeen: seen}
	}
	for _, r := range m.requests {
		if !r.background {
			status := m.o.Stamps[r.stamp]
			status.InFlight++
			m.o.Stamps[r.stamp] = status
		}
	}
}

// comesToRest lets the world behave and time pass: every release must come to
// rest, and every view that ends must have ended.
func (m *model) comesToRest() {
	m.t.Helper()
	m.lively(quiet)
	m.watch() // streams that are still open stay so until they are ended
	m.o.Drops = nil
	for id, status := range m.o.Hooks {
		if status.Running {
			m.o.Hooks[id] = release.HookStatus{Passed: true}
		}
	}
	for id, status := range m.o.Versions {
		m.mend(id, status)
	}
	for range 6 {
		for name, r := range m.s.Releases {
			if r.Phase == release.Settling {
				m.world.settle(name) // by hand, where a hook failed
			}
		}
		m.pass(keep)
	}
	for name, r := range m.s.Releases {
		switch r.Phase {
		case release.Previewing, release.Canary, release.Settled, release.Aborted, release.Failed:
		default:
			m.t.Errorf("%s never comes to rest: %s, %s", name, r.Phase, r.Reason)
		}
	}
	for stamp, v := range m.s.Views {
		if v.Ending() {
			m.t.Errorf("%s ends for ever", stamp)
		}
	}
}

// leavesNothing ends what can be ended: of it nothing but the record may stay.
func (m *model) leavesNothing() {
	m.t.Helper()
	for name, r := range m.s.Releases {
		if !r.Phase.Ended() {
			m.world.abort(name)
		}
	}
	m.pass(drain)
	m.run()
	if len(m.s.Views) != 1 {
		m.t.Errorf("views %v stay", slices.Collect(maps.Keys(m.s.Views)))
	}
	serves := slices.Sorted(maps.Values(m.serves()))
	if !slices.Equal(m.s.Desired(), serves) {
		m.t.Errorf("desired %v, and ordinary requests get %v", m.s.Desired(), serves)
	}
	for id, status := range m.o.Versions {
		if !status.Gone && !slices.Contains(serves, id) {
			m.t.Errorf("%s runs on: %+v", id, status)
		}
		if _, known := m.s.Versions[id]; !known {
			m.t.Errorf("the platform still knows %s", id)
		}
	}
	for id := range m.s.Versions {
		spoken := slices.Contains(serves, id)
		for _, r := range m.s.Releases {
			service, _, _ := strings.Cut(id, "@")
			spoken = spoken || r.Versions[service] == id || r.Replaces[service] == id
		}
		if !spoken {
			m.t.Errorf("nobody speaks of %s any more", id)
		}
	}
}
