package release_test

import (
	"slices"
	"testing"

	"github.com/greenroom-dev/greenroom/internal/release"
)

func hooked(name string, m release.Moment, hooks ...string) release.Opening {
	o := opening(name, "api@2")
	o.Hooks = map[release.Moment][]string{m: hooks}
	return o
}

func TestHooksRunInOrder(t *testing.T) {
	w := newWorld(t)
	w.do(func(s release.State) (release.State, error) {
		return s.Open(hooked("r1", release.Prepare, "expand", "fill"), ann(""), w.now)
	})
	expand := release.Action(release.RunHook{ID: "uid-r1.1.prepare.0.1", Release: "r1", Moment: release.Prepare})
	fill := release.Action(release.RunHook{ID: "uid-r1.1.prepare.1.1", Release: "r1", Moment: release.Prepare, Index: 1})
	for range 3 { // until it is known to run, whatever crashes
		if got := w.step(); !slices.Equal(got, []release.Action{expand}) {
			t.Fatalf("actions %v, want %v alone: no version starts before", got, expand)
		}
	}
	w.o.Hooks["uid-r1.1.prepare.0.1"] = release.HookStatus{Running: true}
	if got := w.step(); len(got) > 0 {
		t.Fatalf("actions %v while it runs", got)
	}
	delete(w.o.Hooks, "uid-r1.1.prepare.0.1") // a crash forgets it
	if got := w.step(); !slices.Equal(got, []release.Action{expand}) {
		t.Fatalf("actions %v, want %v with the same id", got, expand)
	}
	w.o.Hooks["uid-r1.1.prepare.0.1"] = release.HookStatus{Passed: true}
	if got := w.step(); !slices.Equal(got, []release.Action{fill}) {
		t.Fatalf("actions %v, want %v", got, fill)
	}
	delete(w.o.Hooks, "uid-r1.1.prepare.0.1")
	if got := w.step(); !slices.Equal(got, []release.Action{fill}) {
		t.Fatalf("actions %v: what passed does not run again", got)
	}
	w.o.Hooks["uid-r1.1.prepare.1.1"] = release.HookStatus{Passed: true}
	if got, want := w.step(), []release.Action{release.Run{Version: "api@2"}}; !slices.Equal(got, want) {
		t.Fatalf("actions %v, want %v", got, want)
	}
	w.run()
	w.wants(map[string]release.Phase{"r1": release.Previewing})
}

func TestPrepareHookFails(t *testing.T) {
	w := newWorld(t)
	w.failed["expand"] = true
	w.open(hooked("r1", release.Prepare, "expand"))
	r := w.s.Releases["r1"]
	if r.Phase != release.Failed || r.Reason != "prepare hook expand: exit status 3" {
		t.Errorf("%s, %q", r.Phase, r.Reason)
	}
	if _, started := w.o.Versions["api@2"]; started {
		t.Error("a version started all the same")
	}
	err := w.try(func(s release.State) (release.State, error) {
		return s.Retry("r1", release.Prepare, ann(""), w.now)
	})
	wantRefused(t, err, "phase", "prepare hooks run when a release is opened; open the release again")
	w.failed["expand"] = false
	w.open(hooked("r1", release.Prepare, "expand"))
	w.wants(map[string]release.Phase{"r1": release.Previewing})
}

func TestVerifyIsDueAgainAfterAnUpdate(t *testing.T) {
	w := newWorld(t)
	w.open(hooked("r1", release.Verify, "smoke"))
	if p := w.s.Releases["r1"].Progress[release.Verify]; p.Passed != 1 {
		t.Fatalf("progress %+v", p)
	}
	o := hooked("r1", release.Verify, "smoke")
	o.Versions = append(o.Versions, version("web@2", 1))
	w.do(func(s release.State) (release.State, error) { return s.Open(o, ann(""), w.now) })
	w.obey(w.step())
	actions := w.step()
	want := release.Action(release.RunHook{ID: "uid-r1.2.verify.0.1", Release: "r1", Moment: release.Verify})
	if !slices.Contains(actions, want) {
		t.Errorf("actions %v, want %v", actions, want)
	}
}

