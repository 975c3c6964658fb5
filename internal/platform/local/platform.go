// Package local runs versions of services as processes on this machine, or
// watches over endpoints that something else runs.
//
// It owns the processes, their ports, health, logs and restarts, the copies of
// their executables, and one folder that holds all of it. It knows nothing of
// releases, views or routing: a controller says which versions should run
// (Ensure, Stop) and looks at how they do (Observe). Of greenroom it imports
// fleet, durable and process alone.
//
// Nothing that runs hangs on the life of greenroom. Each process has a shim, a
// tiny parent in a session of its own, that keeps its output and writes down
// its exit code; what greenroom must know afterwards stands in the instance's
// folder before the process is started. The lock on that folder is taken before
// the record is written and handed over to the shim, so whether an instance
// lives is never in doubt: its lock is held or it is not. A greenroom killed at
// any moment therefore leaves neither a process that nobody knows of nor one
// that is started twice. New finds what lives and adopts it.
//
// A service whose shim was killed can no longer write to its standard output
// without dying of it, and nobody could say how it ended. It is therefore not
// adopted but ended, as at the end of a drain, and started anew.
//
// Start at Platform.Ensure; instance.go is the life of one instance, start.go and
// exit.go are its two ends, adopt.go its second beginning, shim.go the other
// side of it, and records.go what the two sides tell each other.
package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults of Options.
const (
	DefaultLogBytes = 10 << 20
	DefaultLogKeep  = 3
)

// ErrInUse is returned by New when another greenroom works in the same folder:
// stop that one, or use another --state.
var ErrInUse = errors.New("in use by another greenroom")

// ErrClosed is returned by methods called after Close.
var ErrClosed = errors.New("platform is closed")

// Options are what a Platform needs from outside.
type Options struct {
	Dir     string       // own folder, made with mode 0700 where missing
	Shim    []string     // argv that ends in ShimMain; the folder of an instance is appended; Shim[0] is an absolute path
	Log     *slog.Logger // nil: none
	Changed func()       // called, by one goroutine at a time, soon after Observe would answer otherwise; nil: not called
	// Busy reports whether requests are under way on an instance that Stop or
	// fewer replicas take away, after making sure that no more begin there. The
	// instance gets its SIGTERM when it is not or when half of its drain is over,
	// since a process need not know how to end what it has begun. It is asked over
	// and over; nil: never.
	Busy     func(version, instance string) bool
	LogBytes int64 // of one log file of one instance; 0: DefaultLogBytes
	LogKeep  int   // log files per instance, the one written to included; 0: DefaultLogKeep
}

// Platform runs versions. Its methods may be called by several goroutines.
type Platform struct {
	dir      string
	shim     []string
	log      *slog.Logger
	changed  func()
	busy     func(version, instance string) bool
	began    time.Time // what checks are in step with
	logBytes int64
	logKeep  int

	lock    *os.File
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	work    sync.WaitGroup
	dirty   chan struct{}
	changes atomic.Uint64 // how often touch was called
	forking chan struct{} // bounds how many processes are being started at once

	mu       sync.Mutex
	versions map[string]*version // by ID
	ports    map[int]string      // port → instance ID
	closed   bool
}

