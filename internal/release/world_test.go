package release_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/release"
)

const (
	quiet  = 10 * time.Second
	drain  = time.Minute
	window = time.Hour
	keep   = 2 * time.Hour
	pin    = 10 * time.Minute
)

// reporter is what *testing.T and *rapid.T have in common.
type reporter interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// world is a fleet as the state machine sees it: its State, what is observed,
// and the hour. Every change goes through it, so that what must hold always is
// checked after each.
type world struct {
	t   reporter
	s   release.State
	o   release.Observation
	now time.Time
	log []release.Event

	written []byte // s, encoded

	broken map[string]bool // versions that never become ready
	failed map[string]bool // hooks, by name, that do not pass
	hangs  map[string]bool // hooks that do not end
}

func ann(why string) release.Actor { return release.Actor{Who: "ann", Why: why} }

func version(id string, replicas int) release.Version {
	service, name, _ := strings.Cut(id, "@")
	return release.Version{ID: id, Service: service, Name: name, Digest: "sha256:" + id, Replicas: replicas}
}

func settings() release.Settings {
	return release.Settings{Quiet: quiet, Pinning: pin, History: 10}
}

func services(names ...string) map[string]release.Service {
	out := map[string]release.Service{}
	for _, name := range names {
		out[name] = release.Service{Drain: drain}
	}
	return out
}

// newWorld is a fleet of web, api, wallet and db, each of version 1 and ready.
func newWorld(t reporter) *world {
	w := &world{
		t: t, now: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC),
		broken: map[string]bool{}, failed: map[string]bool{}, hangs: map[string]bool{},
	}
	w.o = release.Observation{
		Versions: map[string]release.VersionStatus{}, Stamps: map[string]release.StampStatus{},
		Hooks: map[string]release.HookStatus{}, Drops: map[string][]release.Drop{},
	}
	first := []release.Version{version("web@1", 1), version("api@1", 2), version("wallet@1", 1), version("db@1", 0)}
	w.take(release.New(services("web", "api", "wallet", "db"), first, settings(), ann(""), w.now))
	w.run()
	return w
}

// opening is a release of versions with one replica, api with two.
func opening(name string, ids ...string) release.Opening {
	o := release.Opening{Name: name, UID: "uid-" + name, RollbackWindow: window, Keep: keep}
	for _, id := range ids {
		replicas := 1
		if strings.HasPrefix(id, "api@") {
			replicas = 2
		}
		o.Versions = append(o.Versions, version(id, replicas))
	}
	return o
}

// take makes next the State, as a caller that persists it would.
func (w *world) take(next release.State) {
	w.t.Helper()
	w.log = append(w.log, next.Pending...)
	next.Pending = nil
	former := w.s
	w.s, w.written = next, encode(w.t, next)
	w.check(former)
}

// do makes a change that has to be accepted.
func (w *world) do(change func(release.State) (release.State, error)) {
	w.t.Helper()
	if err := w.try(change); err != nil {
		w.t.Fatalf("refused: %v", err)
	}
}

// try makes a change if it is accepted, and checks that State did not change
// in place, nor at all when it was refused.
func (w *world) try(change func(release.State) (release.State, error)) error {
	w.t.Helper()
	next, err := change(w.s)
	if !bytes.Equal(w.written, encode(w.t, w.s)) {
		w.t.Fatalf("a State was changed in place")
	}
	if err != nil {
		if next.Revision != w.s.Revision || len(next.Pending) > 0 {
			w.t.Fatalf("refused (%v) and changed all the same", err)
		}
		return err
	}
	w.follow(next)
	return nil
}

// follow takes next, and checks that a change raises the revision by one and
// nothing else does.
func (w *world) follow(next release.State) {
	w.t.Helper()
	revision, written, silent := w.s.Revision, w.written, len(next.Pending) == 0
	w.take(next)
	same := silent && bytes.Equal(written, w.written)
	if same && next.Revision != revision || !same && next.Revision != revision+1 {
		w.t.Fatalf("revision %d → %d; the same State: %v", revision, next.Revision, same)
	}
}

// step steps once, and checks that a second step has nothing to add and that
// both say the same of the same.
func (w *world) step() []release.Action {
	w.t.Helper()
	before := w.s
	next, actions := release.Step(before, w.o, w.now)
	twin, twins := release.Step(before, w.o, w.now)
	if !reflect.DeepEqual(next, twin) || !reflect.DeepEqual(actions, twins) {
		w.t.Fatalf("Step is not deterministic: %v, then %v", actions, twins)
	}
	if next.Revision != before.Revision && !bytes.Equal(w.written, encode(w.t, before)) {
		w.t.Fatalf("Step changed a State in place")
	}
	w.follow(next)
	again, more := release.Step(w.s, w.o, w.now)
	if again.Revision != w.s.Revision || len(again.Pending) > 0 || !reflect.DeepEqual(actions, more) {
		w.t.Fatalf("Step without news changed the State: revision %d → %d, events %v, actions %v → %v",
			w.s.Revision, again.Revision, again.Pending, actions, more)
	}
	return actions
}

// obey is a platform that does at once what it is told.
func (w *world) obey(actions []release.Action) {
	for _, action := range actions {
		switch a := action.(type) {
		case release.Run:
			v := w.s.Versions[a.Version]
			status := release.VersionStatus{Replicas: v.Replicas, Ready: max(v.Replicas, 1)}
			if w.broken[a.Version] {
				status.Ready, status.Failed = 0, "exit status 1"
			}
			w.o.Versions[a.Version] = status
		case release.Stop:
			status := w.o.Versions[a.Version]
			status.Ready, status.Stopping, status.Gone = 0, true, true
			w.o.Versions[a.Version] = status
		case release.Forget:
			delete(w.o.Versions, a.Version)
		case release.EndView:
			delete(w.o.Stamps, a.Stamp)
		case release.RunHook:
			name := w.s.Releases[a.Release].Hooks[a.Moment][a.Index]
			status := release.HookStatus{Running: w.hangs[name], Passed: !w.failed[name]}
			if w.failed[name] {
				status.Message = "exit status 3"
			}
			w.o.Hooks[a.ID] = status
		}
	}
}

