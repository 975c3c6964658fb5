package release_test

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/greenroom-dev/greenroom/internal/release"
)

// asked is what the model's fleet asks for, as people know it.
type asked struct {
	items     []string
	approvals int
	frozen    []frozen
	locker    string
	locked    time.Time // until then
}

type frozen struct {
	name     string
	from, to time.Time
}

// words are what people have said of a release as it is now.
type words struct {
	said     map[string]map[string]bool // item → who → go
	approved map[string]bool            // who
	plan     *planned
}

type planned struct {
	at time.Time
	p  release.Promotion
	by release.Actor
}

func (m *model) drawRules(t *rapid.T) release.Rules {
	var out release.Rules
	if rapid.IntRange(0, 2).Draw(t, "rules") > 0 {
		return out
	}
	m.items = []string{"smoke", "mail"}[:rapid.IntRange(0, 2).Draw(t, "items")]
	m.approvals = rapid.IntRange(0, 2).Draw(t, "approvals")
	out.Approvals = m.approvals
	for _, item := range m.items {
		out.Checklist = append(out.Checklist, release.Item{Name: item})
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "freezes") {
		from := m.now.Add(time.Duration(rapid.IntRange(0, 120).Draw(t, "from")) * time.Minute)
		w := frozen{fmt.Sprint("f", i), from, from.Add(time.Duration(rapid.IntRange(1, 60).Draw(t, "long")) * time.Minute)}
		m.frozen = append(m.frozen, w)
		out.Freezes = append(out.Freezes, release.Freeze{Name: w.name, From: w.from, To: w.to})
	}
	return out
}

func someone(t *rapid.T) string {
	return rapid.SampledFrom([]string{"ann", "bob", "cy"}).Draw(t, "who")
}

// promotion is one that somebody asks for.
func (m *model) promotion(t *rapid.T) (release.Promotion, release.Actor) {
	p := release.Promotion{Name: m.among(t, release.Previewing, release.Canary), AllowUnstamped: rapid.Bool().Draw(t, "unstamped")}
	who := release.Actor{Who: someone(t), Why: rapid.SampledFrom([]string{"", "it has to be"}).Draw(t, "why")}
	p.OverrideChecklist = len(m.items) > 0 && rapid.Bool().Draw(t, "override")
	for _, w := range m.frozen {
		if rapid.Bool().Draw(t, "override") {
			p.OverrideFreezes = append(p.OverrideFreezes, w.name)
		}
	}
	return p, who
}

// mayPass fails when a promotion was let through that the fleet's rules, or
// somebody's word, forbid.
func (m *model) mayPass(p release.Promotion, by release.Actor) {
	m.t.Helper()
	c := m.releases[p.Name]
	if (p.OverrideChecklist || len(p.OverrideFreezes) > 0) && by.Why == "" {
		m.t.Fatalf("%s went live in spite of rules, and nobody said why", p.Name)
	}
	for _, item := range m.items {
		if ok := goes(c.said[item]); !ok && !p.OverrideChecklist {
			m.t.Fatalf("%s went live and of %s was said %v", p.Name, item, c.said[item])
		}
	}
	n := len(c.approved)
	if c.approved[by.Who] {
		n--
	}
	if n < m.approvals {
		m.t.Fatalf("%s went live by %s with the approvals of %v, and %d are needed", p.Name, by.Who, c.approved, m.approvals)
	}
	for _, w := range m.frozen {
		if !m.now.Before(w.from) && m.now.Before(w.to) && !slices.Contains(p.OverrideFreezes, w.name) {
			m.t.Fatalf("%s went live at %v, in the freeze %+v", p.Name, m.now, w)
		}
	}
	if m.locker != "" && m.locker != by.Who && m.now.Before(m.locked) {
		m.t.Fatalf("%s went live by %s, and %s has locked the fleet", p.Name, by.Who, m.locker)
	}
}

func goes(said map[string]bool) bool {
	for _, yes := range said {
		if !yes {
			return false
		}
	}
	return len(said) > 0
}

// byItself is a promotion that nobody pressed the button for, of an event.
func (m *model) byItself(e release.Event) (p release.Promotion, by release.Actor, itself bool) {
	if e.Type != "ReleasePromoted" {
		return p, by, false
	}
	c := m.releases[e.Release]
	switch e.Why {
	case "opened to go live at once":
		if !c.auto || c.back {
			m.t.Fatalf("%s went live by itself; asked for: %v, rolled back since: %v", e.Release, c.auto, c.back)
		}
		return release.Promotion{Name: e.Release}, release.Actor{Who: e.Who, Why: e.Why}, true
	case "planned":
		if c.plan == nil || m.now.Before(c.plan.at) || !m.now.Before(c.plan.at.Add(release.Grace)) || c.plan.by.Who != e.Who {
			m.t.Fatalf("%s went live at %v by %s, planned: %+v", e.Release, m.now, e.Who, c.plan)
		}
		return c.plan.p, c.plan.by, true
	}
	return p, by, false
}