func TestRetryVerify(t *testing.T) {
	w := newWorld(t)
	w.failed["smoke"] = true
	w.open(hooked("r1", release.Verify, "first", "smoke"))
	retry := func(m release.Moment) error {
		return w.try(func(s release.State) (release.State, error) { return s.Retry("r1", m, ann(""), w.now) })
	}
	for _, c := range []struct {
		moment release.Moment
		err    string
	}{
		{release.OnSettle, ""}, // it has none
		{release.Moment("lunch"), ""},
	} {
		revision := w.s.Revision
		if err := retry(c.moment); err != nil || w.s.Revision != revision {
			t.Errorf("%s: %v, changed: %v", c.moment, err, w.s.Revision != revision)
		}
	}
	w.failed["smoke"] = false
	if err := retry(release.Verify); err != nil {
		t.Fatal(err)
	}
	actions := w.step()
	if want := release.Action(release.RunHook{ID: "uid-r1.1.verify.0.2", Release: "r1", Moment: release.Verify}); !slices.Contains(actions, want) {
		t.Errorf("actions %v: from the first, under another id", actions)
	}
	revision := w.s.Revision
	if err := retry(release.Verify); err != nil || w.s.Revision != revision {
		t.Errorf("while they run: %v, changed: %v", err, w.s.Revision != revision)
	}
	w.run()
	w.promote("r1")
	wantRefused(t, retry(release.Verify), "phase", "r1 is Live, and verify hooks run in Previewing")
}

func TestRetryWhatIsNotDue(t *testing.T) {
	w := newWorld(t)
	w.open(hooked("r1", release.OnRollback, "tell"))
	retry := func() error {
		return w.try(func(s release.State) (release.State, error) { return s.Retry("r1", release.OnRollback, ann(""), w.now) })
	}
	wantRefused(t, retry(), "phase", "the rollback hooks of r1 have not been due yet")
	w.promote("r1")
	w.rollback("r1")
	w.run()
	revision := w.s.Revision
	if err := retry(); err != nil || w.s.Revision != revision {
		t.Errorf("what passed ran again: %v, changed: %v", err, w.s.Revision != revision)
	}
}

// The hooks of a rollback and of an abort run after the switch, which does not
// wait for them; and they run although the release has ended, was updated, or
// is beyond the history.
func TestRollbackAndAbortHooks(t *testing.T) {
	o := opening("r1", "api@2")
	o.Hooks = map[release.Moment][]string{release.OnRollback: {"tell"}, release.OnAbort: {"clean"}}
	tell := release.Action(release.RunHook{ID: "uid-r1.1.rollback.0.1", Release: "r1", Moment: release.OnRollback})
	clean := release.Action(release.RunHook{ID: "uid-r1.1.abort.0.1", Release: "r1", Moment: release.OnAbort})

	w := newWorld(t)
	none := release.Change{Services: w.s.Services, Settings: settings()}
	none.Settings.History = 0
	w.do(func(s release.State) (release.State, error) { return s.Apply(none, ann(""), w.now) })
	w.open(o)
	w.promote("r1")
	w.run()
	w.abort("r1")
	w.wantServes("web@1", "api@1", "wallet@1", "db@1")
	w.now = w.now.Add(drain)
	w.step()
	w.now = w.now.Add(drain)
	actions := w.step()
	if !slices.Contains(actions, tell) || !slices.Contains(actions, clean) {
		t.Errorf("actions %v, want %v and %v", actions, tell, clean)
	}
	w.run()
	if _, there := w.s.Releases["r1"]; there {
		t.Error("kept beyond a history of 0")
	}

	w = newWorld(t)
	w.open(o)
	w.promote("r1")
	w.rollback("r1")
	o.Versions = append(o.Versions, version("web@2", 1))
	w.do(func(s release.State) (release.State, error) { return s.Open(o, ann(""), w.now) })
	w.run()
	if p := w.s.Releases["r1"].Progress[release.OnRollback]; p.Passed != 1 {
		t.Errorf("the rollback's hooks were forgotten with an update: %+v", p)
	}
}