// run steps and obeys until nothing is left to do.
func (w *world) run() {
	w.t.Helper()
	for range 50 {
		revision := w.s.Revision
		actions := w.step()
		w.obey(actions)
		if len(actions) == 0 && revision == w.s.Revision {
			return
		}
	}
	w.t.Fatalf("no rest after 50 steps: %v", w.step())
}

// pass lets time go by, looking at the world before and after.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	w.run()
	w.now = w.now.Add(d)
	w.run()
}

func (w *world) open(o release.Opening) {
	w.t.Helper()
	w.do(func(s release.State) (release.State, error) { return s.Open(o, ann("open"), w.now) })
	w.run()
}

func (w *world) promote(name string) {
	w.t.Helper()
	w.do(func(s release.State) (release.State, error) {
		return s.Promote(release.Promotion{Name: name}, w.o, ann("promote"), w.now)
	})
}

func (w *world) live(name string, ids ...string) {
	w.t.Helper()
	w.open(opening(name, ids...))
	w.promote(name)
	w.run()
}

func (w *world) canary(name string) {
	w.t.Helper()
	w.do(func(s release.State) (release.State, error) { return s.StartCanary(name, w.o, ann("canary"), w.now) })
}

func (w *world) rollback(name string) {
	w.t.Helper()
	w.do(func(s release.State) (release.State, error) { return s.Rollback(name, ann("rollback"), w.now) })
}

func (w *world) abort(name string) {
	w.t.Helper()
	w.do(func(s release.State) (release.State, error) { return s.Abort(name, ann("abort"), w.now) })
}

func (w *world) settle(name string) {
	w.t.Helper()
	w.do(func(s release.State) (release.State, error) { return s.Settle(name, ann("settle"), w.now) })
}

// wants fails unless each release is in the phase named.
func (w *world) wants(phases map[string]release.Phase) {
	w.t.Helper()
	for name, phase := range phases {
		if got := w.s.Releases[name]; got.Phase != phase {
			w.t.Errorf("%s is %q (%s), want %s", name, got.Phase, got.Reason, phase)
		}
	}
}

func (w *world) serves() map[string]string { return w.s.Views[w.s.Default].Versions }

func (w *world) wantServes(ids ...string) {
	w.t.Helper()
	got := slices.Sorted(maps.Values(w.serves()))
	slices.Sort(ids)
	if !slices.Equal(got, ids) {
		w.t.Errorf("ordinary requests get %v, want %v", got, ids)
	}
}

// wantRefused fails unless err is a *Refused of exactly this rule and text.
func wantRefused(t *testing.T, err error, rule, text string) {
	t.Helper()
	var refused *release.Refused
	if !errors.As(err, &refused) {
		t.Fatalf("got %v, want a refusal", err)
	}
	if refused.Rule != rule || refused.Error() != text {
		t.Errorf("refused by %q: %s\nwant %q: %s", refused.Rule, refused, rule, text)
	}
}

func encode(t reporter, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	return data
}

// check holds w.s against what must hold in every state, and in every state
// that follows former.
func (w *world) check(former release.State) {
	w.t.Helper()
	desired := w.s.Desired()
	count := map[release.Phase]int{}
	inUse := map[string]bool{w.s.Default: true}
	if w.s.Pin != nil {
		inUse[w.s.Pin.Stamp] = true
	}
	for name, r := range w.s.Releases {
		count[r.Phase]++
		switch r.Phase {
		case release.Live, release.Canary:
			inUse[r.View], inUse[r.Former] = true, true
			if r.Phase == release.Live && r.View != w.s.Default {
				w.t.Errorf("%s is Live and ordinary requests get %s", name, w.s.Default)
			}
			if r.Phase == release.Canary && w.s.Views[r.View].Over != w.s.Default {
				w.t.Errorf("the canary %s lies over %s, ordinary requests get %s", name, w.s.Views[r.View].Over, w.s.Default)
			}
		case release.Previewing:
			inUse[r.View] = true
		case release.Preparing:
			if r.View != "" {
				inUse[r.View] = true
			}
		}
	}
	if count[release.Live] > 1 || count[release.Canary] > 1 {
		w.t.Errorf("%d Live, %d in Canary", count[release.Live], count[release.Canary])
	}
	for stamp := range inUse {
		if v, there := w.s.Views[stamp]; !there || v.Ending() {
			w.t.Errorf("view %q is in use; there: %v, ending: %v", stamp, there, v.Ending())
		}
	}
	for stamp, v := range w.s.Views {
		for service, id := range v.Versions {
			if !slices.Contains(desired, id) {
				w.t.Errorf("%s of view %s is not desired", id, stamp)
			}
			if w.s.Versions[id].Service != service {
				w.t.Errorf("%s of view %s is unknown", id, stamp)
			}
		}
		old, was := former.Views[stamp]
		for service, id := range old.Versions {
			_, stays := w.s.Services[service]
			if was && stays && v.Versions[service] != id {
				w.t.Errorf("view %s changed %s from %s to %s", stamp, service, id, v.Versions[service])
			}
		}
	}
	if former.Default != "" && (former.Default != w.s.Default) != (former.Epoch != w.s.Epoch) {
		w.t.Errorf("default %s → %s, epoch %d → %d", former.Default, w.s.Default, former.Epoch, w.s.Epoch)
	}
}