// New opens the platform in o.Dir and adopts what a former one left running
// there: it is watched and checked from now on, and started again when it ends
// once Ensure has named its version. What of it was ready is taken to be so until
// its first check, at once. New returns ErrInUse where another process has the
// folder.
func New(o Options) (*Platform, error) {
	if len(o.Shim) == 0 || !filepath.IsAbs(o.Shim[0]) {
		return nil, fmt.Errorf("open local platform: the shim's program must be an absolute path, not %q", o.Shim)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("open local platform: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Platform{
		dir: dir, shim: o.Shim, log: o.Log, changed: o.Changed, busy: o.Busy, logBytes: o.LogBytes, logKeep: o.LogKeep,
		ctx: ctx, cancel: cancel, began: time.Now(),
		dirty: make(chan struct{}, 1), forking: make(chan struct{}, 8),
		versions: make(map[string]*version), ports: make(map[int]string),
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if p.logBytes <= 0 {
		p.logBytes = DefaultLogBytes
	}
	if p.logKeep <= 0 {
		p.logKeep = DefaultLogKeep
	}
	if err := p.open(); err != nil {
		cancel()
		return nil, fmt.Errorf("open local platform: %w", err)
	}
	return p, nil
}

func (p *Platform) open() error {
	for _, dir := range []string{p.dir, p.binDir(), p.versionsDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	// A greenroom that was just killed may leave the lock held for a moment.
	for patience := time.Now().Add(2 * time.Second); ; {
		lock, err := takeLock(p.dir)
		if err == nil {
			p.lock = lock
			break
		}
		if !errors.Is(err, errBusy) {
			return err
		}
		if time.Now().After(patience) {
			return fmt.Errorf("folder %s: %w", p.dir, ErrInUse)
		}
		<-time.After(20 * time.Millisecond)
	}
	copies, _ := filepath.Glob(filepath.Join(p.binDir(), copyPrefix+"*"))
	for _, half := range copies { // a copy that was cut off
		_ = os.Remove(half)
	}
	if err := p.adopt(); err != nil {
		_ = p.lock.Close()
		return err
	}
	p.work.Go(p.tell)
	p.touch()
	return nil
}

func (p *Platform) versionsDir() string { return filepath.Join(p.dir, "versions") }

// touch says that Observe would answer otherwise than before. Whoever changes
// what is ready, failed, stopping or gone calls it before it gives up mu.
func (p *Platform) touch() {
	p.changes.Add(1)
	select {
	case p.dirty <- struct{}{}:
	default:
	}
}

func (p *Platform) tell() {
	for {
		select {
		case <-p.dirty:
			if p.changed != nil {
				p.changed()
			}
		case <-p.ctx.Done():
			return
		}
	}
}

// Observe returns how every version does that Ensure named or New found, by
// version ID, until it is removed.
func (p *Platform) Observe() map[string]Status {
	all, _ := p.ObserveSince(0)
	return all
}

// ObserveSince is Observe for those who look often: it returns nil when nothing
// has become ready, failed, stopping or gone, or ceased to be, since the look
// that returned that count of changes. The count of the first look is 0.
func (p *Platform) ObserveSince(changes uint64) (all map[string]Status, now uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now = p.changes.Load(); now == changes {
		return nil, now
	}
	all = make(map[string]Status, len(p.versions))
	for id, v := range p.versions {
		all[id] = v.status()
	}
	return all, now
}

// ObserveVersion returns what Observe does of one version, at a cost that does
// not depend on how many there are.
func (p *Platform) ObserveVersion(id string) (Status, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, ok := p.versions[id]
	if !ok {
		return Status{}, false
	}
	return v.status(), true
}

// StopAll drains and stops every version and returns when no process is left.
// When ctx ends first, what still runs is killed and the error is ctx's.
func (p *Platform) StopAll(ctx context.Context) error {
	p.mu.Lock()
	var ended []<-chan struct{}
	for _, v := range p.versions {
		for _, i := range v.instances {
			if i.active {
				ended = append(ended, i.done)
			}
		}
		p.stop(v, v.spec.Service.Drain, 0)
	}
	p.mu.Unlock()
	for n, done := range ended {
		select {
		case <-done:
		case <-ctx.Done():
			return p.killAll(ctx, ended[n:])
		}
	}
	return nil
}

func (p *Platform) killAll(ctx context.Context, ended []<-chan struct{}) error {
	p.mu.Lock()
	for _, v := range p.versions {
		p.stop(v, 0, 0)
	}
	p.mu.Unlock()
	patience := time.After(10 * time.Second)
	for _, done := range ended {
		select {
		case <-done:
		case <-patience:
			return fmt.Errorf("stop all services: some did not end even of SIGKILL: %w", ctx.Err())
		}
	}
	return fmt.Errorf("stop all services: those that had not ended were killed: %w", ctx.Err())
}

// Close ends supervision and leaves every process running, for the next New on
// the folder to adopt. Observe keeps its last answer.
func (p *Platform) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	for _, v := range p.versions {
		v.stopTimer()
	}
	p.mu.Unlock()
	p.cancel()
	p.work.Wait()
	if err := p.lock.Close(); err != nil {
		return fmt.Errorf("close local platform: %w", err)
	}
	return nil
}
