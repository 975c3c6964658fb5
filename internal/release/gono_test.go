package release_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/release"
)

func by(who, why string) release.Actor { return release.Actor{Who: who, Why: why} }

// rules makes a fleet ask for more.
func (w *world) rules(r release.Rules) {
	w.t.Helper()
	set := w.s.Settings
	set.Rules = r
	w.do(func(s release.State) (release.State, error) {
		return s.Apply(release.Change{Services: s.Services, Settings: set}, ann(""), w.now)
	})
}

func (w *world) says(who, item string, v release.Verdict, note string) {
	w.t.Helper()
	w.do(func(s release.State) (release.State, error) {
		return s.SignOff(release.Saying{Name: "r1", Generation: s.Releases["r1"].Generation}, item, v, by(who, note), w.now)
	})
}

func (w *world) approves(who string) {
	w.t.Helper()
	w.do(func(s release.State) (release.State, error) {
		return s.Approve(release.Saying{Name: "r1"}, false, by(who, ""), w.now)
	})
}

func (w *world) asks(p release.Promotion, who release.Actor) error {
	w.t.Helper()
	p.Name = "r1"
	return w.try(func(s release.State) (release.State, error) { return s.Promote(p, w.o, who, w.now) })
}

func (w *world) plans(p release.Promotion, at time.Time, who release.Actor) error {
	w.t.Helper()
	p.Name = "r1"
	return w.try(func(s release.State) (release.State, error) { return s.PlanPromotion(p, at, who, w.now) })
}

// told are the events of a kind, as message and who.
func (w *world) told(kind string) []string {
	var out []string
	for _, e := range w.log {
		if e.Type == kind {
			out = append(out, e.Who+": "+e.Message)
		}
	}
	return out
}

func (w *world) wantTold(t *testing.T, kind string, want ...string) {
	t.Helper()
	if got := w.told(kind); !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", kind, got, want)
	}
}

func listed(names ...string) release.Rules {
	var out release.Rules
	for _, name := range names {
		out.Checklist = append(out.Checklist, release.Item{Name: name})
	}
	return out
}

func TestChecklistHoldsAPromotion(t *testing.T) {
	w := newWorld(t)
	w.rules(listed("smoke"))
	o := opening("r1", "api@2")
	o.Checklist = []release.Item{{Name: "gifts", Text: "send one twice"}, {Name: "smoke", Text: "log in"}}
	w.open(o)
	items := w.s.Checklist(w.s.Releases["r1"])
	if want := []release.Item{{Name: "smoke", Text: "log in"}, {Name: "gifts", Text: "send one twice"}}; !slices.Equal(items, want) {
		t.Errorf("the checklist is %+v", items)
	}
	const remedy = "; testers sign it off (greenroom release check r1), or --override-checklist with a --reason"
	wantRefused(t, w.asks(release.Promotion{}, ann("")), "checklist", "its checklist is open: smoke, gifts"+remedy)
	w.says("tina", "smoke", release.Go, "as ever")
	wantRefused(t, w.asks(release.Promotion{}, ann("")), "checklist", "its checklist is open: gifts"+remedy)
	w.says("tina", "gifts", release.NoGo, "only once")
	wantRefused(t, w.asks(release.Promotion{}, ann("")), "checklist", "its checklist says no-go: gifts"+remedy)
	w.says("tom", "gifts", release.Go, "") // a no-go stands whatever others say
	wantRefused(t, w.asks(release.Promotion{}, ann("")), "checklist", "its checklist says no-go: gifts"+remedy)
	w.says("tina", "gifts", release.Go, "my mistake")
	if err := w.asks(release.Promotion{}, ann("")); err != nil {
		t.Fatal(err)
	}
	w.wantTold(t, "ChecklistSigned", "tina: smoke: go", "tina: gifts: no-go", "tom: gifts: go", "tina: gifts: go")
	w.wantTold(t, "ReleasePromoted", "ann: ordinary requests get r1; before it baseline (api 1, db 1, wallet 1, web 1)")
}

