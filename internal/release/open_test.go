package release_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/release"
)

func TestOpenRefuses(t *testing.T) {
	twice := opening("r9", "api@2")
	twice.Versions = append(twice.Versions, version("api@3", 2))
	other := opening("r9", "api@1")
	other.Versions[0].Digest = "sha256:other"
	moved := opening("r9", "api@2")
	moved.Versions[0].ID = "web@1"
	for _, c := range []struct {
		name string
		in   release.Opening
		rule string
		text string
	}{
		{"no versions", opening("r9"), "version", "r9 has no versions; name at least one service"},
		{"unknown service", opening("r9", "api@2", "mail@1"), "version", "r9 names the service mail, which the fleet does not have; add it to the fleet first"},
		{"nothing new", opening("r9", "api@1", "db@1"), "version", "every version of r9 is the one that it would replace; give at least one service another version"},
		{"a service twice", twice, "version", "the service api is named twice; keep one of them"},
		{"other content", other, "version", "version 1 of api is known with other content, and a version does not change; give the changed one another name"},
		{"another service's version", moved, "version", "version 2 of api is known with other content, and a version does not change; give the changed one another name"},
		{"no name", opening("", "api@2"), "name", `a release cannot be called "": its views' stamps are made of its name, a dot and a number; choose another name`},
		{"a dot", opening("r9.2", "api@2"), "name", `a release cannot be called "r9.2": its views' stamps are made of its name, a dot and a number; choose another name`},
		{"baseline", opening("baseline", "api@2"), "name", `a release cannot be called "baseline": its views' stamps are made of its name, a dot and a number; choose another name`},
		{"was live", opening("settled", "api@2"), "name", "settled was live before (uid uid-settled), and a name is not used twice; choose another name"},
		{"was live, aborted", opening("aborted", "api@2"), "name", "aborted was live before (uid uid-aborted), and a name is not used twice; choose another name"},
		{"is live, changed", opening("live", "api@2"), "phase", "live is Live, and a release that ordinary requests got does not change; open another release for the change"},
		{"in canary, changed", opening("canary", "api@2"), "phase", "canary is Canary, and a release that ordinary requests got does not change; open another release for the change"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 5 { // which of several faults is named does not depend on the order of a map
				w := newWorld(t)
				w.live("settled", "web@2")
				w.settle("settled")
				w.pass(quiet)
				w.live("aborted", "web@3")
				w.abort("aborted")
				w.live("live", "web@4")
				w.open(opening("canary", "wallet@2"))
				w.canary("canary")
				err := w.try(func(s release.State) (release.State, error) { return s.Open(c.in, ann(""), w.now) })
				wantRefused(t, err, c.rule, c.text)
			}
		})
	}
}

func TestOpenShowsThePreviewWhenReady(t *testing.T) {
	w := newWorld(t)
	w.do(func(s release.State) (release.State, error) { return s.Open(opening("r1", "api@2"), ann(""), w.now) })
	actions := w.step()
	if !slices.Contains(actions, release.Action(release.Run{Version: "api@2"})) {
		t.Errorf("actions %v do not run api@2", actions)
	}
	w.o.Versions["api@2"] = release.VersionStatus{Replicas: 2, Ready: 1}
	w.step()
	w.wants(map[string]release.Phase{"r1": release.Preparing})
	if got, want := w.s.Releases["r1"].Reason, "waiting for api@2 (1 of 2 ready)"; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
	w.o.Versions["api@2"] = release.VersionStatus{Replicas: 2, Ready: 2}
	w.step()
	r := w.s.Releases["r1"]
	w.wants(map[string]release.Phase{"r1": release.Previewing})
	if r.View != "r1" || w.s.Views["r1"].Versions["api"] != "api@2" || w.s.Views["r1"].Versions["web"] != "web@1" {
		t.Errorf("view %q: %v", r.View, w.s.Views[r.View])
	}
	w.wantServes("web@1", "api@1", "wallet@1", "db@1")
}

