package release_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/release"
)

func TestPromoteRefuses(t *testing.T) {
	const api2 = "api@2"
	for _, c := range []struct {
		name    string
		prepare func(*world)
		rule    string
		text    string
	}{
		{"preparing", func(w *world) {
			w.do(func(s release.State) (release.State, error) { return s.Open(opening("r1", api2), ann(""), w.now) })
		}, "phase", "r1 is Preparing; wait until it is Previewing: greenroom status --watch"},
		{"aborted", func(w *world) { w.open(opening("r1", api2)); w.abort("r1") },
			"phase", "r1 is Aborted; only a release that holders of a pass see is promoted"},
		{"failed", func(w *world) { w.broken[api2] = true; w.open(opening("r1", api2)) },
			"phase", "r1 is Failed; open it again with what went wrong mended"},
		{"superseded", func(w *world) { w.live("r1", api2); w.live("r2", "api@3") },
			"phase", "r1 is Settling; only a release that holders of a pass see is promoted"},
		{"preview not rebuilt yet", func(w *world) {
			w.open(opening("r1", api2))
			w.open(opening("r2", "web@2"))
			w.promote("r2")
		}, "phase", "the preview of r1 is being rebuilt upon r2; try again in a moment"},
		{"another canary", func(w *world) {
			w.open(opening("r1", api2))
			w.open(opening("r2", "web@2"))
			w.canary("r2")
		}, "canary", "r2 is in Canary; promote or roll back r2 first"},
		{"not ready", func(w *world) {
			w.open(opening("r1", api2))
			w.o.Versions[api2] = release.VersionStatus{Replicas: 2, Ready: 1}
		}, "ready", "api@2 has 1 instance ready of 2 instances; wait, look at greenroom logs, or open the release again with as many replicas as it replaces"},
		{"gone", func(w *world) { w.open(opening("r1", api2)); delete(w.o.Versions, api2) },
			"ready", "api@2 has 0 instances ready of 2 instances; wait, look at greenroom logs, or open the release again with as many replicas as it replaces"},
		{"stopping", func(w *world) {
			w.open(opening("r1", api2))
			w.o.Versions[api2] = release.VersionStatus{Replicas: 2, Ready: 2, Stopping: true}
		}, "ready", "api@2 has 0 instances ready of 2 instances; wait, look at greenroom logs, or open the release again with as many replicas as it replaces"},
		{"fewer than it replaces", func(w *world) {
			o := opening("r1", api2)
			o.Versions[0].Replicas = 1
			w.open(o)
		}, "ready", "api@2 has 1 instance ready of 2 instances; wait, look at greenroom logs, or open the release again with as many replicas as it replaces"},
		{"verify failed", func(w *world) {
			o := opening("r1", api2)
			o.Hooks = map[release.Moment][]string{release.Verify: {"smoke"}}
			w.failed["smoke"] = true
			w.open(o)
		}, "verify", "verify failed: smoke: exit status 3; mend it, then greenroom release verify r1"},
		{"verify runs", func(w *world) {
			o := opening("r1", api2)
			o.Hooks = map[release.Moment][]string{release.Verify: {"smoke"}}
			w.do(func(s release.State) (release.State, error) { return s.Open(o, ann(""), w.now) })
			w.obey(w.step())
			w.step()
		}, "verify", "its verify hooks have not passed yet; wait for them: greenroom release show r1"},
		{"base moved", func(w *world) { w.open(opening("r1", api2)); w.live("r2", "api@3") },
			"base", "what r1 replaces has changed since it was opened: api is now api@3, not api@1; look at greenroom release diff r1, then greenroom release rebase r1"},
		{"base moved to the same", func(w *world) { w.open(opening("r1", api2, "web@2")); w.live("r2", api2) },
			"base", "what r1 replaces has changed since it was opened: api is now api@2, not api@1; look at greenroom release diff r1, then greenroom release rebase r1"},
		{"dropped stamps", func(w *world) {
			w.open(opening("r1", api2))
			w.o.Drops["r1"] = []release.Drop{{Caller: "web", Callee: "api"}, {Caller: "api", Callee: "db"}}
		}, "stamps", "calls lost the stamp in preview: web → api, api → db; pass the stamp on there (greenroom doctor says how), or --allow-unstamped"},
		{"dropped stamps by a view that was rebuilt since", func(w *world) {
			w.open(opening("r1", api2))
			w.live("r2", "web@2")
			w.o.Drops["r1"] = []release.Drop{{Caller: "api", Callee: "db"}}
		}, "stamps", "calls lost the stamp in preview: api → db; pass the stamp on there (greenroom doctor says how), or --allow-unstamped"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			c.prepare(w)
			err := w.try(func(s release.State) (release.State, error) {
				return s.Promote(release.Promotion{Name: "r1"}, w.o, ann(""), w.now)
			})
			wantRefused(t, err, c.rule, c.text)
			err = w.try(func(s release.State) (release.State, error) { return s.StartCanary("r1", w.o, ann(""), w.now) })
			wantRefused(t, err, c.rule, c.text)

			checks, err := w.s.Checks("r1", w.o, w.now)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(checks, func(c release.Check) bool { return !c.OK })
			if i < 0 || checks[i].Rule != c.rule || checks[i].Detail+"; "+checks[i].Remedy != c.text {
				t.Errorf("Checks says %+v", checks)
			}
		})
	}
}