func TestSignOffRefuses(t *testing.T) {
	w := newWorld(t)
	sign := func(generation uint64, item string, v release.Verdict, note string) error {
		return w.try(func(s release.State) (release.State, error) {
			return s.SignOff(release.Saying{Name: "r1", Generation: generation}, item, v, by("tina", note), w.now)
		})
	}
	if err := sign(0, "smoke", release.Go, ""); !errors.Is(err, release.ErrUnknown) {
		t.Errorf("of no release: %v", err)
	}
	w.do(func(s release.State) (release.State, error) { return s.Open(opening("r1", "api@2"), ann(""), w.now) })
	wantRefused(t, sign(0, "smoke", release.Go, ""), "phase", "r1 is Preparing; wait until it is Previewing")
	w.run()
	wantRefused(t, sign(0, "smoke", release.Go, ""), "checklist",
		`the checklist of r1 has no item "smoke"; it has none; spec.checklist of a Release, or spec.release.checklist of the Fleet, would name them`)
	w.rules(listed("smoke", "mail"))
	wantRefused(t, sign(0, "gifts", release.Go, ""), "checklist", `the checklist of r1 has no item "gifts"; its checklist is: smoke, mail`)
	wantRefused(t, sign(0, "smoke", release.NoGo, " "), "reason", "a no-go needs a note, for those who mend it; say what is wrong: --note")
	if err := sign(7, "smoke", release.Go, ""); !errors.Is(err, release.ErrStale) {
		t.Errorf("of another generation: %v", err)
	}
	w.says("tina", "smoke", release.Withdraw, "") // nothing was said
	w.says("tina", "smoke", release.Go, "")
	revision := w.s.Revision
	w.says("tina", "smoke", release.Go, "")
	if w.s.Revision != revision {
		t.Error("saying the same again changed something")
	}
	w.says("tina", "smoke", release.Withdraw, "")
	if v := w.s.Releases["r1"].Verdict("smoke"); v != "" {
		t.Errorf("what was withdrawn is %q", v)
	}
	w.promote1(t, release.Promotion{OverrideChecklist: true})
	wantRefused(t, sign(0, "smoke", release.Go, ""), "phase", "r1 is Live; only what holders of a pass see, and can be promoted, is signed off")
}

func (w *world) promote1(t *testing.T, p release.Promotion) {
	t.Helper()
	if err := w.asks(p, ann("it has to be")); err != nil {
		t.Fatal(err)
	}
}

func TestOverrideSaysWhatItPassedOver(t *testing.T) {
	w := newWorld(t)
	rules := listed("smoke")
	rules.Freezes = []release.Freeze{
		{Name: "sale", From: w.now.Add(-time.Hour), To: w.now.Add(time.Hour), Why: "the big one"},
		{Name: "later", From: w.now.Add(time.Hour), To: w.now.Add(2 * time.Hour)},
	}
	w.rules(rules)
	w.open(opening("r1", "api@2"))
	wantRefused(t, w.asks(release.Promotion{OverrideChecklist: true}, ann("")), "reason",
		"what is overridden needs a reason, for those who read of it later; say why: --reason")
	wantRefused(t, w.asks(release.Promotion{OverrideChecklist: true}, ann("now")), "freeze",
		"the freeze sale holds until Wed 4 Mar 13:00 UTC (the big one); wait, or --override-freeze sale with a --reason")
	wantRefused(t, w.asks(release.Promotion{OverrideChecklist: true, OverrideFreezes: []string{"sail"}}, ann("now")), "freeze",
		`the fleet has no freeze "sail"; greenroom status shows those that hold`)
	wantRefused(t, w.asks(release.Promotion{OverrideChecklist: true, OverrideFreezes: []string{"later"}}, ann("now")), "freeze",
		"the freeze sale holds until Wed 4 Mar 13:00 UTC (the big one); wait, or --override-freeze sale with a --reason")
	w.promote1(t, release.Promotion{OverrideChecklist: true, OverrideFreezes: []string{"sale"}})
	w.wantTold(t, "ReleasePromoted", "ann: ordinary requests get r1; before it baseline (api 1, db 1, wallet 1, web 1); although its checklist is open: smoke, in spite of the freeze sale")
	w.rollback("r1") // no freeze, lock or list is in its way
	w.wants(map[string]release.Phase{"r1": release.Previewing})
}

