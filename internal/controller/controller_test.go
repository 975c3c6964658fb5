package controller

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/release"
	"github.com/greenroom-dev/greenroom/internal/store"
)

// record is what a small engine keeps: the state, and a note for each version.
type record struct {
	State release.State     `json:"state"`
	Notes map[string]string `json:"notes"`
}

func (r record) Core() release.State { return r.State }

func (r record) With(s release.State) record {
	r.State = s
	r.Notes = maps.Clone(r.Notes)
	maps.DeleteFunc(r.Notes, func(id, _ string) bool { _, spoken := s.Versions[id]; return !spoken })
	return r
}

// world is a platform, hops and hooks in which everything works at once, and
// which remembers what it was told and when.
type world struct {
	mu       sync.Mutex
	versions map[string]release.VersionStatus
	serving  string   // stamp in force at the hops
	order    []string // what happened, in order
	runFails error
	kicked   func()
}

func newWorld() *world { return &world{versions: map[string]release.VersionStatus{}} }

func (w *world) note(what string) { w.order = append(w.order, what) }

func (w *world) Run(_ context.Context, rec record, version string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.runFails != nil {
		return w.runFails
	}
	n := rec.State.Versions[version].Replicas
	w.versions[version] = release.VersionStatus{Ready: max(n, 1), Replicas: n}
	w.note("run " + version)
	w.kicked()
	return nil
}

func (w *world) Stop(version string, _ time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.versions[version] = release.VersionStatus{Stopping: true, Gone: true}
	w.note("stop " + version)
	w.kicked()
}

func (w *world) Forget(version string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.versions, version)
}

func (w *world) Prepare(rec record) (func(), error) {
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.serving != rec.State.Default {
			w.note("publish " + rec.State.Default)
		}
		w.serving = rec.State.Default
	}, nil
}

func (w *world) EndView(string) {}

// platformOf and hopsOf tell the three Observes apart.
type platformOf struct{ *world }

func (p platformOf) Observe() map[string]release.VersionStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]release.VersionStatus{}
	for id, s := range p.versions {
		out[id] = s
	}
	return out
}

type hopsOf struct{ *world }

func (hopsOf) Observe() (map[string]release.StampStatus, map[string][]release.Drop) { return nil, nil }

type noHooks struct{}

func (noHooks) Run(record, release.RunHook)            {}
func (noHooks) Observe() map[string]release.HookStatus { return nil }

type noMetrics struct{}

func (noMetrics) Phase(string, string, bool) {}
func (noMetrics) Switched(string)            {}
func (noMetrics) Forget(string)              {}

// disk is a real store that can be full.
type disk struct {
	*store.Store
	w    *world
	mu   sync.Mutex
	full bool
}

var errFull = errors.New("no space left on device")

func (d *disk) fill(full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = full
}

func (d *disk) Load() (record, bool, error) {
	stored, ok, err := d.Store.Load()
	if err != nil || !ok {
		return record{}, false, err
	}
	var rec record
	err = json.Unmarshal(stored.State, &rec)
	return rec, true, err
}

func (d *disk) Save(rec record, events []release.Event) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full {
		return errFull
	}
	var kept []store.Event
	for _, e := range events {
		kept = append(kept, store.Event{Time: e.Time, Type: e.Type, Release: e.Release, Who: e.Who, Message: e.Message})
		d.w.mu.Lock()
		d.w.note("durable " + e.Type)
		d.w.mu.Unlock()
	}
	data, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	return d.Store.Save(store.Record{Revision: rec.State.Revision, State: data}, kept)
}

type rig struct {
	t *testing.T
	*world
	*disk
	path string
	c    *Controller[record]
	stop func()
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, world: newWorld(), path: filepath.Join(t.TempDir(), "greenroom.db")}
	r.start()
	t.Cleanup(func() { r.stop() })
	return r
}

func (r *rig) start() {
	r.t.Helper()
	s, err := store.Open(r.path)
	if err != nil {
		r.t.Fatal(err)
	}
	r.disk = &disk{Store: s, w: r.world}
	var c *Controller[record]
	r.world.kicked = func() { c.Kick() }
	c, err = New(Options[record]{
		Store: r.disk, Platform: platformOf{r.world}, Hops: hopsOf{r.world}, Hooks: noHooks{}, Metrics: noMetrics{},
		Log: slog.New(slog.DiscardHandler), Now: time.Now, Tick: 5 * time.Millisecond,
	}, func(now time.Time) (record, error) {
		first := release.Version{ID: "api@1", Service: "api", Name: "1", Digest: "1", Replicas: 1}
		return record{
			State: release.New(map[string]release.Service{"api": {Drain: time.Second}}, []release.Version{first},
				release.Settings{Quiet: time.Millisecond, History: 10}, release.Greenroom(), now),
			Notes: map[string]string{"api@1": "the first", "api@0": "of nothing"},
		}, nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.c = c
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = c.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		<-ended
		if err := s.Close(); err != nil {
			r.t.Error(err)
		}
	})
}

