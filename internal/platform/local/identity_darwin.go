package local

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

// process is a handle on one process, asked for its identity before each use.
type process struct {
	id   identity
	done chan struct{} // closed when the process has ended, or after close
	quit chan struct{}
	once sync.Once
}

// openProcess returns a handle on the process of that identity, or
// os.ErrProcessDone.
func openProcess(id identity) (*process, error) {
	if !id.alive() {
		return nil, fmt.Errorf("open process %d: %w", id.PID, os.ErrProcessDone)
	}
	p := &process{id: id, done: make(chan struct{}), quit: make(chan struct{})}
	go p.wait()
	return p, nil
}

func (p *process) wait() {
	defer close(p.done)
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for p.id.alive() {
		select {
		case <-tick.C:
		case <-p.quit:
			return
		}
	}
}

// signal sends sig to the process; os.ErrProcessDone when it has ended.
func (p *process) signal(sig syscall.Signal) error {
	if !p.id.alive() {
		return os.ErrProcessDone
	}
	if err := syscall.Kill(p.id.PID, sig); !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return os.ErrProcessDone
}

// close lets go of the handle, whatever becomes of the process.
func (p *process) close() { p.once.Do(func() { close(p.quit) }) }

// awaitExit returns when the child has ended, and leaves it to be waited for,
// so that its number stays its own.
func awaitExit(pid int) {
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

// carriers cannot be learnt here: no process may read another's environment.
func carriers(string) []identity { return nil }
