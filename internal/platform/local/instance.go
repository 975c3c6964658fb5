package local

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"path/filepath"
	"time"
)

// How an instance is started again: the pause doubles from firstPause to
// lastPause and begins anew after the instance was ready for steadyAfter.
const (
	firstPause  = 100 * time.Millisecond
	lastPause   = 30 * time.Second
	steadyAfter = 10 * time.Second
	maxMoves    = 5 // to another port in a row, without counting as restarts
)

// instance is one replica through all its starts, or one endpoint. All of it is
// guarded by Platform.mu, but for id, dir, slot and wake; its files are written
// by the goroutine that runs it.
type instance struct {
	id   string
	dir  string
	slot int
	wake chan struct{} // something was asked of the running goroutine

	active     bool          // a goroutine runs it
	done       chan struct{} // closed when that goroutine ends
	quit       context.CancelFunc
	stopping   bool      // asked to stop
	idleBy     time.Time // when it is told to end though requests are under way, if stopping
	stopBy     time.Time // when it is killed, if stopping
	state      State
	addr       string
	port       int
	pid        int
	shimPID    int
	start      int
	restarts   int
	failures   int // exits in a row, for the pause
	moves      int
	checks     int       // failed health checks in a row
	begun      time.Time // when the present or last start was decided
	startedAt  time.Time // when its process came to be
	readySince time.Time
	lastExit   *Exit
	health     string
	elsewhere  string // "listens on 8080, not on PORT=20123"
	adopted    bool
}

func (v *version) newInstance() *instance {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails
	slot := 1
	if n := len(v.instances); n > 0 {
		slot = v.instances[n-1].slot + 1
	}
	id := v.spec.Version.Service + "-" + hex.EncodeToString(b[:])
	i := &instance{id: id, slot: slot, dir: filepath.Join(v.dir, id), wake: make(chan struct{}, 1)}
	v.instances = append(v.instances, i)
	return i
}

func (i *instance) status() Instance {
	return Instance{
		ID: i.id, Addr: i.addr, PID: i.pid, State: i.state, Restarts: i.restarts, StartedAt: i.startedAt,
		LastExit: i.lastExit, Health: i.health, Adopted: i.adopted,
	}
}

// session is that of the instance's processes, 0 while it has none.
func (i *instance) session() int {
	if i.pid == 0 {
		return 0
	}
	return i.shimPID
}

// end ends the goroutine that checks an endpoint. Callers hold mu.
func (i *instance) end() {
	if i.quit != nil {
		i.quit()
	}
}

// launch runs the instance from now on: life is its process if it has one
// already. Callers hold mu.
func (p *Platform) launch(v *version, i *instance, life *life) {
	i.active = true
	done := make(chan struct{})
	i.done = done
	i.state = Starting
	i.failures, i.moves = 0, 0
	switch {
	case life == nil:
		i.stopping = false
	case life.shim != nil:
		i.live(life)
	}
	p.work.Go(func() {
		defer close(done)
		if !p.run(v, i, life) {
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		i.active = false
		p.reconcile(v) // it may be wanted again by now
		p.touch()
	})
}

// live notes the process that the instance now has.
func (i *instance) live(l *life) {
	i.pid, i.shimPID = l.running.Service.PID, l.running.Shim.PID
	i.startedAt = l.running.At
}

// stopInstance asks for the instance's end; requests under way may put off its
// SIGTERM by idle. Callers hold mu.
func (p *Platform) stopInstance(i *instance, drain, idle time.Duration) {
	now := time.Now()
	by := now.Add(max(drain, 0))
	if i.dir == "" {
		i.end()
		i.state = Exited
		i.active = false
		return
	}
	if !i.active || i.stopping && !by.Before(i.stopBy) {
		return
	}
	i.stopping, i.idleBy, i.stopBy = true, now.Add(idle), by
	i.state = Stopping
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

// run is the life of an instance: start, watch, pause, and so on until it is
// stopped or given up. It returns false when the platform was closed first.
func (p *Platform) run(v *version, i *instance, l *life) (ended bool) {
	if l != nil && l.shim == nil {
		l = p.attach(i, l.start)
	}
	for {
		var exit Exit
		if l == nil {
			if !p.mayStart(v, i) {
				return true
			}
			var err error
			if l, err = p.start(v, i); err != nil {
				exit = Exit{Code: -1, At: time.Now(), Error: err.Error(), How: Refused}
			}
		}
		if l != nil {
			watched := p.watch(v, i, l)
			l.close()
			if !watched {
				return false
			}
			exit = p.learnExit(v, i, l)
			l = nil
		}
		if p.ctx.Err() != nil {
			return false
		}
		pause, again := p.noteExit(v, i, exit)
		if !again {
			return true
		}
		switch p.pause(i, pause) {
		case pauseStopped:
			p.mu.Lock()
			i.state = Exited
			p.mu.Unlock()
			return true
		case pauseClosed:
			return false
		}
	}
}

// mayStart reports whether the instance should be started now, and notes that
// it is.
func (p *Platform) mayStart(v *version, i *instance) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i.stopping || v.stopped || v.failed != "" || v.givingUp {
		i.state = Exited
		if v.failed != "" || v.givingUp {
			i.state = Failed
		}
		return false
	}
	i.state = Starting
	i.adopted = false
	i.checks, i.health, i.elsewhere = 0, "", ""
	i.readySince = time.Time{}
	return true
}

// watch returns true when the instance's shim has ended, false when the platform
// was closed first. Meanwhile it passes on orders to stop and checks health.
func (p *Platform) watch(v *version, i *instance, l *life) bool {
	if l.shim == nil {
		return p.ctx.Err() == nil
	}
	p.mu.Lock()
	i.live(l)
	if i.stopping {
		i.state = Stopping
	}
	p.touch()
	p.mu.Unlock()

	ctx, cancel := context.WithCancel(p.ctx)
	checked := make(chan struct{})
	go func() { p.checkHealth(ctx, v, i); close(checked) }()
	defer func() { cancel(); <-checked }()

	for {
		var again <-chan time.Time
		if p.mayStop(v, i) {
			p.passStop(i, l)
		} else {
			again = time.After(busyEvery)
		}
		select {
		case <-l.shim.Done():
			return p.ctx.Err() == nil
		case <-i.wake:
		case <-again:
		case <-p.ctx.Done():
			return false
		}
	}
}

type pauseEnd int

const (
	pauseOver pauseEnd = iota
	pauseStopped
	pauseClosed
)

func (p *Platform) pause(i *instance, d time.Duration) pauseEnd {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return pauseOver
		case <-p.ctx.Done():
			return pauseClosed
		case <-i.wake:
			p.mu.Lock()
			stopped := i.stopping
			p.mu.Unlock()
			if stopped {
				return pauseStopped
			}
		}
	}
}
