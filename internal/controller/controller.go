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
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/greenroom-dev/greenroom/internal/release"
)

// Record is everything that an engine persists of a fleet, as one immutable
// value: the state that release makes, and what the engine keeps beside it.
type Record[R any] interface {
	// Core returns the state.
	Core() release.State
	// With returns the Record with another state, and without what that state
	// does not speak of any more.
	With(release.State) R
}

// Store persists Records and their events in one write.
type Store[R Record[R]] interface {
	// Load returns the last Record, or false when there is none.
	Load() (rec R, ok bool, err error)
	// Save is durable when it returns. It refuses a Record whose revision does
	// not follow the last.
	Save(rec R, events []release.Event) error
}

// Platform runs versions. Its calls are idempotent and return soon; what
// became of them is observed; the map that Observe returns is not changed any
// more, by the Platform or by others.
type Platform[R Record[R]] interface {
	Run(ctx context.Context, rec R, version string) error
	Stop(version string, drain time.Duration)
	Forget(version string)
	Observe() map[string]release.VersionStatus
}

// Hops are the edge and the mesh.
type Hops[R Record[R]] interface {
	// Prepare makes everything ready for the hops to follow rec, and returns
	// what puts it in force in one step.
	Prepare(rec R) (publish func(), err error)
	EndView(stamp string)
	Observe() (stamps map[string]release.StampStatus, drops map[string][]release.Drop)
}

// Hooks run what a release brings along. Results stay until the hook is
// forgotten.
type Hooks[R Record[R]] interface {
	Run(rec R, hook release.RunHook)
	Observe() map[string]release.HookStatus
}

// Metrics hears of what changed.
type Metrics interface {
	Phase(release, phase string, on bool)
	Switched(kind string)
	Forget(release string)
}

// Options are what a Controller drives. All but Tick, Fit and Rest are needed.
type Options[R Record[R]] struct {
	Store    Store[R]
	Platform Platform[R]
	Hops     Hops[R]
	Hooks    Hooks[R]
	Metrics  Metrics
	Log      *slog.Logger
	Now      func() time.Time
	Tick     time.Duration                 // between looks at the world without a Kick; 250 ms when 0
	Fit      func(rec R) map[string]string // Observation.Fit; nil: the platform has no say
	Rest     func()                        // called when a change and what followed from it is done, and nobody waits
}

// Controller makes every change to one fleet's Record.
type Controller[R Record[R]] struct {
	o       Options[R]
	asks    chan ask[R]
	kick    chan struct{}
	stopped chan struct{} // closed when Run has ended
	started time.Time     // since when the hops have been watched
	failing bool          // the last step could not be persisted; used by Run alone
	current atomic.Pointer[R]

	mu       sync.Mutex
	changed  chan struct{} // closed with the next change
	troubles map[string]trouble
}

// trouble is a version that could not be run.
type trouble struct {
	err   error
	again time.Time
}

type ask[R Record[R]] struct {
	change Change[R]
	reply  chan answer[R]
}

type answer[R Record[R]] struct {
	rec R
	err error
}

// Change computes the Record that follows rec. It must not change rec in place.
// Returning one whose state has the same Revision means no change.
type Change[R Record[R]] func(rec R, o release.Observation, now time.Time) (R, error)

// ErrStopped is returned by Do when the Controller does not run any more.
var ErrStopped = errors.New("greenroom is stopping")

// New returns a Controller with the Record that the store holds, or with first
// persisted as its first, under the revision that it has, at least 1.
func New[R Record[R]](o Options[R], first func(now time.Time) (R, error)) (*Controller[R], error) {
	if o.Tick == 0 {
		o.Tick = 250 * time.Millisecond
	}
	c := &Controller[R]{
		o: o, asks: make(chan ask[R]), kick: make(chan struct{}, 1), stopped: make(chan struct{}), started: o.Now(),
		changed: make(chan struct{}), troubles: map[string]trouble{},
	}
	rec, ok, err := o.Store.Load()
	if err != nil {
		return nil, fmt.Errorf("load the state: %w", err)
	}
	if ok {
		publish, err := o.Hops.Prepare(rec)
		if err != nil {
			return nil, fmt.Errorf("route by the state of revision %d: %w", rec.Core().Revision, err)
		}
		c.current.Store(&rec)
		publish()
		for name, r := range rec.Core().Releases {
			o.Metrics.Phase(name, string(r.Phase), true)
		}
		return c, nil
	}
	if rec, err = first(o.Now()); err != nil {
		return nil, err
	}
	c.current.Store(new(R))
	before := release.State{Revision: max(rec.Core().Revision, 1) - 1}
	if err := c.commit(before, rec); err != nil {
		return nil, err
	}
	return c, nil
}

// Record returns the last persisted Record. It must not be changed.
func (c *Controller[R]) Record() R { return *c.current.Load() }

// Changed returns a channel that is closed when the Record that Record returns
// after this call is replaced.
func (c *Controller[R]) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// Kick makes the loop look at the world soon. It never blocks.
func (c *Controller[R]) Kick() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// Observe returns what the platform, the hops and the hooks see now.
func (c *Controller[R]) Observe() release.Observation {
	o := release.Observation{Versions: c.o.Platform.Observe(), Hooks: c.o.Hooks.Observe(), Watching: c.started}
	o.Stamps, o.Drops = c.o.Hops.Observe()
	if c.o.Fit != nil {
		o.Fit = c.o.Fit(c.Record())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.troubles) > 0 {
		o.Versions = maps.Clone(o.Versions)
	}
	for version, t := range c.troubles {
		status := o.Versions[version]
		status.Failed, status.Replicas = t.err.Error(), -1 // so that it is tried again
		o.Versions[version] = status
	}
	return o
}

