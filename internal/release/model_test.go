package release_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/greenroom-dev/greenroom/internal/release"
)

// TestModel holds the state machine against a description of what people are
// promised, over random sequences of what they ask for, of crashes, and of
// what the world does.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		t.Repeat(map[string]func(*rapid.T){
			"":         m.holds,
			"open":     m.open,
			"open ":    m.open,
			"rebase":   m.rebase,
			"promote":  m.promote,
			"promote ": m.promote,
			"canary":   m.canary,
			"rollback": m.rollback,
			"abort":    m.abort,
			"settle":   m.settle,
			"retry":    m.retry,
			"apply":    m.apply,
			"crash":    m.crash,
			"step":     m.step,
			"step ":    m.step,
			"calm":     m.calm,
			"time":     m.time,
			"version":  m.version,
			"hook":     m.hook,
			"drop":     m.drop,
			"request":  m.request,
			"request ": m.request,
			"hop":      m.hop,
			"reply":    m.reply,
		})
		m.comesToRest()
		m.leavesNothing()
	})
}

// content is what a release is made of, as people know it.
type content struct {
	own    map[string]string
	base   map[string]string // what ordinary requests got for its services when it was opened or rebased
	verify []string
	auto   bool
	back   bool // was rolled back with this content
}

// model knows who serves, what a rollback returns to, and which names are past
// the point of no return. It knows nothing of views or phases.
type model struct {
	*world
	serving    string
	gets       map[string]string // what ordinary requests get, by service
	before     *before           // what a rollback of serving returns to; nil: there is none
	past       map[string]bool
	releases   map[string]content
	passed     map[string]bool // hooks that ever passed, by id
	everReady  map[string]bool
	actions    []release.Action // of the last step, not yet done
	requests   []*request
	lastSeen   map[string]time.Time
	uids, mail int
	read       int // of log
}

type before struct {
	release string
	gets    map[string]string
	until   time.Time
}

func newModel(t *rapid.T) *model {
	w := newWorld(t)
	return &model{
		world: w, serving: release.Baseline, gets: maps.Clone(w.serves()),
		past: map[string]bool{}, releases: map[string]content{}, passed: map[string]bool{},
		everReady: map[string]bool{}, lastSeen: map[string]time.Time{}, read: len(w.log),
	}
}

func (m *model) at(t *rapid.T) { m.t = t }

func name(t *rapid.T) string {
	return rapid.SampledFrom([]string{"r1", "r2", "r3", "r4"}).Draw(t, "name")
}

// holds is checked after every action.
func (m *model) holds(t *rapid.T) {
	m.at(t)
	if !maps.Equal(m.gets, m.serves()) {
		t.Fatalf("ordinary requests get %v, want %v of %s", m.serves(), m.gets, m.serving)
	}
	got := m.s.Serving()
	if got.Release != m.serving {
		t.Fatalf("serving %s, want %s", got.Release, m.serving)
	}
	want := ""
	if m.before != nil {
		want = m.before.release
	}
	if got.Before != want {
		t.Fatalf("a rollback returns to %q, want %q", got.Before, want)
	}
	for name, r := range m.s.Releases {
		if gone := r.Phase == release.Settling || r.Phase == release.Settled; gone != m.past[name] {
			t.Fatalf("%s is %s; past return: %v", name, r.Phase, m.past[name])
		}
	}
	m.keepsViews()
}

// goesLive is a promotion as people know it.
func (m *model) goesLive(name string) {
	if m.before != nil {
		m.past[m.serving] = true
	}
	m.before = &before{release: m.serving, gets: m.gets, until: m.now.Add(m.s.Releases[name].RollbackWindow)}
	m.gets = maps.Clone(m.gets)
	maps.Copy(m.gets, m.releases[name].own)
	m.serving = name
	c := m.releases[name]
	c.back = false
	m.releases[name] = c
}

func (m *model) comesBack() {
	c := m.releases[m.serving]
	c.back = true
	m.releases[m.serving] = c
	m.serving, m.gets, m.before = m.before.release, m.before.gets, nil
}

func (m *model) noReturn() {
	m.past[m.serving] = true
	m.before = nil
}