func TestOpenAgain(t *testing.T) {
	for _, c := range []struct {
		phase   release.Phase
		prepare func(*world)
	}{
		{release.Preparing, func(w *world) {
			w.do(func(s release.State) (release.State, error) { return s.Open(opening("r1", "api@2"), ann(""), w.now) })
		}},
		{release.Previewing, func(w *world) { w.open(opening("r1", "api@2")) }},
		{release.Canary, func(w *world) { w.open(opening("r1", "api@2")); w.canary("r1") }},
		{release.Live, func(w *world) { w.live("r1", "api@2") }},
		{release.Settling, func(w *world) { w.live("r1", "api@2"); w.settle("r1") }},
	} {
		t.Run(string(c.phase), func(t *testing.T) {
			w := newWorld(t)
			c.prepare(w)
			w.wants(map[string]release.Phase{"r1": c.phase})
			before := w.s.Revision
			w.do(func(s release.State) (release.State, error) { return s.Open(opening("r1", "api@2"), ann(""), w.now) })
			if w.s.Revision != before {
				t.Error("the same content changed the State")
			}
		})
	}
}

func TestUpdate(t *testing.T) {
	w := newWorld(t)
	w.open(opening("r1", "api@2"))
	changed := opening("r1", "api@3", "web@2")
	changed.UID = "another"
	w.do(func(s release.State) (release.State, error) { return s.Open(changed, ann(""), w.now) })
	w.step()
	r := w.s.Releases["r1"]
	if r.Phase != release.Preparing || r.Generation != 2 || r.UID != "uid-r1" || r.View != "r1" {
		t.Errorf("while the new versions start: %+v", r)
	}
	if w.s.Views["r1"].Ending() || !slices.Contains(w.s.Desired(), "api@2") {
		t.Error("testers lost what they saw before the new versions were ready")
	}
	w.run()
	r = w.s.Releases["r1"]
	if r.Phase != release.Previewing || r.View != "r1.2" || w.s.Views["r1.2"].Versions["api"] != "api@3" {
		t.Errorf("after they were ready: %+v", r)
	}
	if !w.s.Views["r1"].Ending() {
		t.Error("the old view does not end")
	}
	w.pass(quiet)
	if _, there := w.s.Views["r1"]; there || slices.Contains(w.s.Desired(), "api@2") {
		t.Error("the old view did not end after the quiet time")
	}
}

func TestUpdateWhilePreparing(t *testing.T) {
	w := newWorld(t)
	w.do(func(s release.State) (release.State, error) { return s.Open(opening("r1", "api@2"), ann(""), w.now) })
	w.open(opening("r1", "api@3"))
	r := w.s.Releases["r1"]
	if r.Phase != release.Previewing || r.Generation != 2 || r.View != "r1" || w.s.Views["r1"].Versions["api"] != "api@3" {
		t.Errorf("%+v", r)
	}
}

func TestUpdateThatPreparesFollowsTheDefault(t *testing.T) {
	w := newWorld(t)
	w.open(opening("r1", "api@2"))
	w.open(opening("r2", "web@2"))
	w.do(func(s release.State) (release.State, error) { return s.Open(opening("r1", "api@3"), ann(""), w.now) })
	w.promote("r2")
	w.step()
	r := w.s.Releases["r1"]
	v := w.s.Views[r.View]
	if r.Phase != release.Preparing || v.Over != "r2" || v.Versions["api"] != "api@2" || v.Versions["web"] != "web@2" {
		t.Errorf("%s shows %+v", r.Phase, v)
	}
}

