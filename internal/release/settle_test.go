package release_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/release"
)

func TestSettleOrder(t *testing.T) {
	w := newWorld(t)
	o := opening("r1", "api@2")
	o.Hooks = map[release.Moment][]string{release.OnSettle: {"contract"}}
	w.open(o)
	w.promote("r1")
	w.run()
	w.now = w.now.Add(window)
	w.o.Stamps["baseline"] = release.StampStatus{InFlight: 1}

	reason := func(want string) []release.Action {
		t.Helper()
		actions := w.step()
		if r := w.s.Releases["r1"]; r.Phase != release.Settling || r.Reason != want {
			t.Fatalf("%s, %q; want Settling, %q", r.Phase, r.Reason, want)
		}
		return actions
	}
	reason("waiting for the last requests of baseline (api 1, db 1, wallet 1, web 1)")
	if w.s.Pin != nil {
		t.Error("the pin did not end")
	}
	w.now = w.now.Add(quiet)
	reason("waiting for the last requests of baseline (api 1, db 1, wallet 1, web 1)")
	w.o.Stamps["baseline"] = release.StampStatus{LastSeen: w.now}
	w.now = w.now.Add(quiet - 1)
	if actions := reason("waiting for the last requests of baseline (api 1, db 1, wallet 1, web 1)"); len(actions) > 0 {
		t.Errorf("actions %v", actions)
	}
	w.now = w.now.Add(1)
	actions := reason("waiting for api@1 to stop")
	if want := []release.Action{release.Stop{Version: "api@1", Drain: drain}}; !slices.Equal(actions, want) {
		t.Errorf("actions %v, want %v", actions, want)
	}
	w.o.Versions["api@1"] = release.VersionStatus{Stopping: true}
	if actions := reason("waiting for api@1 to stop"); len(actions) > 0 {
		t.Errorf("actions %v", actions)
	}
	w.o.Versions["api@1"] = release.VersionStatus{Stopping: true, Gone: true}
	actions = reason("waiting for its settle hooks")
	hook := release.RunHook{ID: "uid-r1.1.settle.0.1", Release: "r1", Moment: release.OnSettle}
	if want := []release.Action{hook}; !slices.Equal(actions, want) {
		t.Errorf("actions %v, want %v", actions, want)
	}
	if w.s.Settled != "baseline" {
		t.Errorf("settled %s too early", w.s.Settled)
	}
	w.o.Hooks[hook.ID] = release.HookStatus{Passed: true}
	w.step()
	w.wants(map[string]release.Phase{"r1": release.Settled})
	if w.s.Settled != "r1" {
		t.Errorf("settled %s", w.s.Settled)
	}
}

func TestSettleHookFails(t *testing.T) {
	w := newWorld(t)
	o := opening("r1", "api@2")
	o.Hooks = map[release.Moment][]string{release.OnSettle: {"backup", "contract"}}
	w.failed["contract"] = true
	w.open(o)
	w.promote("r1")
	w.settle("r1")
	w.pass(quiet)
	w.pass(window)
	r := w.s.Releases["r1"]
	want := "settle hook contract: exit status 3; mend it, then greenroom release settle r1"
	if r.Phase != release.Settled || r.Reason != want {
		t.Fatalf("%s, %q; want Settled, %q", r.Phase, r.Reason, want)
	}
	w.live("r2", "web@2") // nobody waits for it
	w.wants(map[string]release.Phase{"r1": release.Settled, "r2": release.Live})
	w.failed["contract"] = false
	w.settle("r1")
	w.run()
	w.wants(map[string]release.Phase{"r1": release.Settled})
	if r := w.s.Releases["r1"]; r.Reason != "" {
		t.Errorf("the hooks have passed, and it still says %q", r.Reason)
	}
	if w.s.Settled != "r1" {
		t.Errorf("settled %s: r2 rolls back to r1", w.s.Settled)
	}
}

func TestSettleRefuses(t *testing.T) {
	w := newWorld(t)
	w.open(opening("r1", "api@2"))
	err := w.try(func(s release.State) (release.State, error) { return s.Settle("r1", ann(""), w.now) })
	wantRefused(t, err, "phase", "r1 is Previewing, and only a Live release settles; promote it first")
	w.promote("r1")
	w.settle("r1")
	revision := w.s.Revision
	w.settle("r1")
	if revision != w.s.Revision {
		t.Error("not idempotent while it settles")
	}
	w.pass(quiet)
	w.wants(map[string]release.Phase{"r1": release.Settled})
	revision = w.s.Revision
	w.settle("r1")
	if revision != w.s.Revision {
		t.Error("not idempotent when it has settled")
	}
}

func TestSettleOutOfOrder(t *testing.T) {
	w := newWorld(t)
	a := opening("a", "api@2")
	a.Hooks = map[release.Moment][]string{release.OnSettle: {"contract"}}
	w.hangs["contract"] = true
	w.open(a)
	w.promote("a")
	w.run()
	w.live("b", "web@2")
	w.settle("b")
	w.pass(quiet)
	w.wants(map[string]release.Phase{"a": release.Settling, "b": release.Settled})
	for id := range w.o.Hooks {
		w.o.Hooks[id] = release.HookStatus{Passed: true}
	}
	w.run()
	w.wants(map[string]release.Phase{"a": release.Settled})
	if w.s.Settled != "b" {
		t.Errorf("settled %s: b serves, and settled before", w.s.Settled)
	}
}

