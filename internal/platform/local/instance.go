package local

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
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
	stop       *time.Duration // asked to stop, with this drain
	stopBy     time.Time
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

// String says how the process ended, in words.
func (e Exit) String() string {
	var s string
	switch {
	case e.How == Refused:
		return "could not be started: " + e.Error
	case e.How == Lost && e.Error != "":
		return "was lost with its shim: " + e.Error
	case e.How == Lost:
		return "was lost with its shim, which left no record of how it ended"
	case e.Signal != "":
		s = "ended by signal: " + e.Signal
	default:
		s = "exited with code " + strconv.Itoa(e.Code)
	}
	if e.Killed {
		s += " (after its drain time)"
	}
	return s
}

// launch runs the instance from now on: life is its process if it has one
// already. Callers hold mu.
func (p *Platform) launch(v *version, i *instance, life *life) {
	i.active = true
	i.done = make(chan struct{})
	i.state = Starting
	i.failures, i.moves = 0, 0
	switch {
	case life == nil:
		i.stop = nil
	case life.shim != nil:
		i.live(life)
	}
	p.work.Go(func() { p.run(v, i, life) })
}

// live notes the process that the instance now has.
func (i *instance) live(l *life) {
	i.pid, i.shimPID = l.running.Service.PID, l.running.Shim.PID
	i.startedAt = l.running.At
}