func TestApprovalIsSomebodyElses(t *testing.T) {
	w := newWorld(t)
	w.rules(release.Rules{Approvals: 1})
	w.open(opening("r1", "api@2"))
	const missing = "r1 has 0 of 1 approval by others than who promotes it; somebody else looks at it, then greenroom release approve r1"
	wantRefused(t, w.asks(release.Promotion{}, ann("")), "approvals", missing)
	w.approves("ann")
	revision := w.s.Revision
	w.approves("ann")
	if w.s.Revision != revision {
		t.Error("approving twice changed something")
	}
	wantRefused(t, w.asks(release.Promotion{}, ann("")), "approvals", missing)
	wantRefused(t, w.asks(release.Promotion{OverrideChecklist: true}, ann("please")), "approvals", missing) // nothing overrides it
	if err := w.try(func(s release.State) (release.State, error) {
		return s.Promote(release.Promotion{Name: "r1"}, w.o, by("bob", ""), w.now)
	}); err != nil {
		t.Fatalf("bob promotes what ann approved: %v", err)
	}

	w = newWorld(t)
	w.rules(release.Rules{Approvals: 2})
	w.open(opening("r1", "api@2"))
	w.approves("bob")
	w.approves("cy")
	w.do(func(s release.State) (release.State, error) {
		return s.Approve(release.Saying{Name: "r1"}, true, by("cy", "not sure"), w.now)
	})
	wantRefused(t, w.asks(release.Promotion{}, ann("")), "approvals",
		"r1 has 1 of 2 approvals by others than who promotes it; somebody else looks at it, then greenroom release approve r1")
	w.approves("cy")
	w.promote1(t, release.Promotion{})
}

func TestChangeVoidsWhatWasSaid(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*world)
	}{
		{"other content", func(w *world) { w.open(opening("r1", "api@3")) }},
		{"another checklist", func(w *world) {
			o := opening("r1", "api@2")
			o.Checklist = []release.Item{{Name: "smoke", Text: "by hand"}}
			w.open(o)
		}},
		{"rebase", func(w *world) {
			w.live("r2", "api@9")
			w.do(func(s release.State) (release.State, error) { return s.Rebase(opening("r1", "api@2"), ann(""), w.now) })
			w.run()
		}},
		{"rollback", func(w *world) { w.promote1(w.t.(*testing.T), release.Promotion{}); w.run(); w.rollback("r1") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.open(opening("r1", "api@2"))
			w.live("r0", "web@5") // so that what r1 shows is rebuilt, which is no change of it
			rules := listed("smoke")
			rules.Approvals = 1
			w.rules(rules)
			w.says("tina", "smoke", release.Go, "")
			w.approves("bob")
			if c.name == "rebase" {
				w.rules(release.Rules{})
			}
			if err := w.plans(release.Promotion{}, w.now.Add(time.Hour), ann("")); err != nil {
				t.Fatal(err)
			}
			c.change(w)
			w.rules(rules)
			w.run()
			r := w.s.Releases["r1"]
			if r.Verdict("smoke") != "" || r.Plan != nil || len(r.SignOffs) != 1 {
				t.Errorf("%q stands, planned %+v, said %+v", r.Verdict("smoke"), r.Plan, r.SignOffs)
			}
			w.wantTold(t, "SignOffsVoid", "ann: 1 sign-off and 1 approval of what it was before do not count any more")
			var refused *release.Refused
			if err := w.asks(release.Promotion{}, ann("")); !errors.As(err, &refused) || refused.Rule != "checklist" {
				t.Errorf("promoted with %v", err)
			}
			w.says("tina", "smoke", release.Go, "")
			w.approves("bob")
			w.promote1(t, release.Promotion{})
		})
	}
}

func TestPlannedPromotion(t *testing.T) {
	w := newWorld(t)
	w.rules(listed("smoke"))
	w.open(opening("r1", "api@2"))
	at := w.now.Add(3 * time.Hour)
	if err := w.plans(release.Promotion{}, at, ann("quiet hour")); err != nil {
		t.Fatal(err)
	}
	w.pass(3*time.Hour - time.Second)
	w.wants(map[string]release.Phase{"r1": release.Previewing})
	w.says("tina", "smoke", release.Go, "")
	w.pass(time.Second)
	w.wants(map[string]release.Phase{"r1": release.Live})
	if w.s.Releases["r1"].Plan != nil {
		t.Error("the plan is there still")
	}
	w.wantTold(t, "ReleasePromoted", "ann: ordinary requests get r1; before it baseline (api 1, db 1, wallet 1, web 1)")
	if e := w.log[len(w.log)-1]; e.Type == "ReleasePromoted" && e.Why != "quiet hour" {
		t.Errorf("it says why: %q", e.Why)
	}
}