func (m *model) open(t *rapid.T) {
	m.at(t)
	o := opening(name(t))
	m.uids++
	o.UID = fmt.Sprintf("uid-%d", m.uids)
	o.RollbackWindow = rapid.SampledFrom([]time.Duration{0, pin / 2, window}).Draw(t, "window")
	o.Auto = rapid.IntRange(0, 5).Draw(t, "auto") == 0
	names := []string{"web", "api", "wallet", "db", "mail"}
	for _, service := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 3, rapid.ID).Draw(t, "services") {
		id := fmt.Sprintf("%s@%d", service, rapid.IntRange(1, 4).Draw(t, "version"))
		o.Versions = append(o.Versions, version(id, rapid.IntRange(1, 2).Draw(t, "replicas")))
	}
	hooks := []release.Moment{release.Prepare, release.Verify, release.OnSettle, release.OnRollback, release.OnAbort}
	o.Hooks = map[release.Moment][]string{}
	for _, moment := range rapid.SliceOfNDistinct(rapid.SampledFrom(hooks), 0, 2, rapid.ID).Draw(t, "hooks") {
		o.Hooks[moment] = []string{"first", "second"}[:rapid.IntRange(1, 2).Draw(t, "n")]
	}
	m.ask(o, false)
}

// ask opens or updates o, and learns what the release is now made of.
func (m *model) ask(o release.Opening, rebase bool) {
	was, known := m.s.Releases[o.Name]
	verb := release.State.Open
	if rebase {
		verb = release.State.Rebase
	}
	if m.try(func(s release.State) (release.State, error) { return verb(s, o, ann(""), m.now) }) != nil {
		return
	}
	r := m.s.Releases[o.Name]
	c := m.releases[o.Name]
	if !known || r.UID != was.UID {
		c = content{}
	}
	changed := r.Generation != was.Generation || r.UID != was.UID
	if changed {
		next := content{own: map[string]string{}, base: map[string]string{}, verify: o.Hooks[release.Verify]}
		for _, v := range o.Versions {
			next.own[v.Service] = v.ID
			base, kept := c.base[v.Service]
			if !kept || rebase {
				base = m.gets[v.Service]
			}
			next.base[v.Service] = base
		}
		c = next
	}
	c.auto = r.Auto
	m.releases[o.Name] = c
}

func (m *model) rebase(t *rapid.T) {
	m.at(t)
	r, ok := m.s.Releases[name(t)]
	if !ok {
		return
	}
	o := release.Opening{Name: r.Name, Description: r.Description, RollbackWindow: r.RollbackWindow, Keep: r.Keep, Hooks: r.Hooks, Auto: r.Auto}
	for _, service := range slices.Sorted(maps.Keys(r.Versions)) {
		if v, known := m.s.Versions[r.Versions[service]]; known {
			o.Versions = append(o.Versions, v)
		}
	}
	m.ask(o, true)
}

func (m *model) promote(t *rapid.T) {
	m.at(t)
	p := release.Promotion{Name: name(t), AllowUnstamped: rapid.Bool().Draw(t, "unstamped")}
	if m.try(func(s release.State) (release.State, error) { return s.Promote(p, m.o, ann(""), m.now) }) != nil || p.Name == m.serving {
		return
	}
	m.mayGoLive(p.Name)
	m.goesLive(p.Name)
}

// mayGoLive fails when a promotion was let through that a rule forbids.
func (m *model) mayGoLive(name string) {
	c, r := m.releases[name], m.s.Releases[name]
	for service, id := range c.own {
		need := max(m.s.Versions[id].Replicas, 1)
		if status := m.o.Versions[id]; status.Ready < need || status.Ready < m.s.Versions[m.gets[service]].Replicas || status.Stopping {
			m.t.Fatalf("%s went live with %s %+v", name, id, status)
		}
		if m.gets[service] != c.base[service] {
			m.t.Fatalf("%s went live over %s, and was opened over %s", name, m.gets[service], c.base[service])
		}
	}
	for i := range c.verify {
		id := fmt.Sprintf("%s.%d.verify.%d.", r.UID, r.Generation, i)
		if !slices.ContainsFunc(slices.Collect(maps.Keys(m.passed)), func(p string) bool { return strings.HasPrefix(p, id) }) {
			m.t.Fatalf("%s went live and its verify hook %d never passed", name, i)
		}
	}
}

