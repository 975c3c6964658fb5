package release_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/release"
)

func (w *world) apply(c release.Change) error {
	return w.try(func(s release.State) (release.State, error) { return s.Apply(c, ann("apply"), w.now) })
}

func TestServiceJoins(t *testing.T) {
	w := newWorld(t)
	w.live("r1", "api@2")
	w.open(opening("r2", "web@2"))
	all := services("web", "api", "wallet", "db", "mail")
	c := release.Change{Services: all, First: []release.Version{version("mail@1", 1), version("api@9", 1)}, Settings: settings()}
	if err := w.apply(c); err != nil {
		t.Fatal(err)
	}
	delete(all, "mail") // the caller's map stays the caller's
	for stamp, v := range w.s.Views {
		if v.Versions["mail"] != "mail@1" || v.Versions["api"] == "api@9" {
			t.Errorf("view %s: %v", stamp, v.Versions)
		}
	}
	w.run()
	if w.o.Versions["mail@1"].Ready != 1 {
		t.Error("mail@1 does not run")
	}
	revision := w.s.Revision
	c.Services = services("web", "api", "wallet", "db", "mail")
	if err := w.apply(c); err != nil || w.s.Revision != revision {
		t.Errorf("again: %v, changed: %v", err, w.s.Revision != revision)
	}
	w.promote("r2")
	w.wantServes("web@2", "api@2", "wallet@1", "db@1", "mail@1")
	w.rollback("r2")
	w.wantServes("web@1", "api@2", "wallet@1", "db@1", "mail@1")
}

func TestServiceJoinsWithoutAVersion(t *testing.T) {
	w := newWorld(t)
	if err := w.apply(release.Change{Services: services("web", "api", "wallet", "db", "mail"), Settings: settings()}); err != nil {
		t.Fatal(err)
	}
	w.open(opening("r1", "mail@1"))
	w.open(opening("r2", "mail@2"))
	w.promote("r1")
	w.run()
	w.wantServes("web@1", "api@1", "wallet@1", "db@1", "mail@1")
	err := w.try(func(s release.State) (release.State, error) {
		return s.Promote(release.Promotion{Name: "r2"}, w.o, ann(""), w.now)
	})
	wantRefused(t, err, "base", "what r2 replaces has changed since it was opened: mail is now mail@1, not nothing; "+
		"look at greenroom release diff r2, then greenroom release rebase r2")
	w.rollback("r1")
	w.wantServes("web@1", "api@1", "wallet@1", "db@1")
	w.run()
	w.promote("r2")
	w.pass(window)
	w.pass(drain)
	w.wants(map[string]release.Phase{"r2": release.Settled})
}

func TestServiceLeaves(t *testing.T) {
	w := newWorld(t)
	w.live("r1", "api@2")
	w.open(opening("r2", "web@2"))
	rest := services("api", "wallet", "db")
	err := w.apply(release.Change{Services: rest, Settings: settings()})
	wantRefused(t, err, "busy", "the service web cannot leave: r2 names it; settle or abort r2 first")
	err = w.apply(release.Change{Settings: settings()}) // of several, always the same is named
	wantRefused(t, err, "busy", "the service api cannot leave: r1 names it; settle or abort r1 first")
	w.abort("r2")
	if err := w.apply(release.Change{Services: rest, Settings: settings()}); err != nil {
		t.Fatal(err)
	}
	w.wantServes("api@2", "wallet@1", "db@1")
	actions := w.step()
	if want := release.Action(release.Stop{Version: "web@1", Drain: drain}); !slices.Contains(actions, want) {
		t.Errorf("actions %v: its requests have their time too", actions)
	}
	w.rollback("r1")
	w.wantServes("api@1", "wallet@1", "db@1")
	w.pass(keep)
	w.pass(drain)
	if slices.Contains(slices.Collect(maps.Keys(w.s.Views)), "r2") {
		t.Error("r2's view stays")
	}
	err = w.try(func(s release.State) (release.State, error) { return s.Open(opening("r3", "web@3"), ann(""), w.now) })
	wantRefused(t, err, "version", "r3 names the service web, which the fleet does not have; add it to the fleet first")

	// It comes back, under its old name with other content: not while that is known.
	back := release.Change{Services: services("web", "api", "wallet", "db"), First: []release.Version{version("web@2", 1)}, Settings: settings()}
	back.First[0].Digest = "sha256:other"
	wantRefused(t, w.apply(back), "version", "version 2 of web is known with other content, and a version does not change; give the changed one another name")
	back.First[0] = version("web@5", 1)
	if err := w.apply(back); err != nil {
		t.Fatal(err)
	}
	w.run()
	w.wantServes("web@5", "api@1", "wallet@1", "db@1")
}

// A preview that prepares an update must not bring back, with the old view
// that it shows, a service that has left since.
func TestServiceLeavesAnOldPreview(t *testing.T) {
	w := newWorld(t)
	w.open(opening("r1", "api@2", "web@2"))
	w.open(opening("r2", "wallet@2"))
	w.do(func(s release.State) (release.State, error) { return s.Open(opening("r1", "api@3"), ann(""), w.now) })
	if err := w.apply(release.Change{Services: services("api", "wallet", "db"), Settings: settings()}); err != nil {
		t.Fatal(err)
	}
	w.promote("r2")
	w.step()
	r := w.s.Releases["r1"]
	if v := w.s.Views[r.View].Versions; r.Phase != release.Preparing || v["web"] != "" || v["api"] != "api@2" || v["wallet"] != "wallet@2" {
		t.Errorf("%s shows %v", r.Phase, v)
	}
}