// What r1 replaced is brought back by r2: it goes on running, and r1 settles.
func TestSettleUnderARevert(t *testing.T) {
	w := newWorld(t)
	w.live("r1", "api@2")
	w.open(opening("r2", "api@1"))
	w.settle("r1")
	w.pass(quiet)
	w.wants(map[string]release.Phase{"r1": release.Settled, "r2": release.Previewing})
	if w.o.Versions["api@1"].Ready != 2 {
		t.Error("api@1 was stopped under r2")
	}
}

// A request may still reach a former version by a preview's old view.
func TestSettleWaitsForOldPreviews(t *testing.T) {
	w := newWorld(t)
	r1 := opening("r1", "api@2")
	r1.Hooks = map[release.Moment][]string{release.OnSettle: {"contract"}}
	w.open(r1)
	w.open(opening("r2", "web@2"))
	w.promote("r1")
	w.settle("r1")
	w.o.Stamps["r2"] = release.StampStatus{InFlight: 1}
	w.run()
	w.pass(quiet)
	if r := w.s.Releases["r1"]; r.Phase != release.Settling || r.Reason != "waiting for the last requests of r2" || r.Progress[release.OnSettle].Attempt > 0 {
		t.Errorf("%s, %q, hooks %v", r.Phase, r.Reason, r.Progress)
	}
	w.pass(drain)
	w.wants(map[string]release.Phase{"r1": release.Settled})
}

func TestViewsEnd(t *testing.T) {
	for _, c := range []struct {
		name string
		seen release.StampStatus
		from time.Duration // when the hops began to watch, from the beginning of its end; 0: before
		gone time.Duration
	}{
		{"nobody ever saw it", release.StampStatus{}, 0, quiet},
		{"seen after it began to end", release.StampStatus{LastSeen: epoch.Add(7 * time.Second)}, 0, 7*time.Second + quiet},
		{"seen long ago", release.StampStatus{LastSeen: epoch.Add(-time.Hour)}, 0, quiet},
		{"a stream is open", release.StampStatus{InFlight: 1, LastSeen: epoch.Add(-time.Hour)}, 0, drain},
		{"seen just before the deadline", release.StampStatus{LastSeen: epoch.Add(drain - time.Second)}, 0, drain},
		{"the hops have only just begun to watch", release.StampStatus{}, 20 * time.Second, 20*time.Second + quiet},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.open(opening("r1", "api@2"))
			w.now = epoch
			w.abort("r1")
			w.o.Stamps["r1"] = c.seen
			if c.from > 0 {
				w.o.Watching = epoch.Add(c.from)
			}
			w.run()
			w.pass(c.gone - 1)
			if _, there := w.s.Views["r1"]; !there {
				t.Fatal("it ended too early")
			}
			w.now = w.now.Add(1)
			actions := w.step()
			if _, there := w.s.Views["r1"]; there {
				t.Error("it did not end")
			}
			end := release.Action(release.EndView{Stamp: "r1"})
			if got := slices.Contains(actions, end); got != (c.seen.InFlight > 0) {
				t.Errorf("actions %v", actions)
			}
			if again := w.step(); slices.Contains(again, end) != (c.seen.InFlight > 0) {
				t.Errorf("after a crash: %v", again)
			}
			w.run()
			if slices.Contains(w.step(), end) {
				t.Error("streams are ended that are gone")
			}
		})
	}
}

var epoch = time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)

func TestHistory(t *testing.T) {
	w := newWorld(t)
	small := release.Change{Services: w.s.Services, Settings: settings()}
	small.Settings.History = 2
	w.do(func(s release.State) (release.State, error) { return s.Apply(small, ann(""), w.now) })
	for i := range 5 {
		w.live(fmt.Sprintf("r%d", i+2), fmt.Sprintf("api@%d", i+2))
		w.settle(fmt.Sprintf("r%d", i+2))
		w.pass(quiet)
	}
	// r6 serves, and of those before the last two are kept with what they replaced.
	for name, kept := range map[string]bool{"r2": false, "r3": false, "r4": true, "r5": true, "r6": true} {
		if _, there := w.s.Releases[name]; there != kept {
			t.Errorf("%s there: %v", name, there)
		}
	}
	for id, kept := range map[string]bool{"api@1": false, "api@2": false, "api@3": true, "api@4": true, "api@5": true, "api@6": true} {
		_, there := w.s.Versions[id]
		_, platform := w.o.Versions[id]
		if there != kept || platform != kept {
			t.Errorf("%s known: %v, kept by the platform: %v", id, there, platform)
		}
	}
	w.open(opening("revert-r4", "api@3"))
	w.wants(map[string]release.Phase{"revert-r4": release.Previewing})
	err := w.try(func(s release.State) (release.State, error) { return s.Open(opening("r2", "api@9"), ann(""), w.now) })
	wantRefused(t, err, "name", "r2 was live before (uid uid-r2), and a name is not used twice; choose another name")
}
