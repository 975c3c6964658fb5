// Package controller turns what people ask for and what is observed into one
// persisted state after the other, and sees that the world follows it.
//
// It owns the loop: observe, release.Step, persist in one write, publish to
// the hops, apply the actions. It owns the interfaces of what it drives
// (Platform, Hops, Hooks, Store, Metrics), decides nothing itself that
// release decides, and knows no process, socket or file. One goroutine, that
// of Run, makes every change; readers take the last Record, which is
// immutable.
//
// Start at Controller.Run and Controller.Do.
package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// Record is everything that is persisted, as one value.
type Record struct {
	State    release.State            `json:"state"`
	Fleet    fleet.Fleet              `json:"fleet"`    // as last applied
	Catalog  map[string]fleet.Version `json:"catalog"`  // by version ID: how to run what State speaks of
	Releases map[string]Source        `json:"releases"` // by name: what State's releases were opened from
}

// Source is what a release was opened from.
type Source struct {
	Document []byte        `json:"document"` // as it was written, for rebase
	Name     string        `json:"name"`     // of the file, for errors
	Dir      string        `json:"dir"`      // that relative paths are relative to
	Spec     fleet.Release `json:"spec"`     // as completed
}

// Store persists Records and their events in one write.
type Store interface {
	// Load returns the last Record's bytes, or false when there is none.
	Load() (revision uint64, data json.RawMessage, ok bool, err error)
	// Save is durable when it returns. It refuses a revision that does not
	// follow the last.
	Save(revision uint64, data json.RawMessage, events []release.Event) error
}

// Platform runs versions. Its calls are idempotent and return soon; what
// became of them is observed.
type Platform interface {
	Run(ctx context.Context, rec Record, version string) error
	Stop(version string, drain time.Duration)
	Forget(version string)
	Observe() map[string]release.VersionStatus
}

// Hops are the edge and the mesh.
type Hops interface {
	// Prepare makes everything ready for the hops to follow rec, and returns
	// what puts it in force in one step.
	Prepare(rec Record) (publish func(), err error)
	EndView(stamp string)
	Observe() (stamps map[string]release.StampStatus, drops map[string][]release.Drop)
}

// Hooks run what a release brings along. Results stay until the hook is
// forgotten.
type Hooks interface {
	Run(rec Record, hook release.RunHook)
	Observe() map[string]release.HookStatus
}

// Metrics hears of what changed.
type Metrics interface {
	Phase(release, phase string, on bool)
	Switched(kind string)
	Forget(release string)
}

// Options are what a Controller drives. All but Tick are needed.
type Options struct {
	Store    Store
	Platform Platform
	Hops     Hops
	Hooks    Hooks
	Metrics  Metrics
	Log      *slog.Logger
	Now      func() time.Time
	Tick     time.Duration // between looks at the world without a Kick; 250 ms when 0
}

// Controller makes every change to one fleet's Record.
type Controller struct {
	o       Options
	asks    chan ask
	kick    chan struct{}
	stopped chan struct{} // closed when Run has ended
	started time.Time     // since when the hops have been watched
	failing bool          // the last step could not be persisted; used by Run alone
	current atomic.Pointer[Record]

	mu       sync.Mutex
	changed  chan struct{} // closed with the next change
	troubles map[string]trouble
}

// trouble is a version that could not be run.
type trouble struct {
	err   error
	again time.Time
}

type ask struct {
	change Change
	reply  chan answer
}

type answer struct {
	rec Record
	err error
}

// Change computes the Record that follows rec. It must not change rec's maps
// in place. Returning rec with the same State.Revision means no change.
type Change func(rec Record, o release.Observation, now time.Time) (Record, error)

// ErrStopped is returned by Do when the Controller does not run any more.
var ErrStopped = errors.New("greenroom is stopping")