func TestChecksOfAReleaseThatMayGo(t *testing.T) {
	w := newWorld(t)
	o := opening("r1", "api@2")
	o.Hooks = map[release.Moment][]string{release.Verify: {"smoke"}}
	w.open(o)
	got, err := w.s.Checks("r1", w.o, w.now)
	want := []release.Check{
		{Rule: "phase", OK: true, Detail: "r1 is Previewing"},
		{Rule: "ready", OK: true, Detail: "every version is ready at the capacity of the one that it replaces"},
		{Rule: "verify", OK: true, Detail: "verify hooks: 1 hook passed"},
		{Rule: "base", OK: true, Detail: "ordinary requests still get what it was opened against"},
		{Rule: "stamps", OK: true, Detail: "no call lost the stamp in preview"},
	}
	w.o.Drops = nil // nobody looks
	blind, blindErr := w.s.Checks("r1", w.o, w.now)
	if err != nil || !slices.Equal(got, want) || blindErr != nil || !slices.Equal(blind, want[:4]) {
		t.Errorf("got %+v, %v; where nobody looks %+v, %v", got, err, blind, blindErr)
	}
}

func TestUnknownName(t *testing.T) {
	w := newWorld(t)
	s := w.s
	_, checks := s.Checks("r1", w.o, w.now)
	_, promote := s.Promote(release.Promotion{Name: "r1"}, w.o, ann(""), w.now)
	_, canary := s.StartCanary("r1", w.o, ann(""), w.now)
	_, rollback := s.Rollback("r1", ann(""), w.now)
	_, abort := s.Abort("r1", ann(""), w.now)
	_, settle := s.Settle("r1", ann(""), w.now)
	_, retry := s.Retry("r1", release.Verify, ann(""), w.now)
	_, rebase := s.Rebase(opening("r1", "api@2"), ann(""), w.now)
	for i, err := range []error{checks, promote, canary, rollback, abort, settle, retry, rebase} {
		if !errors.Is(err, release.ErrUnknown) {
			t.Errorf("verb %d: %v", i, err)
		}
	}
}