// stopInstance asks for the instance's end. Callers hold mu.
func (p *Platform) stopInstance(i *instance, drain time.Duration) {
	drain = max(drain, 0)
	by := time.Now().Add(drain)
	if i.dir == "" {
		i.end()
		i.state = Exited
		i.active = false
		return
	}
	if !i.active || i.stop != nil && !by.Before(i.stopBy) {
		return
	}
	i.stop, i.stopBy = &drain, by
	i.state = Stopping
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

// run is the life of an instance: start, watch, pause, and so on until it is
// stopped, given up, or the platform closed.
func (p *Platform) run(v *version, i *instance, l *life) {
	closed := false
	defer func() {
		p.mu.Lock()
		if !closed {
			i.active = false
			p.reconcile(v)
			p.touch()
		}
		close(i.done)
		p.mu.Unlock()
	}()
	if l != nil && l.shim == nil {
		l = p.attach(i, l.start)
	}
	for {
		var exit Exit
		if l == nil {
			if !p.mayStart(v, i) {
				return
			}
			var err error
			if l, err = p.start(v, i); err != nil {
				exit = Exit{Code: -1, At: time.Now(), Error: err.Error(), How: Refused}
			}
		}
		if p.ctx.Err() != nil {
			closed = true
			l.close()
			return
		}
		if l != nil {
			if !p.watch(v, i, l) {
				closed = true
				l.close()
				return
			}
			exit = p.learnExit(v, i, l)
			l.close()
			l = nil
		}
		pause, again := p.noteExit(v, i, exit)
		if !again {
			return
		}
		switch p.pause(i, pause) {
		case pauseStopped:
			p.mu.Lock()
			i.state = Exited
			p.mu.Unlock()
			return
		case pauseClosed:
			closed = true
			return
		}
	}
}

// mayStart reports whether the instance should be started now, and notes that
// it is.
func (p *Platform) mayStart(v *version, i *instance) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i.stop != nil || v.stopped || v.failed != "" || v.givingUp {
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

// life is one process of an instance, from its record to its end.
type life struct {
	start   int
	running runningRecord
	shim    *process // nil where the process was never seen
}

func (l *life) close() {
	if l != nil && l.shim != nil {
		l.shim.close()
	}
}

// start persists the next start of the instance, begins it, and returns when
// the process exists or is known not to.
func (p *Platform) start(v *version, i *instance) (*life, error) {
	select {
	case p.forking <- struct{}{}:
	case <-p.ctx.Done():
		return nil, ErrClosed
	}
	defer func() { <-p.forking }()

	if err := os.MkdirAll(i.dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := takeLock(i.dir)
	if errors.Is(err, errBusy) {
		// A former start lives on: it is the instance.
		var rec startRecord
		if ok, err := readRecord(i.dir, recordFile, &rec); !ok || err != nil {
			return nil, fmt.Errorf("folder %s is locked and holds no record: %w", i.dir, err)
		}
		return p.attach(i, rec.Start), nil
	}
	if err != nil {
		return nil, err
	}
	defer lock.Close()

	spec, rec, err := p.nextStart(v, i)
	if err != nil {
		return nil, err
	}
	env, err := environ(spec, rec)
	if err != nil {
		return nil, err
	}
	p.checkInPlace(v, spec.Version.Run)
	if err := writeRecord(i.dir, recordFile, rec); err != nil {
		return nil, err
	}
	if err := syncDir(v.dir); err != nil {
		return nil, err
	}
	if err := p.startShim(i, env, lock); err != nil {
		return nil, err
	}
	_ = lock.Close() // the shim has it
	return p.attach(i, rec.Start), nil
}

// nextStart decides the next start and reserves its port.
func (p *Platform) nextStart(v *version, i *instance) (Spec, startRecord, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	spec := v.spec
	run := spec.Version.Run
	exe := run.Executable
	if !run.InPlace {
		var stored bool
		if exe, stored = p.Executable(run.SHA256); !stored {
			return spec, startRecord{}, fmt.Errorf("the stored copy of %s (SHA-256 %.10s) is gone", run.Executable, run.SHA256)
		}
	}
	if i.port == 0 || !portFree(i.port) {
		port, err := choosePort(p.ports)
		if err != nil {
			return spec, startRecord{}, err
		}
		p.freePort(i)
		i.port = port
		p.ports[port] = i.id
	}
	i.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(i.port))
	i.start++
	i.begun = time.Now()
	return spec, startRecord{
		ID: i.id, Slot: i.slot, Start: i.start, Restarts: i.restarts,
		Argv: run.Command, Executable: exe, Dir: run.Dir, Port: i.port,
		LogBytes: p.logBytes, LogKeep: p.logKeep, At: i.begun,
	}, nil
}

// freePort gives the instance's port back. Callers hold mu.
func (p *Platform) freePort(i *instance) {
	if p.ports[i.port] == i.id {
		delete(p.ports, i.port)
	}
	i.port = 0
}

// startShim starts the instance's shim in a session of its own and hands it the
// lock. The shim's environment is the service's.
func (p *Platform) startShim(i *instance, env []string, lock *os.File) error {
	out, err := os.OpenFile(filepath.Join(i.dir, "shim.err"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	argv := append(append([]string(nil), p.shim...), i.dir)
	cmd := &exec.Cmd{
		Path: argv[0], Args: argv, Env: env, Dir: "/", Stderr: out,
		ExtraFiles:  []*os.File{lock}, // becomes lockFD
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start shim: %w", err)
	}
	go reap(cmd)
	return nil
}

// reap waits for a shim, so that it does not stay a zombie; also beyond Close.
func reap(cmd *exec.Cmd) {
	if id, err := identify(cmd.Process.Pid); err == nil {
		if h, err := openProcess(id); err == nil {
			<-h.done
			h.close()
		}
	}
	_ = cmd.Wait()
}

// attach waits until the process of that start can be watched, or its lock is
// free and there is none any more.
func (p *Platform) attach(i *instance, start int) *life {
	l := &life{start: start}
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for {
		if l.tryAttach(i.dir) {
			return l
		}
		select {
		case <-tick.C:
		case <-p.ctx.Done():
			return l
		}
	}
}

// tryAttach reports whether it is known that the process lives, and then it can
// be watched, or that it does not.
func (l *life) tryAttach(dir string) bool {
	busy := lockBusy(dir) // before reading, since the shim writes first and lets go then
	running, ok := readRunning(dir, l.start)
	if ok {
		l.running = running
		if shim, err := openProcess(running.Shim); err == nil {
			l.shim = shim
			return true
		}
	}
	return !busy
}

// watch returns true when the instance's shim has ended, false when the platform
// was closed first. Meanwhile it passes on orders to stop and checks health.
func (p *Platform) watch(v *version, i *instance, l *life) bool {
	if l.shim == nil {
		return true
	}
	p.mu.Lock()
	i.live(l)
	if i.stop != nil {
		i.state = Stopping
	}
	p.touch()
	p.mu.Unlock()

	ctx, cancel := context.WithCancel(p.ctx)
	checked := make(chan struct{})
	go func() { p.checkHealth(ctx, v, i); close(checked) }()
	defer func() { cancel(); <-checked }()

	p.passStop(i, l)
	for {
		select {
		case <-l.shim.done:
			return p.ctx.Err() == nil
		case <-i.wake:
			p.passStop(i, l)
		case <-p.ctx.Done():
			return false
		}
	}
}

// passStop makes the shim stop its process, if that was asked for.
func (p *Platform) passStop(i *instance, l *life) {
	p.mu.Lock()
	asked := i.stop != nil
	order := stopOrder{Start: l.start, Drain: max(time.Until(i.stopBy), 0)}
	p.mu.Unlock()
	if !asked {
		return
	}
	if err := writeRecord(i.dir, stopFile, order); err != nil {
		// A full disk, say. Without the order the shim does not know the deadline,
		// but the process must end.
		p.log.Error("cannot order the shim to stop; ending the process itself", "instance", i.id, "error", err)
		go p.endProcess(i, l, order.Drain)
		return
	}
	if err := l.shim.signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.log.Error("cannot signal the shim", "instance", i.id, "error", err)
	}
}

// learnExit finds out how the process ended whose shim is gone, and sees to it
// that it did.
func (p *Platform) learnExit(v *version, i *instance, l *life) Exit {
	if exit, ok := readEnded(i.dir, l.start); ok {
		return exit
	}
	if running, ok := readRunning(i.dir, l.start); ok {
		l.running = running
	}
	p.mu.Lock()
	drain := v.spec.Service.Drain
	if i.stop != nil {
		drain = min(drain, max(time.Until(i.stopBy), 0))
	}
	i.state = Stopping // it may live for a while, but not for new requests
	p.touch()
	p.mu.Unlock()
	p.endProcess(i, l, drain)
	exit := Exit{Code: -1, At: time.Now(), How: Lost}
	if l.running.Shim.PID == 0 {
		text, _ := os.ReadFile(filepath.Join(i.dir, "shim.err"))
		exit.Error = strings.TrimSpace(string(text[:min(len(text), 1000)]))
	}
	return exit
}

// endProcess ends what lives of an instance without its shim's help: SIGTERM,
// and after drain SIGKILL to the group. It touches only processes whose identity
// is the recorded one, or whose environment names the instance.
func (p *Platform) endProcess(i *instance, l *life, drain time.Duration) {
	left := carriers(i.id)
	if l.running.Service.alive() {
		left = append(left, l.running.Service)
	}
	var ending []*process
	for _, id := range left {
		if id == l.running.Shim {
			continue // it writes down how its process ends
		}
		if h, err := openProcess(id); err == nil {
			_ = h.signal(syscall.SIGTERM)
			ending = append(ending, h)
		}
	}
	deadline := time.NewTimer(drain)
	defer deadline.Stop()
	for _, h := range ending {
		select {
		case <-h.done:
		case <-p.ctx.Done():
		case <-deadline.C:
			deadline.Reset(0)
			l.running.Service.killGroup()
			_ = h.signal(syscall.SIGKILL)
			<-h.done
		}
		h.close()
	}
}

// noteExit records the end of a process and says whether and when the instance
// is started again.
func (p *Platform) noteExit(v *version, i *instance, exit Exit) (pause time.Duration, again bool) {
	moved := p.portTaken(i)
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.touch()
	steady := !i.readySince.IsZero() && time.Since(i.readySince) >= steadyAfter
	i.lastExit, i.pid = &exit, 0
	if i.stop != nil || v.stopped {
		i.state = Exited
		if v.failed != "" {
			i.state = Failed
		}
		return 0, false
	}
	p.log.Warn("instance ended", "version", v.id, "instance", i.id, "how", exit.String())
	if !v.ensured {
		i.state = Exited
		return 0, false
	}
	i.state = Backoff
	if moved && i.moves < maxMoves {
		i.moves++
		p.freePort(i)
		return firstPause, true
	}
	i.restarts++
	if steady {
		i.failures = 0
	}
	i.failures++
	if !v.readyOnce && i.failures > v.spec.Service.Health.MaxRestarts {
		why := fmt.Sprintf("ended %d times and was never ready", i.failures)
		if i.failures == 1 {
			why = "ended before it was ready"
		}
		p.giveUp(v, i, why)
		return 0, true
	}
	return min(firstPause<<min(i.failures-1, 20), lastPause), true
}

// portTaken reports whether a process that was never ready printed that its
// port was taken by another.
func (p *Platform) portTaken(i *instance) bool {
	p.mu.Lock()
	begun, ready := i.begun, !i.readySince.IsZero()
	p.mu.Unlock()
	if ready {
		return false
	}
	tail := strings.ToLower(tailOf(filepath.Join(i.dir, logFile), begun, reasonLines, reasonBytes))
	for _, words := range []string{"address already in use", "eaddrinuse", "address in use", "port is already"} {
		if strings.Contains(tail, words) {
			return true
		}
	}
	return false
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
			stopped := i.stop != nil
			p.mu.Unlock()
			if stopped {
				return pauseStopped
			}
		}
	}
}
