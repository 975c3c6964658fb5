package process

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func bootID() (string, error) { return unix.Sysctl("kern.bootsessionuuid") }

const zombie = 5 // SZOMB of sys/proc.h

func startTime(pid int) (start uint64, alive bool) {
	kp, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil || int(kp.Proc.P_pid) != pid {
		return 0, false
	}
	t := kp.Proc.P_starttime
	return uint64(t.Sec)*1e6 + uint64(t.Usec), kp.Proc.P_stat != zombie
}

// Handle is a hold on one process, asked for its identity before each use.
type Handle struct {
	id   Identity
	done chan struct{} // closed when the process has ended, or after close
	quit chan struct{}
	once sync.Once
}

// Open returns a handle on the process of that identity, or os.ErrProcessDone.
// It has to be closed.
func Open(id Identity) (*Handle, error) {
	if !id.Alive() {
		return nil, fmt.Errorf("open process %d: %w", id.PID, os.ErrProcessDone)
	}
	h := &Handle{id: id, done: make(chan struct{}), quit: make(chan struct{})}
	go h.wait()
	return h, nil
}

func (h *Handle) wait() {
	defer close(h.done)
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for h.id.Alive() {
		select {
		case <-tick.C:
		case <-h.quit:
			return
		}
	}
}

// Done is closed when the process has ended, or after Close.
func (h *Handle) Done() <-chan struct{} { return h.done }

// Signal sends sig to the process; os.ErrProcessDone when it has ended.
func (h *Handle) Signal(sig syscall.Signal) error {
	if !h.id.Alive() {
		return os.ErrProcessDone
	}
	if err := syscall.Kill(h.id.PID, sig); !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return os.ErrProcessDone
}

// Close lets go of the handle, whatever becomes of the process.
func (h *Handle) Close() { h.once.Do(func() { close(h.quit) }) }

// AwaitExit returns when the child has ended, and leaves it to be waited for,
// so that its number stays its own.
func AwaitExit(pid int) {
	queue, err := unix.Kqueue()
	if err != nil {
		return
	}
	defer unix.Close(queue)
	var exit [1]unix.Kevent_t
	unix.SetKevent(&exit[0], pid, unix.EVFILT_PROC, unix.EV_ADD|unix.EV_ONESHOT)
	exit[0].Fflags = unix.NOTE_EXIT
	for {
		// ESRCH: it has ended already.
		if _, err := unix.Kevent(queue, exit[:], exit[:], nil); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// WithEnv cannot be answered here: no process may read another's environment.
func WithEnv(string) ([]Identity, error) { return nil, nil }

// InGroup returns the IDs of the processes that run in a process group.
func InGroup(group int) ([]int, error) {
	members, err := unix.SysctlKinfoProcSlice("kern.proc.pgrp", group)
	if err != nil {
		return nil, fmt.Errorf("look for processes: %w", err)
	}
	var pids []int
	for _, p := range members {
		if p.Proc.P_stat != zombie {
			pids = append(pids, int(p.Proc.P_pid))
		}
	}
	return pids, nil
}