func TestPromote(t *testing.T) {
	w := newWorld(t)
	w.open(opening("r1", "api@2", "web@2"))
	epoch := w.s.Epoch
	w.promote("r1")
	w.wantServes("web@2", "api@2", "wallet@1", "db@1")
	r := w.s.Releases["r1"]
	if r.Phase != release.Live || r.Former != "baseline" || !r.WindowEnds.Equal(w.now.Add(window)) || w.s.Epoch != epoch+1 {
		t.Errorf("%+v in epoch %d", r, w.s.Epoch)
	}
	want := release.Serving{Release: "r1", Named: "r1", Stamp: "r1", Since: w.now, Until: w.now.Add(window), Before: "baseline", NamedBefore: "baseline (api 1, db 1, wallet 1, web 1)"}
	if got := w.s.Serving(); got != want {
		t.Errorf("serving %+v, want %+v", got, want)
	}
	if w.s.Pin == nil || w.s.Pin.Stamp != "baseline" || !w.s.Pin.Until.Equal(w.now.Add(pin)) {
		t.Errorf("pin %+v", w.s.Pin)
	}
	last := w.log[len(w.log)-1]
	if last.Type != "ReleasePromoted" || last.Release != "r1" || last.Who != "ann" || last.Why != "promote" ||
		last.Message != "ordinary requests get r1; before it baseline (api 1, db 1, wallet 1, web 1)" {
		t.Errorf("event %+v", last)
	}

	revision := w.s.Revision
	w.promote("r1")
	w.do(func(s release.State) (release.State, error) {
		return s.Promote(release.Promotion{Name: "r1", Generation: 7}, w.o, ann(""), w.now)
	})
	w.settle("r1")
	w.pass(drain)
	w.wants(map[string]release.Phase{"r1": release.Settled})
	revision, before := w.s.Revision, revision
	w.promote("r1") // it serves
	if w.s.Revision != revision || before == revision {
		t.Errorf("promoting what serves changed the State: %d → %d", revision, w.s.Revision)
	}
	if got := w.s.Serving(); got.Release != "r1" || got.Before != "" || !got.Until.IsZero() || !got.Since.Equal(want.Since) {
		t.Errorf("serving %+v", got)
	}
}

func TestPromoteNamesAGeneration(t *testing.T) {
	w := newWorld(t)
	w.open(opening("r1", "api@2"))
	w.open(opening("r1", "api@3"))
	promote := func(generation uint64) error {
		return w.try(func(s release.State) (release.State, error) {
			return s.Promote(release.Promotion{Name: "r1", Generation: generation}, w.o, ann(""), w.now)
		})
	}
	if err := promote(1); !errors.Is(err, release.ErrStale) || err.Error() != "the release has changed since it was shown" {
		t.Errorf("generation 1: %v", err)
	}
	if err := promote(2); err != nil {
		t.Errorf("generation 2: %v", err)
	}
}

func TestPromoteUnstamped(t *testing.T) {
	w := newWorld(t)
	w.open(opening("r1", "api@2"))
	w.o.Drops["r1"] = []release.Drop{{Caller: "web", Callee: "api"}}
	w.o.Drops["baseline"] = []release.Drop{{Caller: "web", Callee: "db"}}
	w.run()
	w.o.Drops = nil // the hops forget
	if got := w.s.Releases["r1"].Dropped; !slices.Equal(got, []release.Drop{{Caller: "web", Callee: "api"}}) {
		t.Errorf("dropped %v", got)
	}
	w.open(opening("r1", "api@3"))
	if got := w.s.Releases["r1"].Dropped; len(got) > 0 {
		t.Errorf("drops of former content count: %v", got)
	}
	w.o.Drops = map[string][]release.Drop{"r1": {{Caller: "web", Callee: "api"}}} // its former content's
	w.run()
	if got := w.s.Releases["r1"].Dropped; len(got) > 0 {
		t.Errorf("drops of former content count: %v", got)
	}
	w.o.Drops["r1.2"] = w.o.Drops["r1"]
	err := w.try(func(s release.State) (release.State, error) {
		return s.Promote(release.Promotion{Name: "r1", AllowUnstamped: true}, w.o, ann(""), w.now)
	})
	if err != nil {
		t.Errorf("allowed, and %v", err)
	}
}