// New returns a Controller with the Record that the store holds, or with first
// persisted as its first.
func New(o Options, first func(now time.Time) (Record, error)) (*Controller, error) {
	if o.Tick == 0 {
		o.Tick = 250 * time.Millisecond
	}
	c := &Controller{
		o: o, asks: make(chan ask), kick: make(chan struct{}, 1), stopped: make(chan struct{}), started: o.Now(),
		changed: make(chan struct{}), troubles: map[string]trouble{},
	}
	revision, data, ok, err := o.Store.Load()
	if err != nil {
		return nil, fmt.Errorf("load the state: %w", err)
	}
	var rec Record
	if ok {
		if err := json.Unmarshal(data, &rec); err != nil {
			return nil, fmt.Errorf("read the state of revision %d: %w", revision, err)
		}
		if rec.State.Revision != revision {
			return nil, fmt.Errorf("the state says revision %d, its store %d", rec.State.Revision, revision)
		}
		publish, err := o.Hops.Prepare(rec)
		if err != nil {
			return nil, fmt.Errorf("route by the state of revision %d: %w", revision, err)
		}
		c.current.Store(&rec)
		publish()
		for name, r := range rec.State.Releases {
			o.Metrics.Phase(name, string(r.Phase), true)
		}
		return c, nil
	}
	if rec, err = first(o.Now()); err != nil {
		return nil, err
	}
	c.current.Store(&Record{})
	if err := c.commit(rec); err != nil {
		return nil, err
	}
	return c, nil
}

// Record returns the last persisted Record. It must not be changed.
func (c *Controller) Record() Record { return *c.current.Load() }

// Changed returns a channel that is closed when the Record that Record returns
// after this call is replaced.
func (c *Controller) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// Kick makes the loop look at the world soon. It never blocks.
func (c *Controller) Kick() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// Observe returns what the platform, the hops and the hooks see now.
func (c *Controller) Observe() release.Observation {
	o := release.Observation{Versions: c.o.Platform.Observe(), Hooks: c.o.Hooks.Observe(), Watching: c.started}
	o.Stamps, o.Drops = c.o.Hops.Observe()
	c.mu.Lock()
	defer c.mu.Unlock()
	for version, t := range c.troubles {
		status := o.Versions[version]
		status.Failed, status.Replicas = t.err.Error(), -1 // so that it is tried again
		o.Versions[version] = status
	}
	return o
}

// Do makes a change: it is computed from the last Record, persisted, and in
// force at every hop when Do returns.
func (c *Controller) Do(ctx context.Context, change Change) (Record, error) {
	a := ask{change: change, reply: make(chan answer, 1)}
	select {
	case c.asks <- a:
	case <-c.stopped:
		return Record{}, ErrStopped
	case <-ctx.Done():
		return Record{}, ctx.Err()
	}
	got := <-a.reply
	return got.rec, got.err
}

// Run makes changes and steps until ctx is done. It is called once.
func (c *Controller) Run(ctx context.Context) error {
	tick := time.NewTicker(c.o.Tick)
	defer tick.Stop()
	defer close(c.stopped)
	c.step(ctx)
	owed := false // a step, for the last change
	for {
		select {
		case <-ctx.Done():
			return nil
		case a := <-c.asks:
			if owed {
				c.step(ctx)
			}
			rec, err := c.do(a.change)
			a.reply <- answer{rec: rec, err: err}
			owed = true
			time.AfterFunc(respite, c.Kick)
		case <-c.kick:
			c.step(ctx)
			owed = false
		case <-tick.C:
			c.step(ctx)
			owed = false
		}
	}
}

// respite is how long after a change the next step is taken: it looks at all of
// the fleet, and has to leave the processor to the requests that meet the change
// first.
const respite = 5 * time.Millisecond

func (c *Controller) do(change Change) (Record, error) {
	rec := c.Record()
	next, err := change(rec, c.Observe(), c.o.Now())
	if err != nil || next.State.Revision == rec.State.Revision {
		return rec, err
	}
	if err := c.commit(next); err != nil {
		return rec, err
	}
	return c.Record(), nil
}

