package release_test

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/greenroom-dev/greenroom/internal/release"
)

// step looks at the world and does what follows, or some of it, or all of it
// twice.
func (m *model) step(t *rapid.T) {
	m.at(t)
	m.look()
	switch rapid.IntRange(0, 4).Draw(t, "done") {
	case 0: // a crash swallows the actions
	case 1:
		m.begin(m.actions[:len(m.actions)/2])
	case 2:
		m.begin(m.actions)
		m.begin(m.actions)
	default:
		m.begin(m.actions)
	}
}

// calm is a while in which the world does what it should, with the clock
// standing still.
func (m *model) calm(t *rapid.T) {
	m.at(t)
	for range 8 {
		for id, status := range m.o.Versions {
			m.mend(id, status)
		}
		for id, status := range m.o.Hooks {
			if status.Running {
				m.passed[id] = true
				m.o.Hooks[id] = release.HookStatus{Passed: true}
			}
		}
		revision := m.s.Revision
		m.look()
		m.begin(m.actions)
		if revision == m.s.Revision && len(m.actions) == 0 {
			return
		}
	}
}

// mend is how a version does in a world that behaves.
func (m *model) mend(id string, status release.VersionStatus) {
	switch {
	case status.Stopping:
		status.Gone = true
	case status.Failed == "":
		status.Ready = max(m.s.Versions[id].Replicas, 1)
		m.everReady[id] = true
	}
	m.o.Versions[id] = status
}

// look steps with what the hops saw, and follows what the step decided.
func (m *model) look() {
	m.t.Helper()
	m.watch()
	if m.before != nil && !m.now.Before(m.before.until) {
		m.noReturn()
	}
	m.actions = m.world.step()
	for _, e := range m.log[m.read:] {
		for _, id := range m.releases[e.Release].own {
			if status := m.o.Versions[id]; e.Type == "ReleasePreviewing" && status.Ready < max(m.s.Versions[id].Replicas, 1) {
				m.t.Fatalf("%s is shown with %s %+v", e.Release, id, status)
			}
		}
		p, by, itself := m.byItself(e)
		if !itself {
			continue
		}
		m.mayGoLive(p, by)
		m.goesLive(e.Release)
		if !m.now.Before(m.before.until) {
			m.noReturn()
		}
	}
	m.read = len(m.log)
	m.showsWhatItShould()
}

// showsWhatItShould fails unless every preview is the release's own versions
// over what ordinary requests get, and settle hooks begin only when nothing of
// what a release replaced is left.
func (m *model) showsWhatItShould() {
	m.t.Helper()
	for name, r := range m.s.Releases {
		want := maps.Clone(m.gets)
		maps.Copy(want, m.releases[name].own)
		if got := m.s.Views[r.View].Versions; r.Phase == release.Previewing && !maps.Equal(got, want) {
			m.t.Fatalf("%s shows %v, want %v", name, got, want)
		}
	}
	for _, action := range m.actions {
		hook, ok := action.(release.RunHook)
		if !ok || hook.Moment != release.OnSettle || hook.Index > 0 {
			continue
		}
		for _, id := range m.releases[hook.Release].base {
			if status, known := m.o.Versions[id]; known && !status.Gone && !slices.Contains(m.s.Desired(), id) {
				m.t.Fatalf("%s runs its settle hooks while %s is %+v", hook.Release, id, status)
			}
		}
	}
}

// begin does actions as a platform that takes its time.
func (m *model) begin(actions []release.Action) {
	for _, action := range actions {
		switch a := action.(type) {
		case release.Run:
			status := m.o.Versions[a.Version]
			if status.Stopping {
				status = release.VersionStatus{}
				delete(m.everReady, a.Version)
			}
			status.Replicas = m.s.Versions[a.Version].Replicas
			m.o.Versions[a.Version] = status
		case release.Stop:
			if status, known := m.o.Versions[a.Version]; known {
				status.Stopping = true
				m.o.Versions[a.Version] = status
			}
		case release.Forget:
			delete(m.o.Versions, a.Version)
			delete(m.everReady, a.Version)
		case release.EndView:
			m.requests = slices.DeleteFunc(m.requests, func(r *request) bool { return r.stamp == a.Stamp })
		case release.RunHook:
			if _, known := m.o.Hooks[a.ID]; !known {
				m.o.Hooks[a.ID] = release.HookStatus{Running: true}
			}
		}
	}
}

// crash forgets what is not persisted. Processes go on; requests at the edge
// end, and what services do in the background goes on too.
func (m *model) crash(t *rapid.T) {
	m.at(t)
	data := encode(t, m.s)
	var s release.State
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatalf("read the state: %v", err)
	}
	if string(encode(t, s)) != string(data) {
		t.Fatalf("the state changed on its way to the disk and back")
	}
	m.s, m.written = s, data
	m.actions = nil
	m.o.Hooks, m.o.Drops, m.o.Stamps = map[string]release.HookStatus{}, map[string][]release.Drop{}, nil
	m.o.Watching = m.now
	for id, status := range m.o.Versions {
		status.Replicas = -1
		m.o.Versions[id] = status
	}
	clear(m.lastSeen)
	for _, r := range m.requests {
		r.background = true
	}
}

func (m *model) time(t *rapid.T) {
	m.at(t)
	d := rapid.SampledFrom([]time.Duration{time.Second, quiet / 2, quiet, drain, pin, window, keep}).Draw(t, "time")
	m.lively(d)
	m.now = m.now.Add(d)
}

// while lets some time pass in small pieces, with a look at the world in each.
func (m *model) while(t *rapid.T) {
	m.at(t)
	d := rapid.SampledFrom([]time.Duration{quiet / 2, quiet, 2 * quiet}).Draw(t, "piece")
	for range rapid.IntRange(1, 6).Draw(t, "pieces") {
		m.look()
		m.begin(m.actions)
		m.holds(t)
		m.lively(d)
		m.now = m.now.Add(d)
	}
	m.look()
}

func (m *model) version(t *rapid.T) {
	m.at(t)
	if len(m.o.Versions) == 0 {
		return
	}
	id := rapid.SampledFrom(slices.Sorted(maps.Keys(m.o.Versions))).Draw(t, "version")
	status := m.o.Versions[id]
	switch rapid.IntRange(0, 3).Draw(t, "does") {
	case 0:
		status.Ready = 0
		if status.Failed == "" && !status.Stopping && !m.everReady[id] {
			status.Failed = "exit status 1"
		}
		m.o.Versions[id] = status
	case 1:
		status.Ready = min(status.Ready, 1)
		m.o.Versions[id] = status
	default:
		m.mend(id, status)
	}
}

func (m *model) hook(t *rapid.T) {
	m.at(t)
	var running []string
	for id, status := range m.o.Hooks {
		if status.Running {
			running = append(running, id)
		}
	}
	if len(running) == 0 {
		return
	}
	slices.Sort(running)
	id := rapid.SampledFrom(running).Draw(t, "hook")
	status := release.HookStatus{Passed: rapid.IntRange(0, 2).Draw(t, "passes") > 0}
	if !status.Passed {
		status.Message = "exit status 3"
	}
	m.passed[id] = m.passed[id] || status.Passed
	if !m.passed[id] {
		delete(m.passed, id)
	}
	m.o.Hooks[id] = status
}

func (m *model) drop(t *rapid.T) {
	m.at(t)
	stamp := rapid.SampledFrom(slices.Sorted(maps.Keys(m.s.Views))).Draw(t, "stamp")
	m.o.Drops[stamp] = []release.Drop{{Caller: "web", Callee: "api"}}
}
