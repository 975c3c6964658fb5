package release_test

import (
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
		actions := map[string]func(*rapid.T){
			"":         m.holds,
			"open":     m.open,
			"rebase":   m.rebase,
			"promote":  m.promote,
			"canary":   m.canary,
			"rollback": m.rollback,
			"abort":    m.abort,
			"settle":   m.settle,
			"retry":    m.retry,
			"apply":    m.apply,
			"say":      m.say,
			"plan":     m.plan,
			"lock":     m.lock,
			"crash":    m.crash,
			"step":     m.step,
			"calm":     m.calm,
			"time":     m.time,
			"while":    m.while,
			"version":  m.version,
			"hook":     m.hook,
			"drop":     m.drop,
			"request":  m.request,
			"hop":      m.hop,
			"reply":    m.reply,
			// what makes a fleet move is done more often than the rest
			"open and calm":    func(t *rapid.T) { m.open(t); m.calm(t) },
			"promote and step": func(t *rapid.T) { m.promote(t); m.step(t) },
			"go live":          func(t *rapid.T) { m.open(t); m.calm(t); m.promote(t); m.calm(t) },
			"go live and back": func(t *rapid.T) { m.open(t); m.calm(t); m.promote(t); m.while(t); m.rollback(t) },
			"abort under load": func(t *rapid.T) { m.request(t); m.request(t); m.abort(t); m.while(t) },
			"say and promote": func(t *rapid.T) {
				m.open(t)
				m.calm(t)
				m.say(t)
				m.say(t)
				m.say(t)
				m.promote(t)
				m.calm(t)
			},
			"say after a rollback": func(t *rapid.T) { m.rollback(t); m.promote(t); m.calm(t) },
			"settle for long":      func(t *rapid.T) { m.settle(t); m.calm(t); m.while(t) },
		}
		for range 2 { // as one long run
			t.Repeat(actions)
		}
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
	words
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
	asked
	read int // of log
}

type before struct {
	release string
	gets    map[string]string
	until   time.Time
}

func newModel(t *rapid.T) *model {
	w := newWorld(t)
	set := settings()
	m := &model{world: w}
	set.Rules = m.drawRules(t)
	set.Pinning = rapid.SampledFrom([]time.Duration{0, quiet, pin}).Draw(t, "pinning")
	w.do(func(s release.State) (release.State, error) {
		return s.Apply(release.Change{Services: s.Services, Settings: set}, ann(""), w.now)
	})
	m.serving, m.gets = release.Baseline, maps.Clone(w.serves())
	m.past, m.releases, m.passed = map[string]bool{}, map[string]content{}, map[string]bool{}
	m.everReady, m.lastSeen, m.read = map[string]bool{}, map[string]time.Time{}, len(w.log)
	return m
}

func (m *model) at(t *rapid.T) { m.t = t }

func name(t *rapid.T) string {
	return rapid.SampledFrom([]string{"r1", "r2", "r3", "r4"}).Draw(t, "name")
}

// among draws one of the releases in a phase, if there are any, and any name
// now and then.
func (m *model) among(t *rapid.T, phases ...release.Phase) string {
	var names []string
	for name, r := range m.s.Releases {
		if slices.Contains(phases, r.Phase) {
			names = append(names, name)
		}
	}
	if len(names) == 0 || rapid.IntRange(0, 4).Draw(t, "any name") == 0 {
		return name(t)
	}
	slices.Sort(names)
	return rapid.SampledFrom(names).Draw(t, "name")
}

// fresh draws a name for a release to be opened or updated.
func (m *model) fresh(t *rapid.T) string {
	if rapid.Bool().Draw(t, "known") {
		return m.among(t, release.Preparing, release.Previewing, release.Failed)
	}
	return fmt.Sprintf("r%d", rapid.IntRange(1, 30).Draw(t, "name"))
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
	if p := m.s.Pin; p != nil && (m.before == nil || p.Until.After(m.before.until)) {
		t.Fatalf("sessions stay on %+v", p)
	}
	for name, r := range m.s.Releases {
		if gone := r.Phase == release.Settling || r.Phase == release.Settled; gone != m.past[name] {
			t.Fatalf("%s is %s; past return: %v", name, r.Phase, m.past[name])
		}
	}
	m.keepsViews()
	m.keepsPlans()
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
	c.back, c.plan = false, nil
	m.releases[name] = c
}

func (m *model) comesBack() {
	c := m.releases[m.serving]
	c.back, c.words = true, words{}
	m.releases[m.serving] = c
	m.serving, m.gets, m.before = m.before.release, m.before.gets, nil
}

func (m *model) noReturn() {
	m.past[m.serving] = true
	m.before = nil
}

func (m *model) open(t *rapid.T) {
	m.at(t)
	o := opening(m.fresh(t))
	m.uids++
	o.UID = fmt.Sprintf("uid-%d", m.uids)
	o.RollbackWindow = rapid.SampledFrom([]time.Duration{0, pin / 2, window, keep}).Draw(t, "window")
	o.Auto = rapid.IntRange(0, 5).Draw(t, "auto") == 0
	names := []string{"web", "api", "wallet", "db", "mail"}
	for _, service := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 3, rapid.ID).Draw(t, "services") {
		id := fmt.Sprintf("%s@%d", service, rapid.IntRange(1, 4).Draw(t, "version"))
		o.Versions = append(o.Versions, version(id, rapid.SampledFrom([]int{1, 3, 3, 3}).Draw(t, "replicas")))
	}
	hooks := []release.Moment{release.Prepare, release.Verify, release.OnSettle, release.OnRollback, release.OnAbort}
	o.Hooks = map[release.Moment][]string{}
	for _, moment := range rapid.SliceOfNDistinct(rapid.SampledFrom(hooks), 0, 1, rapid.ID).Draw(t, "hooks") {
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
	r, ok := m.s.Releases[m.among(t, release.Previewing)]
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
	p, who := m.promotion(t)
	if m.try(func(s release.State) (release.State, error) { return s.Promote(p, m.o, who, m.now) }) != nil || p.Name == m.serving {
		return
	}
	m.mayGoLive(p, who)
	m.goesLive(p.Name)
}

// mayGoLive fails when a promotion was let through that a rule forbids.
func (m *model) mayGoLive(p release.Promotion, by release.Actor) {
	name := p.Name
	c, r := m.releases[name], m.s.Releases[name]
	m.mayPass(p, by)
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
	n := m.among(t, release.Previewing)
	_ = m.try(func(s release.State) (release.State, error) { return s.StartCanary(n, m.o, ann(""), m.now) })
}

func (m *model) rollback(t *rapid.T) {
	m.at(t)
	n := m.among(t, release.Live, release.Canary)
	defer m.canariesBack(m.s)
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
	n := m.among(t, release.Live, release.Previewing, release.Failed)
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
	n := m.among(t, release.Live, release.Settling)
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
	n := m.among(t, release.Previewing, release.Settling)
	_ = m.try(func(s release.State) (release.State, error) { return s.Retry(n, moment, ann(""), m.now) })
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