// step takes in the world and applies what follows from it.
func (c *Controller) step(ctx context.Context) {
	rec := c.Record()
	next := rec
	var actions []release.Action
	next.State, actions = release.Step(rec.State, c.Observe(), c.o.Now())
	if next.State.Revision != rec.State.Revision {
		next = next.trimmed()
		err := c.commit(next)
		c.tellFailure(err)
		if err != nil {
			return // actions belong to a state that is not durable
		}
	}
	for _, a := range actions {
		c.apply(ctx, next, a)
	}
}

// tellFailure logs that the state can not be persisted, once until it can be.
func (c *Controller) tellFailure(err error) {
	switch {
	case err != nil && !c.failing:
		c.o.Log.Error("the state can not be persisted, so nothing is changed; greenroom goes on trying", "error", err)
	case err == nil && c.failing:
		c.o.Log.Info("the state can be persisted again")
	}
	c.failing = err != nil
}

// trimmed drops what State does not speak of any more.
func (r Record) trimmed() Record {
	r.Catalog, r.Releases = maps.Clone(r.Catalog), maps.Clone(r.Releases)
	maps.DeleteFunc(r.Catalog, func(id string, _ fleet.Version) bool {
		_, spoken := r.State.Versions[id]
		return !spoken
	})
	maps.DeleteFunc(r.Releases, func(name string, _ Source) bool {
		_, kept := r.State.Releases[name]
		return !kept
	})
	return r
}

// commit persists next, and then puts it in force.
func (c *Controller) commit(next Record) error {
	events := next.State.Pending
	last := c.Record()
	next.State.Pending = nil
	next.State.Revision = last.State.Revision + 1 // one write, however many steps led to it
	publish, err := c.o.Hops.Prepare(next)
	if err != nil {
		return fmt.Errorf("route by the new state: %w", err)
	}
	data, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("encode the state: %w", err)
	}
	if err := c.o.Store.Save(next.State.Revision, data, events); err != nil {
		return fmt.Errorf("persist the state: %w", err)
	}
	publish()
	c.current.Store(&next)
	c.mu.Lock()
	close(c.changed)
	c.changed = make(chan struct{})
	c.mu.Unlock()
	c.tell(last, next, events)
	return nil
}

func (c *Controller) tell(last, next Record, events []release.Event) {
	for _, e := range events {
		c.o.Log.Info(e.Message, "event", e.Type, "release", e.Release, "who", e.Who)
		switch e.Type {
		case "ReleasePromoted":
			c.o.Metrics.Switched("promote")
		case "ReleaseRolledBack":
			c.o.Metrics.Switched("rollback")
		}
	}
	for name, r := range last.State.Releases {
		now, kept := next.State.Releases[name]
		switch {
		case !kept:
			c.o.Metrics.Forget(name)
		case now.Phase != r.Phase:
			c.o.Metrics.Phase(name, string(r.Phase), false)
		}
	}
	for name, r := range next.State.Releases {
		c.o.Metrics.Phase(name, string(r.Phase), true)
	}
}

// retryAfter is how long a version that could not be run is left alone.
const retryAfter = time.Second

func (c *Controller) apply(ctx context.Context, rec Record, action release.Action) {
	switch a := action.(type) {
	case release.Run:
		if t, troubled := c.trouble(a.Version); troubled && c.o.Now().Before(t.again) {
			return
		}
		err := c.o.Platform.Run(ctx, rec, a.Version)
		c.note(a.Version, err)
		if err != nil && ctx.Err() == nil {
			c.o.Log.Error("a version can not be run", "version", a.Version, "error", err)
		}
	case release.Stop:
		c.note(a.Version, nil)
		c.o.Platform.Stop(a.Version, a.Drain)
	case release.Forget:
		c.note(a.Version, nil)
		c.o.Platform.Forget(a.Version)
	case release.EndView:
		c.o.Hops.EndView(a.Stamp)
	case release.RunHook:
		c.o.Hooks.Run(rec, a)
	}
}

func (c *Controller) trouble(version string) (trouble, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.troubles[version]
	return t, ok
}

func (c *Controller) note(version string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		delete(c.troubles, version)
		return
	}
	c.troubles[version] = trouble{err: err, again: c.o.Now().Add(retryAfter)}
	c.Kick()
}
