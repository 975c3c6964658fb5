package local

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/greenroom-dev/greenroom/internal/durable"
	"github.com/greenroom-dev/greenroom/internal/process"
)

// life is one process of an instance, from its record to its end.
type life struct {
	start   int
	running runningRecord
	shim    *process.Handle // nil where the process was never seen
}

func (l *life) close() {
	if l != nil && l.shim != nil {
		l.shim.Close()
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
	if err := durable.SyncFolder(v.dir); err != nil {
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
	if id, err := process.Identify(cmd.Process.Pid); err == nil {
		if h, err := process.Open(id); err == nil {
			<-h.Done()
			h.Close()
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
		if shim, err := process.Open(running.Shim); err == nil {
			l.shim = shim
			return true
		}
	}
	return !busy
}