// Do makes a change: it is computed from the last Record, persisted, and in
// force at every hop when Do returns.
func (c *Controller[R]) Do(ctx context.Context, change Change[R]) (R, error) {
	a := ask[R]{change: change, reply: make(chan answer[R], 1)}
	select {
	case c.asks <- a:
	case <-c.stopped:
		return c.Record(), ErrStopped
	case <-ctx.Done():
		return c.Record(), ctx.Err()
	}
	got := <-a.reply
	return got.rec, got.err
}

// Run makes changes and steps until ctx is done. It is called once.
func (c *Controller[R]) Run(ctx context.Context) error {
	tick := time.NewTicker(c.o.Tick)
	defer tick.Stop()
	defer close(c.stopped)
	c.step(ctx)
	kick, ticks := c.kick, tick.C
	var rest <-chan time.Time // while a step is owed for the last change
	for {
		select {
		case <-ctx.Done():
			return nil
		case a := <-c.asks:
			if rest != nil {
				c.afterwards(ctx)
			}
			rec, err := c.do(a.change)
			a.reply <- answer[R]{rec: rec, err: err}
			kick, ticks, rest = nil, nil, time.After(respite)
		case <-rest:
			c.afterwards(ctx)
			kick, ticks, rest = c.kick, tick.C, nil
		case <-kick:
			c.step(ctx)
		case <-ticks:
			c.step(ctx)
		}
	}
}

// afterwards takes the step that is owed for the last change, and cleans up.
func (c *Controller[R]) afterwards(ctx context.Context) {
	c.step(ctx)
	if c.o.Rest != nil {
		c.o.Rest()
	}
}

// respite is how long after a change the next step is taken, whatever else asks
// for one: it looks at all of the fleet, and has to leave the processor to the
// requests that meet the change first.
const respite = 5 * time.Millisecond

func (c *Controller[R]) do(change Change[R]) (R, error) {
	rec := c.Record()
	next, err := change(rec, c.Observe(), c.o.Now())
	if err != nil || next.Core().Revision == rec.Core().Revision {
		return rec, err
	}
	if err := c.commit(rec.Core(), next); err != nil {
		return rec, err
	}
	return c.Record(), nil
}

// step takes in the world and applies what follows from it.
func (c *Controller[R]) step(ctx context.Context) {
	rec := c.Record()
	last := rec.Core()
	state, actions := release.Step(last, c.Observe(), c.o.Now())
	if state.Revision != last.Revision {
		err := c.commit(last, rec.With(state))
		c.tellFailure(err)
		if err != nil {
			return // actions belong to a state that is not durable
		}
	}
	rec = c.Record()
	for _, a := range actions {
		c.apply(ctx, rec, a)
	}
}

// tellFailure logs that the state can not be persisted, once until it can be.
func (c *Controller[R]) tellFailure(err error) {
	switch {
	case err != nil && !c.failing:
		c.o.Log.Error("the state can not be persisted, so nothing is changed; greenroom goes on trying", "error", err)
	case err == nil && c.failing:
		c.o.Log.Info("the state can be persisted again")
	}
	c.failing = err != nil
}

// commit persists next, which follows last, and then puts it in force.
func (c *Controller[R]) commit(last release.State, next R) error {
	state := next.Core()
	events := state.Pending
	state.Pending = nil
	state.Revision = last.Revision + 1 // one write, however many steps led to it
	next = next.With(state)
	publish, err := c.o.Hops.Prepare(next)
	if err != nil {
		return fmt.Errorf("route by the new state: %w", err)
	}
	if err := c.o.Store.Save(next, events); err != nil {
		return fmt.Errorf("persist the state: %w", err)
	}
	publish()
	c.current.Store(&next)
	c.mu.Lock()
	close(c.changed)
	c.changed = make(chan struct{})
	c.mu.Unlock()
	c.tell(last, state, events)
	return nil
}

func (c *Controller[R]) tell(last, next release.State, events []release.Event) {
	for _, e := range events {
		c.o.Log.Info(e.Message, "event", e.Type, "release", e.Release, "who", e.Who)
		switch e.Type {
		case "ReleasePromoted":
			c.o.Metrics.Switched("promote")
		case "ReleaseRolledBack":
			c.o.Metrics.Switched("rollback")
		}
	}
	for name, r := range last.Releases {
		now, kept := next.Releases[name]
		switch {
		case !kept:
			c.o.Metrics.Forget(name)
		case now.Phase != r.Phase:
			c.o.Metrics.Phase(name, string(r.Phase), false)
		}
	}
	for name, r := range next.Releases {
		c.o.Metrics.Phase(name, string(r.Phase), true)
	}
}

// retryAfter is how long a version that could not be run is left alone.
const retryAfter = time.Second

func (c *Controller[R]) apply(ctx context.Context, rec R, action release.Action) {
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

func (c *Controller[R]) trouble(version string) (trouble, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.troubles[version]
	return t, ok
}

func (c *Controller[R]) note(version string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		delete(c.troubles, version)
		return
	}
	c.troubles[version] = trouble{err: err, again: c.o.Now().Add(retryAfter)}
	c.Kick()
}