func TestFailed(t *testing.T) {
	w := newWorld(t)
	w.broken["api@2"] = true
	w.open(opening("r1", "api@2", "web@2"))
	r := w.s.Releases["r1"]
	if r.Phase != release.Failed || r.Reason != "api@2 did not become ready: exit status 1" || r.View != "" {
		t.Errorf("%+v", r)
	}
	if w.o.Versions["web@2"].Ready != 0 || slices.Contains(w.s.Desired(), "web@2") {
		t.Error("versions of a Failed release go on running")
	}

	t.Run("the same again is tried again", func(t *testing.T) {
		w.broken["api@2"] = false
		w.open(opening("r1", "api@2", "web@2"))
		w.wants(map[string]release.Phase{"r1": release.Previewing})
		if g := w.s.Releases["r1"].Generation; g != 2 {
			t.Errorf("generation %d", g)
		}
	})
	t.Run("a failed update ends the preview", func(t *testing.T) {
		w.broken["api@3"] = true
		w.open(opening("r1", "api@3"))
		w.wants(map[string]release.Phase{"r1": release.Failed})
		w.pass(drain)
		if len(w.s.Views) != 1 {
			t.Errorf("views %v", w.s.Views)
		}
	})
	t.Run("changed content is tried", func(t *testing.T) {
		w.open(opening("r1", "api@4"))
		w.wants(map[string]release.Phase{"r1": release.Previewing})
	})
}

func TestVersionThatStopsIsRunAgain(t *testing.T) {
	w := newWorld(t)
	w.open(opening("r1", "api@2"))
	w.abort("r1")
	w.now = w.now.Add(quiet)
	w.step()
	w.o.Versions["api@2"] = release.VersionStatus{Replicas: 2, Ready: 2, Stopping: true} // drains
	w.do(func(s release.State) (release.State, error) { return s.Open(opening("r1", "api@2"), ann(""), w.now) })
	if actions := w.step(); len(actions) > 0 {
		t.Errorf("actions %v while it drains", actions)
	}
	w.wants(map[string]release.Phase{"r1": release.Preparing})
	w.o.Versions["api@2"] = release.VersionStatus{Stopping: true, Gone: true}
	w.run()
	w.wants(map[string]release.Phase{"r1": release.Previewing})
	if r := w.s.Releases["r1"]; r.View != "r1.2" || r.Generation != 2 {
		t.Errorf("stamp %s, generation %d: a stamp stands for one view, and a generation for one content", r.View, r.Generation)
	}
}

func TestReplicas(t *testing.T) {
	w := newWorld(t)
	w.open(opening("r1", "api@2"))
	scaled := func(n int, ids ...string) release.Opening {
		o := opening("r1", ids...)
		for i := range o.Versions {
			o.Versions[i].Replicas = n
		}
		return o
	}
	w.open(scaled(5, "api@2"))
	if r := w.s.Releases["r1"]; w.o.Versions["api@2"].Ready != 5 || r.Generation != 2 {
		t.Errorf("more: %d ready in generation %d", w.o.Versions["api@2"].Ready, r.Generation)
	}
	w.open(scaled(3, "api@2"))
	if got := w.s.Versions["api@2"].Replicas; got != 3 {
		t.Errorf("fewer: %d", got)
	}
	w.open(opening("r2", "web@2"))
	both := scaled(1, "web@2", "api@1")
	both.Versions[1].Replicas = 1
	w.open(both)
	if got := w.s.Versions["api@1"].Replicas; got != 2 {
		t.Errorf("a preview took instances of what serves: %d", got)
	}
}

func TestRebase(t *testing.T) {
	w := newWorld(t)
	w.open(opening("r1", "api@2"))
	w.live("r2", "api@3")
	err := w.try(func(s release.State) (release.State, error) {
		return s.Promote(release.Promotion{Name: "r1"}, w.o, ann(""), w.now)
	})
	wantRefused(t, err, "base", "what r1 replaces has changed since it was opened: api is now api@3, not api@1; "+
		"look at greenroom release diff r1, then greenroom release rebase r1")

	w.do(func(s release.State) (release.State, error) { return s.Rebase(opening("r1", "api@2"), ann(""), w.now) })
	w.run()
	r := w.s.Releases["r1"]
	if r.Generation != 2 || r.Replaces["api"] != "api@3" {
		t.Errorf("%+v", r)
	}
	revision := w.s.Revision
	w.do(func(s release.State) (release.State, error) { return s.Rebase(opening("r1", "api@2"), ann(""), w.now) })
	if w.s.Revision != revision {
		t.Error("a second rebase changed the State")
	}
	w.promote("r1")
	err = w.try(func(s release.State) (release.State, error) { return s.Rebase(opening("r9"), ann(""), w.now) })
	if !errors.Is(err, release.ErrUnknown) || err.Error() != "no such release: r9" {
		t.Errorf("got %v", err)
	}
}