func TestPlannedPromotionIsCheckedAgain(t *testing.T) {
	w := newWorld(t)
	w.rules(listed("smoke"))
	w.open(opening("r1", "api@2"))
	at := w.now.Add(time.Hour)
	if err := w.plans(release.Promotion{}, at, ann("")); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Hour)
	w.wants(map[string]release.Phase{"r1": release.Previewing})
	w.pass(time.Minute)
	w.wantTold(t, "PromotionWaits", "greenroom: its hour has come, and until Wed 4 Mar 13:05 UTC it waits: its checklist is open: smoke; testers sign it off (greenroom release check r1), or --override-checklist with a --reason")
	w.says("tina", "smoke", release.NoGo, "broken") // another trouble is no other event
	w.pass(time.Minute)
	w.pass(release.Grace)
	w.wants(map[string]release.Phase{"r1": release.Previewing})
	missed := w.told("PromotionMissed")
	if len(missed) != 1 || !strings.Contains(missed[0], "it did not go live at Wed 4 Mar 13:00 UTC, nor within 5m0s: its checklist says no-go: smoke") || len(w.told("PromotionWaits")) != 1 {
		t.Errorf("told: %q, %q", missed, w.told("PromotionWaits"))
	}
	w.says("tina", "smoke", release.Go, "")
	w.pass(time.Hour)
	w.wants(map[string]release.Phase{"r1": release.Previewing}) // not later either
}

func TestPlannedPromotionMendsWithinItsGrace(t *testing.T) {
	w := newWorld(t)
	w.open(opening("r1", "api@2"))
	if err := w.plans(release.Promotion{}, w.now.Add(time.Hour), ann("")); err != nil {
		t.Fatal(err)
	}
	ready := w.o.Versions["api@2"]
	w.o.Versions["api@2"] = release.VersionStatus{Replicas: 2, Ready: 1}
	w.pass(time.Hour)
	w.wants(map[string]release.Phase{"r1": release.Previewing})
	w.o.Versions["api@2"] = ready
	w.pass(release.Grace - time.Second)
	w.wants(map[string]release.Phase{"r1": release.Live})
}

func TestPlannedPromotionOfAnEngineThatHasASay(t *testing.T) {
	w := newWorld(t)
	w.open(opening("r1", "api@2"))
	if err := w.plans(release.Promotion{}, w.now.Add(time.Hour), ann("")); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(time.Hour)
	for _, c := range []struct {
		fit  map[string]string
		want release.Phase
	}{
		{map[string]string{}, release.Previewing},
		{map[string]string{"r1": "its routes are not at the proxies"}, release.Previewing},
		{map[string]string{"r1": ""}, release.Live},
	} {
		w.o.Fit = c.fit
		w.run()
		w.wants(map[string]release.Phase{"r1": c.want})
	}
}

func TestPlannedPromotionThatNobodyWasThereFor(t *testing.T) {
	for _, c := range []struct {
		away time.Duration
		want release.Phase
	}{{time.Hour + release.Grace - time.Second, release.Live}, {time.Hour + release.Grace, release.Previewing}} {
		w := newWorld(t)
		w.open(opening("r1", "api@2"))
		if err := w.plans(release.Promotion{}, w.now.Add(time.Hour), ann("")); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(c.away) // no step meanwhile
		w.run()
		w.wants(map[string]release.Phase{"r1": c.want})
		if c.want == release.Previewing {
			w.wantTold(t, "PromotionMissed", "greenroom: it did not go live at Wed 4 Mar 13:00 UTC, nor within 5m0s: nobody was there to promote it")
		}
	}
}

func TestPlanRefuses(t *testing.T) {
	w := newWorld(t)
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	w.rules(release.Rules{Freezes: []release.Freeze{{
		Name: "night", Zone: release.ZoneOf(berlin),
		Weekly: &release.Weekly{From: release.WeekTime{Day: time.Wednesday, Minute: 18 * 60}, To: release.WeekTime{Day: time.Thursday, Minute: 8 * 60}},
	}}})
	w.open(opening("r1", "api@2"))
	for _, c := range []struct {
		p          release.Promotion
		at         time.Time
		by         release.Actor
		rule, text string
	}{
		{at: w.now, rule: "time", text: "Wed 4 Mar 12:00 UTC is over; name a later one, or promote it now"},
		{at: w.now.Add(31 * 24 * time.Hour), rule: "time", text: "Sat 4 Apr 12:00 UTC is more than 30 days away; plan it nearer to its time"},
		{at: w.now.Add(5 * time.Hour), rule: "freeze", text: "the freeze night holds until Thu 5 Mar 08:00 CET; wait, or --override-freeze night with a --reason"},
		{p: release.Promotion{OverrideFreezes: []string{"night"}}, at: w.now.Add(5 * time.Hour), rule: "reason",
			text: "what is overridden needs a reason, for those who read of it later; say why: --reason"},
	} {
		wantRefused(t, w.plans(c.p, c.at, c.by), c.rule, c.text)
	}
	if err := w.plans(release.Promotion{Generation: 9}, w.now.Add(time.Hour), ann("")); !errors.Is(err, release.ErrStale) {
		t.Errorf("of another generation: %v", err)
	}
	if err := w.plans(release.Promotion{OverrideFreezes: []string{"night"}}, w.now.Add(5*time.Hour), ann("agreed")); err != nil {
		t.Fatal(err)
	}
	w.pass(5 * time.Hour)
	w.wants(map[string]release.Phase{"r1": release.Live})
	wantRefused(t, w.plans(release.Promotion{}, w.now.Add(time.Hour), ann("")), "phase", "r1 is Live; only a release that can still go live is planned")
}