func TestScale(t *testing.T) {
	w := newWorld(t)
	w.live("r1", "api@2")
	c := release.Change{Services: w.s.Services, Settings: settings(), Replicas: map[string]int{"api": 4, "web": 2, "db": 3, "wallet": 1, "mail": 1}}
	from := len(w.log)
	if err := w.apply(c); err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, e := range w.log[from:] {
		said = append(said, e.Type+": "+e.Message)
	}
	want := []string{"ServiceScaled: api@2 runs 4 instances", "ServiceScaled: api@1 runs 4 instances", "ServiceScaled: web@1 runs 2 instances"}
	if !slices.Equal(said, want) {
		t.Errorf("events %q, want %q", said, want)
	}
	w.run()
	if w.o.Versions["api@2"].Ready != 4 || w.o.Versions["api@1"].Ready != 4 || w.o.Versions["web@1"].Ready != 2 {
		t.Errorf("observed %v", w.o.Versions)
	}
	revision := w.s.Revision
	if err := w.apply(c); err != nil || w.s.Revision != revision {
		t.Errorf("again: %v, changed: %v", err, w.s.Revision != revision)
	}
	w.open(opening("r1", "api@2")) // its document is merely behind
	if w.s.Revision != revision {
		t.Error("opening a Live release again scaled it")
	}
	w.open(opening("r2", "api@3"))
	err := w.try(func(s release.State) (release.State, error) {
		return s.Promote(release.Promotion{Name: "r2"}, w.o, ann(""), w.now)
	})
	wantRefused(t, err, "ready", "api@3 has 2 instances ready of 4 instances; wait, look at greenroom logs, or open the release again with as many replicas as it replaces")
}

func TestSettingsAndDrains(t *testing.T) {
	w := newWorld(t)
	w.open(opening("r1", "api@2"))
	c := release.Change{Services: services("web", "api", "wallet", "db"), Settings: settings()}
	c.Services["web"] = release.Service{Drain: 3 * time.Minute}
	c.Settings.Quiet = 2 * time.Minute
	if err := w.apply(c); err != nil {
		t.Fatal(err)
	}
	w.abort("r1")
	w.o.Stamps["r1"] = release.StampStatus{InFlight: 1}
	w.run()
	w.pass(3*time.Minute - 1)
	if _, there := w.s.Views["r1"]; !there {
		t.Error("ended before the longest drain of its services")
	}
	w.pass(1)
	if _, there := w.s.Views["r1"]; there {
		t.Error("did not end")
	}
}

// What something else gives to versions is taken in for all that may serve,
// and is no event.
func TestFollow(t *testing.T) {
	w := newWorld(t)
	w.live("r1", "api@2")
	w.open(opening("r2", "api@3", "wallet@2"))
	from, revision, before := len(w.log), w.s.Revision, w.s.Versions
	c := release.Change{Services: w.s.Services, Settings: settings(), Follow: map[string]int{"api": 4, "web": 0, "db": 3, "mail": 1}}
	if err := w.apply(c); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]int{"api@1": 4, "api@2": 4, "api@3": 4, "web@1": before["web@1"].Replicas, "wallet@2": before["wallet@2"].Replicas, "db@1": 0} {
		if got := w.s.Versions[id].Replicas; got != want {
			t.Errorf("%s is to have %d instances, want %d", id, got, want)
		}
	}
	if len(w.log) != from || w.s.Revision != revision+1 {
		t.Errorf("events %+v, %d changes", w.log[from:], w.s.Revision-revision)
	}
	revision = w.s.Revision
	if err := w.apply(c); err != nil || w.s.Revision != revision {
		t.Errorf("again: %v, changed: %v", err, w.s.Revision != revision)
	}
}

// A version that something else ran is known better later: every view that has
// it, and every release that replaces it, has what it turned out to be.
func TestBecome(t *testing.T) {
	w := newWorld(t)
	w.open(opening("r1", "api@2"))
	before := w.s.Views["r1"].Versions
	v := release.Version{ID: "db@known", Service: "db", Name: "known", Digest: "known", Replicas: 2}
	c := release.Change{Services: w.s.Services, Settings: settings(), Become: []release.Version{v, {ID: "mail@1", Service: "mail"}}}
	next, err := w.s.Apply(c, ann(""), w.now)
	if err != nil {
		t.Fatal(err)
	}
	for _, stamp := range []string{release.Baseline, "r1"} {
		if got := next.Views[stamp].Versions["db"]; got != "db@known" {
			t.Errorf("%s has %s", stamp, got)
		}
	}
	if before["db"] == "db@known" {
		t.Error("a State was changed in place")
	}
	if len(next.Pending) != 1 || next.Versions["mail@1"].ID != "" {
		t.Errorf("events %+v, versions %v", next.Pending, next.Versions)
	}
}

func TestTakenBack(t *testing.T) {
	w := newWorld(t)
	w.live("r1", "api@2")
	rollback := func() {
		t.Helper()
		if err := w.try(func(s release.State) (release.State, error) { return s.Rollback("r1", ann("rollback"), w.now) }); err != nil {
			t.Fatal(err)
		}
	}
	is := func(want bool, when string) {
		t.Helper()
		if r := w.s.Releases["r1"]; r.TakenBack() != want {
			t.Errorf("%s: taken back is %t, in %s with the rollback %v", when, r.TakenBack(), r.Phase, r.RolledBack)
		}
	}
	is(false, "live")
	rollback()
	is(true, "rolled back")
	w.promote("r1")
	is(false, "promoted again")
	rollback()
	w.open(opening("r1", "api@3"))
	w.run()
	is(false, "changed since")
	w.abort("r1")
	is(false, "aborted")
}