func TestPromoteOverLive(t *testing.T) {
	w := newWorld(t)
	w.live("a", "api@2")
	w.open(opening("b", "web@2"))
	w.promote("b") // one write
	w.wants(map[string]release.Phase{"a": release.Settling, "b": release.Live})
	w.wantServes("web@2", "api@2", "wallet@1", "db@1")
	if w.s.Pin == nil || w.s.Pin.Stamp != "a" {
		t.Errorf("pin %+v", w.s.Pin)
	}
	if got := w.s.Serving(); got.Release != "b" || got.Before != "a" {
		t.Errorf("serving %+v", got)
	}
	for _, id := range []string{"api@1", "api@2", "web@1", "web@2"} {
		if !slices.Contains(w.s.Desired(), id) {
			t.Errorf("%s stops though requests may be under way to it", id)
		}
	}
	w.rollback("b") // while a settles
	w.wants(map[string]release.Phase{"a": release.Settling, "b": release.Previewing})
	w.wantServes("web@1", "api@2", "wallet@1", "db@1")
	w.pass(drain)
	w.wants(map[string]release.Phase{"a": release.Settled, "b": release.Previewing})
	if w.s.Settled != "a" {
		t.Errorf("last settled %s", w.s.Settled)
	}
}

func TestPinEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*world)
	}{
		{"after its time", func(w *world) { w.pass(time.Second) }},
		{"with a rollback", func(w *world) { w.rollback("r1") }},
		{"with an abort", func(w *world) { w.abort("r1") }},
		{"by settling", func(w *world) { w.settle("r1") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.live("r1", "api@2")
			w.pass(pin - time.Second)
			if w.s.Pin == nil {
				t.Fatal("no pin before")
			}
			c.do(w)
			if w.s.Pin != nil {
				t.Errorf("pin %+v", w.s.Pin)
			}
		})
	}
	t.Run("never outlives the rollback window", func(t *testing.T) {
		w := newWorld(t)
		o := opening("r1", "api@2")
		o.RollbackWindow = pin / 2
		w.open(o)
		w.promote("r1")
		if w.s.Pin == nil || !w.s.Pin.Until.Equal(w.now.Add(pin/2)) {
			t.Errorf("pin %+v", w.s.Pin)
		}
	})
	t.Run("there is none without a window", func(t *testing.T) {
		w := newWorld(t)
		o := opening("r1", "api@2")
		o.RollbackWindow = 0
		w.open(o)
		w.promote("r1")
		if w.s.Pin != nil {
			t.Errorf("pin %+v", w.s.Pin)
		}
		w.run()
		w.wants(map[string]release.Phase{"r1": release.Settling})
	})
}

func TestCanary(t *testing.T) {
	w := newWorld(t)
	w.open(opening("r1", "api@2"))
	w.canary("r1")
	w.wants(map[string]release.Phase{"r1": release.Canary})
	w.wantServes("web@1", "api@1", "wallet@1", "db@1")
	revision := w.s.Revision
	w.canary("r1")
	if w.s.Revision != revision {
		t.Error("not idempotent")
	}
	w.rollback("r1")
	r := w.s.Releases["r1"]
	if r.Phase != release.Previewing || r.RolledBack == nil || r.RolledBack.Who != "ann" || r.RolledBack.Why != "rollback" {
		t.Errorf("%+v", r)
	}
	if last := w.log[len(w.log)-1]; last.Message != "its canary is over, all ordinary requests get baseline (api 1, db 1, wallet 1, web 1)" {
		t.Errorf("%+v", last)
	}
	w.canary("r1")
	w.promote("r1")
	w.wants(map[string]release.Phase{"r1": release.Live})
	w.pass(window)
	w.pass(drain)
	w.wants(map[string]release.Phase{"r1": release.Settled})
}

// A canary over a Live release holds that release's versions; its users must
// not go on getting them when the release is rolled back.
func TestRollbackEndsTheCanaryOverIt(t *testing.T) {
	w := newWorld(t)
	w.live("a", "api@2")
	w.open(opening("b", "web@2"))
	w.canary("b")
	w.rollback("a")
	w.wants(map[string]release.Phase{"a": release.Previewing, "b": release.Previewing})
	w.run()
	w.promote("b")
	w.wantServes("web@2", "api@1", "wallet@1", "db@1")
}