func TestUpdateKeepsWhatItReplaces(t *testing.T) {
	w := newWorld(t)
	w.open(opening("r1", "api@2"))
	w.live("r2", "api@3", "web@2")
	w.open(opening("r1", "api@4", "web@3")) // an update is no rebase, but for the service that it adds
	if got := w.s.Releases["r1"].Replaces; got["api"] != "api@1" || got["web"] != "web@2" {
		t.Errorf("replaces %v", got)
	}
}

func TestAuto(t *testing.T) {
	auto := opening("r1", "api@2")
	auto.Auto = true

	w := newWorld(t)
	w.open(auto)
	w.wants(map[string]release.Phase{"r1": release.Live})
	last := w.log[len(w.log)-1]
	if last.Type != "ReleasePromoted" || last.Who != "ann" || last.Why != "opened to go live at once" {
		t.Errorf("%+v", last)
	}
	w.open(auto) // idempotent
	w.wants(map[string]release.Phase{"r1": release.Live})

	w.rollback("r1")
	w.pass(time.Second)
	w.wants(map[string]release.Phase{"r1": release.Previewing})
	w.open(auto)
	w.wants(map[string]release.Phase{"r1": release.Previewing})
	w.promote("r1")
	w.run()
	w.wants(map[string]release.Phase{"r1": release.Live})
}

func TestAutoAskedForLater(t *testing.T) {
	w := newWorld(t)
	w.open(opening("r1", "api@2"))
	auto := opening("r1", "api@2")
	auto.Auto = true
	w.open(auto)
	w.wants(map[string]release.Phase{"r1": release.Live})
	if g := w.s.Releases["r1"].Generation; g != 1 {
		t.Errorf("generation %d", g)
	}
}

func TestAutoWaits(t *testing.T) {
	w := newWorld(t)
	w.failed["smoke"] = true
	auto := opening("r1", "api@2")
	auto.Auto = true
	auto.Hooks = map[release.Moment][]string{release.Verify: {"smoke"}}
	w.open(auto)
	r := w.s.Releases["r1"]
	want := "verify failed: smoke: exit status 3; mend it, then greenroom release verify r1"
	if r.Phase != release.Previewing || r.Reason != want {
		t.Errorf("%s, %q; want %q", r.Phase, r.Reason, want)
	}
	w.failed["smoke"] = false
	w.do(func(s release.State) (release.State, error) { return s.Retry("r1", release.Verify, ann(""), w.now) })
	w.run()
	w.wants(map[string]release.Phase{"r1": release.Live})
}

// A hook that does something else under the same name is changed content.
func TestOpenAgainWithAnotherHook(t *testing.T) {
	w := newWorld(t)
	o := opening("r1", "api@2")
	o.Hooks = map[release.Moment][]string{release.Verify: {"smoke"}}
	o.HookDigest = "one"
	w.failed["smoke"] = true
	w.open(o)
	w.run()
	if p := w.s.Releases["r1"].Progress[release.Verify]; p.Failed == "" {
		t.Fatalf("verify passed: %+v", p)
	}
	w.failed["smoke"] = false
	o.HookDigest = "another"
	w.open(o)
	w.run()
	if r := w.s.Releases["r1"]; r.Generation != 2 || r.Phase != release.Previewing || r.Progress[release.Verify].Failed != "" {
		t.Errorf("generation %d, %s, verify %+v", r.Generation, r.Phase, r.Progress[release.Verify])
	}
}
