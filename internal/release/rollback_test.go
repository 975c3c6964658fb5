package release_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/release"
)

func TestRollback(t *testing.T) {
	w := newWorld(t)
	w.live("r1", "api@2", "web@2")
	epoch := w.s.Epoch
	delete(w.o.Versions, "api@1") // no precondition
	w.rollback("r1")
	w.wantServes("web@1", "api@1", "wallet@1", "db@1")
	r := w.s.Releases["r1"]
	if r.Phase != release.Previewing || r.View != "r1" || r.Former != "" || !r.WindowEnds.IsZero() ||
		r.RolledBack == nil || r.RolledBack.Who != "ann" || r.RolledBack.Why != "rollback" || !r.RolledBack.At.Equal(w.now) ||
		r.Reason != "rolled back by ann" || !r.KeepUntil.Equal(w.now.Add(keep)) {
		t.Errorf("%+v", r)
	}
	if w.s.Epoch != epoch+1 {
		t.Errorf("epoch %d → %d", epoch, w.s.Epoch)
	}
	if last := w.log[len(w.log)-1]; last.Type != "ReleaseRolledBack" || last.Message != "ordinary requests get baseline (api 1, db 1, wallet 1, web 1) again" {
		t.Errorf("%+v", last)
	}
	revision := w.s.Revision
	w.rollback("r1")
	if w.s.Revision != revision {
		t.Error("not idempotent")
	}
	w.run()
	w.promote("r1") // again, by hand
	w.wantServes("web@2", "api@2", "wallet@1", "db@1")
	w.pass(window)
	w.pass(keep - window)
	w.wants(map[string]release.Phase{"r1": release.Settled})
}

func TestKeepThenAbort(t *testing.T) {
	w := newWorld(t)
	w.live("r1", "api@2")
	w.rollback("r1")
	w.pass(keep - time.Second)
	w.wants(map[string]release.Phase{"r1": release.Previewing})
	w.pass(time.Second)
	w.wants(map[string]release.Phase{"r1": release.Aborted})
	w.pass(drain)
	if last := w.log[len(w.log)-2]; last.Type != "ReleaseAborted" || last.Who != "greenroom" ||
		last.Message != "kept since its rollback, long enough: its preview ends and its versions stop" {
		t.Errorf("%+v", last)
	}
}

func TestAnUpdateAfterARollbackIsKept(t *testing.T) {
	w := newWorld(t)
	w.live("r1", "api@2")
	w.rollback("r1")
	w.open(opening("r1", "api@3"))
	w.pass(keep + time.Hour)
	w.wants(map[string]release.Phase{"r1": release.Previewing})
	if w.s.Releases["r1"].RolledBack == nil {
		t.Error("who rolled it back is forgotten")
	}
}

func TestRollbackAndAbortRefuse(t *testing.T) {
	const past = ", past the point of no return; greenroom release revert r1 opens a release of the versions that it replaced"
	for _, c := range []struct {
		name            string
		prepare         func(*world)
		rollback, abort string // "": goes
	}{
		{"preparing", func(w *world) {
			w.do(func(s release.State) (release.State, error) { return s.Open(opening("r1", "api@2"), ann(""), w.now) })
		}, "r1 is Preparing: there is nothing to roll back", ""},
		{"previewing", func(w *world) { w.open(opening("r1", "api@2")) }, "", ""},
		{"failed", func(w *world) { w.broken["api@2"] = true; w.open(opening("r1", "api@2")) },
			"r1 is Failed: there is nothing to roll back", ""},
		{"canary", func(w *world) { w.open(opening("r1", "api@2")); w.canary("r1") }, "", ""},
		{"live", func(w *world) { w.live("r1", "api@2") }, "", ""},
		{"aborted", func(w *world) { w.open(opening("r1", "api@2")); w.abort("r1") },
			"r1 is Aborted: there is nothing to roll back", ""},
		{"settling", func(w *world) { w.live("r1", "api@2"); w.settle("r1") },
			"r1 is Settling" + past, "r1 is Settling" + past},
		{"settled", func(w *world) { w.live("r1", "api@2"); w.pass(window); w.pass(drain) },
			"r1 is Settled" + past, "r1 is Settled" + past},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			c.prepare(w)
			err := w.try(func(s release.State) (release.State, error) { return s.Rollback("r1", ann(""), w.now) })
			if c.rollback != "" {
				wantRefused(t, err, "phase", c.rollback)
			} else if err != nil {
				t.Errorf("rollback: %v", err)
			}
			w = newWorld(t)
			c.prepare(w)
			err = w.try(func(s release.State) (release.State, error) { return s.Abort("r1", ann(""), w.now) })
			if c.abort != "" {
				wantRefused(t, err, "phase", c.abort)
				return
			}
			if err != nil {
				t.Fatalf("abort: %v", err)
			}
			w.wants(map[string]release.Phase{"r1": release.Aborted})
			w.wantServes("web@1", "api@1", "wallet@1", "db@1")
			revision := w.s.Revision
			w.abort("r1")
			if w.s.Revision != revision {
				t.Error("abort is not idempotent")
			}
			w.pass(drain)
			if len(w.s.Views) != 1 || w.o.Versions["api@2"].Ready > 0 {
				t.Errorf("left: views %v, api@2 %+v", slices.Collect(maps.Keys(w.s.Views)), w.o.Versions["api@2"])
			}
		})
	}
}

// Two releases that share the caller web: the second is built over whatever
// serves, and rolling back the first takes the second's preview along.
func TestStackedReleasesOverASharedCaller(t *testing.T) {
	w := newWorld(t)
	w.open(opening("a", "api@2"))
	w.open(opening("b", "wallet@2"))
	w.promote("a")
	w.run()
	b := w.s.Releases["b"]
	if v := w.s.Views[b.View].Versions; b.View != "b.2" || v["api"] != "api@2" || v["wallet"] != "wallet@2" || v["web"] != "web@1" {
		t.Errorf("b over a: %s %v", b.View, v)
	}
	w.rollback("a")
	w.run()
	b = w.s.Releases["b"]
	if v := w.s.Views[b.View].Versions; b.View != "b.3" || v["api"] != "api@1" || v["wallet"] != "wallet@2" {
		t.Errorf("b after the rollback: %s %v", b.View, v)
	}
	if a := w.s.Releases["a"]; a.View != "a" {
		t.Errorf("a's own view was rebuilt: %s", a.View)
	}
	w.promote("b")
	w.wantServes("web@1", "api@1", "wallet@2", "db@1")
	w.run()
	if v := w.s.Views[w.s.Releases["a"].View].Versions; v["api"] != "api@2" || v["wallet"] != "wallet@2" {
		t.Errorf("a over b: %v", v)
	}
}