func (m *model) canary(t *rapid.T) {
	m.at(t)
	_ = m.try(func(s release.State) (release.State, error) { return s.StartCanary(name(t), m.o, ann(""), m.now) })
}

func (m *model) rollback(t *rapid.T) {
	m.at(t)
	n := name(t)
	err := m.try(func(s release.State) (release.State, error) { return s.Rollback(n, ann(""), m.now) })
	if n != m.serving || m.before == nil {
		return
	}
	if err != nil {
		t.Fatalf("rollback has no precondition, and %v", err)
	}
	m.comesBack()
}

func (m *model) abort(t *rapid.T) {
	m.at(t)
	n := name(t)
	_, known := m.s.Releases[n]
	err := m.try(func(s release.State) (release.State, error) { return s.Abort(n, ann(""), m.now) })
	if (err == nil) != (known && !m.past[n]) {
		t.Fatalf("%s, past return: %v, and abort says %v", n, m.past[n], err)
	}
	if err == nil && n == m.serving {
		m.comesBack()
	}
}

func (m *model) settle(t *rapid.T) {
	m.at(t)
	n := name(t)
	err := m.try(func(s release.State) (release.State, error) { return s.Settle(n, ann(""), m.now) })
	if n == m.serving && m.before != nil {
		if err != nil {
			t.Fatalf("%s is live and does not settle: %v", n, err)
		}
		m.noReturn()
	}
}

func (m *model) retry(t *rapid.T) {
	m.at(t)
	moment := rapid.SampledFrom([]release.Moment{release.Verify, release.OnSettle, release.OnRollback, release.OnAbort}).Draw(t, "moment")
	_ = m.try(func(s release.State) (release.State, error) { return s.Retry(name(t), moment, ann(""), m.now) })
}

// apply makes the service mail join or leave, or scales api.
func (m *model) apply(t *rapid.T) {
	m.at(t)
	c := release.Change{Services: maps.Clone(m.s.Services), Settings: m.s.Settings}
	_, there := c.Services["mail"]
	first := ""
	switch scale := rapid.Bool().Draw(t, "scale"); {
	case scale:
		c.Replicas = map[string]int{"api": rapid.IntRange(1, 3).Draw(t, "replicas")}
	case there:
		delete(c.Services, "mail")
	default:
		m.mail++
		first = fmt.Sprintf("mail@first%d", m.mail)
		c.Services["mail"] = release.Service{Drain: drain}
		c.First = []release.Version{version(first, 1)}
	}
	if m.try(func(s release.State) (release.State, error) { return s.Apply(c, ann(""), m.now) }) != nil || c.Replicas != nil {
		return
	}
	gets := []map[string]string{maps.Clone(m.gets)}
	m.gets = gets[0]
	if m.before != nil {
		m.before.gets = maps.Clone(m.before.gets)
		gets = append(gets, m.before.gets)
	}
	for _, g := range gets {
		delete(g, "mail")
		if first != "" {
			g["mail"] = first
		}
	}
	if first == "" {
		m.requests = slices.DeleteFunc(m.requests, func(r *request) bool { return strings.HasPrefix(r.caller, "mail@") })
	}
}

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
		m.look()
		m.begin(m.actions)
		for id, status := range m.o.Versions {
			m.mend(id, status)
		}
		for id, status := range m.o.Hooks {
			if status.Running {
				m.passed[id] = true
				m.o.Hooks[id] = release.HookStatus{Passed: true}
			}
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
		if e.Type != "ReleasePromoted" || e.Who != "ann" || e.Why != "opened to go live at once" {
			continue
		}
		if c := m.releases[e.Release]; !c.auto || c.back {
			m.t.Fatalf("%s went live by itself; asked for: %v, rolled back since: %v", e.Release, c.auto, c.back)
		}
		m.mayGoLive(e.Release)
		m.goesLive(e.Release)
		if !m.now.Before(m.before.until) {
			m.noReturn()
		}
	}
	m.read = len(m.log)
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
	m.s = s
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