func (r *rig) open(name, version string) {
	r.t.Helper()
	v := release.Version{ID: "api@" + version, Service: "api", Name: version, Digest: version, Replicas: 1}
	_, err := r.c.Do(r.t.Context(), func(rec record, _ release.Observation, now time.Time) (record, error) {
		var err error
		rec.State, err = rec.State.Open(release.Opening{Name: name, UID: "uid-" + name, Versions: []release.Version{v}, RollbackWindow: time.Hour, Keep: time.Hour}, release.Greenroom(), now)
		rec.Notes = map[string]string{"api@1": "the first", v.ID: "brought by " + name}
		return rec, err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.await(name, release.Previewing)
}

func (r *rig) promote(name string) error {
	_, err := r.c.Do(r.t.Context(), func(rec record, o release.Observation, now time.Time) (record, error) {
		var err error
		rec.State, err = rec.State.Promote(release.Promotion{Name: name}, o, release.Greenroom(), now)
		return rec, err
	})
	return err
}

// await waits until a release is in a phase.
func (r *rig) await(name string, phase release.Phase) {
	r.t.Helper()
	r.until(func() bool { return r.c.Record().State.Releases[name].Phase == phase }, "%s is not %s", name, phase)
}

func (r *rig) until(done func() bool, format string, args ...any) {
	r.t.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		changed := r.c.Changed()
		if done() {
			return
		}
		select {
		case <-changed:
		case <-time.After(time.Millisecond):
		case <-deadline:
			r.t.Fatalf(format, args...)
		}
	}
}

func TestASwitchIsDurableBeforeItIsInForce(t *testing.T) {
	r := newRig(t)
	r.open("r1", "2")
	if err := r.promote("r1"); err != nil {
		t.Fatal(err)
	}
	r.world.mu.Lock()
	defer r.world.mu.Unlock()
	if r.serving != "r1" {
		t.Errorf("promote returned while the hops have %s", r.serving)
	}
	want := []string{"durable ReleasePromoted", "publish r1"}
	if n := len(r.order); n < 2 || r.order[n-2] != want[0] || r.order[n-1] != want[1] {
		t.Errorf("order %v, want it to end with %v", r.order, want)
	}
}

func TestWhatTheStateDoesNotSpeakOfIsNotPersisted(t *testing.T) {
	r := newRig(t)
	if notes := r.c.Record().Notes; notes["api@1"] != "the first" || len(notes) != 1 {
		t.Errorf("notes %v", notes)
	}
}

func TestWhatCanNotBePersistedIsNotDone(t *testing.T) {
	r := newRig(t)
	r.open("r1", "2")
	before := r.c.Record().State.Revision
	r.fill(true)
	if err := r.promote("r1"); !errors.Is(err, errFull) {
		t.Fatalf("error %v, want %v", err, errFull)
	}
	if now := r.c.Record().State; now.Revision != before || now.Default != release.Baseline {
		t.Errorf("revision %d → %d, default %s", before, now.Revision, now.Default)
	}
	r.world.mu.Lock()
	if r.serving != release.Baseline {
		t.Errorf("the hops have %s", r.serving)
	}
	r.world.mu.Unlock()
	r.fill(false)
	if err := r.promote("r1"); err != nil {
		t.Fatalf("with space again: %v", err)
	}
}

func TestSettlingStopsWhatWasReplaced(t *testing.T) {
	r := newRig(t)
	r.open("r1", "2")
	if err := r.promote("r1"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.c.Do(t.Context(), func(rec record, _ release.Observation, now time.Time) (record, error) {
		var err error
		rec.State, err = rec.State.Settle("r1", release.Greenroom(), now)
		return rec, err
	}); err != nil {
		t.Fatal(err)
	}
	r.await("r1", release.Settled)
	if s := (platformOf{r.world}).Observe()["api@1"]; !s.Gone {
		t.Errorf("what r1 replaced is %+v", s)
	}
}

func TestAnotherProcessGoesOnFromWhatWasDurable(t *testing.T) {
	r := newRig(t)
	r.open("r1", "2")
	if err := r.promote("r1"); err != nil {
		t.Fatal(err)
	}
	was := r.c.Record().State.Revision
	r.stop()
	r.world = newWorld() // everything was lost with the machine
	r.start()
	if r.serving != "r1" {
		t.Errorf("the hops have %s", r.serving)
	}
	if now := r.c.Record().State.Revision; now < was {
		t.Errorf("revision %d, was %d", now, was)
	}
	r.until(func() bool {
		seen := platformOf{r.world}.Observe()
		return seen["api@1"].Ready == 1 && seen["api@2"].Ready == 1
	}, "versions were not started again")
}

func TestAVersionThatCanNotBeRunFailsItsReleaseAndIsTriedAgain(t *testing.T) {
	r := newRig(t)
	r.until(func() bool { return platformOf{r.world}.Observe()["api@1"].Ready == 1 }, "the baseline does not run")
	r.world.mu.Lock()
	r.runFails = errors.New("no addresses left")
	r.world.mu.Unlock()
	_, err := r.c.Do(t.Context(), func(rec record, _ release.Observation, now time.Time) (record, error) {
		v := release.Version{ID: "api@2", Service: "api", Name: "2", Digest: "2", Replicas: 1}
		var err error
		rec.State, err = rec.State.Open(release.Opening{Name: "r1", UID: "u", Versions: []release.Version{v}}, release.Greenroom(), now)
		return rec, err
	})
	if err != nil {
		t.Fatal(err)
	}
	r.await("r1", release.Failed)
	if why := r.c.Record().State.Releases["r1"].Reason; why != "api@2 did not become ready: no addresses left" {
		t.Errorf("reason %q", why)
	}
}

func TestNobodyWaitsForAControllerThatEnded(t *testing.T) {
	r := newRig(t)
	r.stop()
	if err := r.promote("r1"); !errors.Is(err, ErrStopped) {
		t.Errorf("error %v, want %v", err, ErrStopped)
	}
}