func TestCancelledPlan(t *testing.T) {
	w := newWorld(t)
	w.open(opening("r1", "api@2"))
	cancel := func() {
		w.do(func(s release.State) (release.State, error) { return s.CancelPlan("r1", by("bob", "no"), w.now) })
	}
	cancel() // nothing is planned
	for range 2 {
		if err := w.plans(release.Promotion{}, w.now.Add(time.Hour), ann("")); err != nil { // the second time in the place of the first
			t.Fatal(err)
		}
	}
	cancel()
	w.pass(2 * time.Hour)
	w.wants(map[string]release.Phase{"r1": release.Previewing})
	w.wantTold(t, "PromotionCancelled", "bob: it does not go live at Wed 4 Mar 13:00 UTC: bob cancelled it")
}

func TestTwoPlansOfOneHour(t *testing.T) {
	w := newWorld(t)
	w.open(opening("r1", "api@2"))
	w.open(opening("r2", "web@2"))
	at := w.now.Add(time.Hour)
	for _, name := range []string{"r1", "r2"} {
		w.do(func(s release.State) (release.State, error) {
			return s.PlanPromotion(release.Promotion{Name: name}, at, ann(""), w.now)
		})
	}
	w.pass(time.Hour)
	w.wants(map[string]release.Phase{"r2": release.Live})
	w.wantServes("web@2", "api@2", "wallet@1", "db@1")
	w.wantTold(t, "PromotionWaits")
}

func TestLock(t *testing.T) {
	w := newWorld(t)
	w.open(opening("r1", "api@2"))
	lock := func(who string, long time.Duration) error {
		return w.try(func(s release.State) (release.State, error) {
			return s.LockFleet(w.now.Add(long), by(who, "the database moves"), w.now)
		})
	}
	unlock := func(who, why string, override bool) error {
		return w.try(func(s release.State) (release.State, error) { return s.UnlockFleet(override, by(who, why), w.now) })
	}
	if err := lock("bob", time.Hour); err != nil {
		t.Fatal(err)
	}
	const held = "bob has locked the fleet until Wed 4 Mar 13:00 UTC: the database moves; ask bob, or greenroom fleet unlock --override with a --reason"
	wantRefused(t, w.asks(release.Promotion{}, ann("")), "lock", held)
	wantRefused(t, lock("ann", time.Hour), "lock", held)
	wantRefused(t, unlock("ann", "", false), "lock", "the fleet is locked by bob, not by you; ask bob, or --override with a --reason")
	wantRefused(t, unlock("ann", "", true), "reason", "ending the lock of bob needs a reason; say why: --reason")
	if err := unlock("ann", "bob is on a plane", true); err != nil || w.s.Lock != nil {
		t.Errorf("unlocked: %v, %v", w.s.Lock, err)
	}
	if err := lock("bob", time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := lock("bob", 2*time.Hour); err != nil {
		t.Fatal(err)
	}
	w.pass(2*time.Hour - time.Second)
	if w.s.Lock == nil {
		t.Error("the lock ended early")
	}
	w.pass(time.Second)
	if w.s.Lock != nil {
		t.Error("the lock goes on")
	}
	w.wantTold(t, "FleetUnlocked", "ann: the lock of bob is over", "greenroom: the lock of bob is over: its time has passed")
	if err := lock("ann", time.Hour); err != nil {
		t.Fatal(err)
	}
	w.promote1(t, release.Promotion{})
}