// keepsPlans fails when something is planned that nobody planned, or for
// another time than was said.
func (m *model) keepsPlans() {
	m.t.Helper()
	for name, r := range m.s.Releases {
		plan := m.releases[name].plan
		if r.Plan != nil && (plan == nil || !plan.at.Equal(r.Plan.For)) {
			m.t.Fatalf("%s is planned for %v, and people know of %+v", name, r.Plan.For, plan)
		}
		if r.Plan != nil && r.Phase != release.Preparing && r.Phase != release.Previewing && r.Phase != release.Canary && r.Phase != release.Failed {
			m.t.Fatalf("%s is %s, and planned for %v", name, r.Phase, r.Plan.For)
		}
	}
}

// canariesBack is called after a rollback: what was in Canary before and is
// not any more was rolled back with it.
func (m *model) canariesBack(before release.State) {
	for name, was := range before.Releases {
		if was.Phase == release.Canary && m.s.Releases[name].Phase == release.Previewing {
			c := m.releases[name]
			c.words = words{}
			m.releases[name] = c
		}
	}
}

// say signs an item off, or approves, or takes that back.
func (m *model) say(t *rapid.T) {
	m.at(t)
	n, who := m.among(t, release.Previewing, release.Canary), someone(t)
	r, c := m.s.Releases[n], m.releases[n]
	of := release.Saying{Name: n, Generation: r.Generation}
	if r.Phase != release.Previewing && r.Phase != release.Canary {
		err := m.try(func(s release.State) (release.State, error) { return s.Approve(of, false, ann(""), m.now) })
		if err == nil {
			t.Fatalf("%s is %q, and was approved", n, r.Phase)
		}
		return
	}
	if len(m.items) == 0 || rapid.Bool().Draw(t, "approve") {
		withdraw := rapid.IntRange(0, 3).Draw(t, "withdraw") == 0
		m.do(func(s release.State) (release.State, error) {
			return s.Approve(of, withdraw, release.Actor{Who: who}, m.now)
		})
		if c.approved == nil {
			c.approved = map[string]bool{}
		}
		c.approved[who] = true
		if withdraw {
			delete(c.approved, who)
		}
		m.releases[n] = c
		return
	}
	item := rapid.SampledFrom(m.items).Draw(t, "item")
	v := rapid.SampledFrom([]release.Verdict{release.Go, release.Go, release.NoGo, release.Withdraw}).Draw(t, "verdict")
	m.do(func(s release.State) (release.State, error) {
		return s.SignOff(of, item, v, release.Actor{Who: who, Why: "so it is"}, m.now)
	})
	if c.said == nil {
		c.said = map[string]map[string]bool{}
	}
	if c.said[item] == nil {
		c.said[item] = map[string]bool{}
	}
	c.said[item][who] = v == release.Go
	if v == release.Withdraw {
		delete(c.said[item], who)
	}
	m.releases[n] = c
}

func (m *model) plan(t *rapid.T) {
	m.at(t)
	p, who := m.promotion(t)
	c := m.releases[p.Name]
	if rapid.IntRange(0, 3).Draw(t, "cancel") == 0 {
		if m.try(func(s release.State) (release.State, error) { return s.CancelPlan(p.Name, who, m.now) }) == nil {
			c.plan = nil
			m.releases[p.Name] = c
		}
		return
	}
	who.Why = "planned"
	at := m.now.Add(rapid.SampledFrom([]time.Duration{0, time.Second, quiet, drain, release.Grace, pin}).Draw(t, "in"))
	if m.try(func(s release.State) (release.State, error) { return s.PlanPromotion(p, at, who, m.now) }) == nil {
		c.plan = &planned{at, p, who}
		m.releases[p.Name] = c
	}
}

func (m *model) lock(t *rapid.T) {
	m.at(t)
	who := someone(t)
	if rapid.Bool().Draw(t, "unlock") {
		override := rapid.Bool().Draw(t, "override")
		if m.try(func(s release.State) (release.State, error) {
			return s.UnlockFleet(override, release.Actor{Who: who, Why: "now"}, m.now)
		}) == nil {
			m.locker = ""
		}
		return
	}
	until := m.now.Add(pin)
	if m.try(func(s release.State) (release.State, error) {
		return s.LockFleet(until, release.Actor{Who: who}, m.now)
	}) == nil {
		m.locker, m.locked = who, until
	}
}
