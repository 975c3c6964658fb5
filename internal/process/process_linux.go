package process

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}

// stat is what we use of /proc/PID/stat.
type stat struct {
	state   byte
	group   int
	session int
	start   uint64 // clock ticks since boot
}

// over reports whether the process has ended and was only not waited for.
func (st stat) over() bool { return st.state == 'Z' || st.state == 'X' }

func readStat(pid int) (stat, bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, false
	}
	// The name, in parentheses, may hold anything; what follows is plain.
	at := bytes.LastIndexByte(b, ')')
	if at < 0 {
		return stat{}, false
	}
	fields := strings.Fields(string(b[at+1:]))
	if len(fields) < 20 {
		return stat{}, false
	}
	group, err1 := strconv.Atoi(fields[2])
	session, err2 := strconv.Atoi(fields[3])
	start, err3 := strconv.ParseUint(fields[19], 10, 64)
	return stat{state: fields[0][0], group: group, session: session, start: start}, errors.Join(err1, err2, err3) == nil
}

func startTime(pid int) (start uint64, alive bool) {
	st, ok := readStat(pid)
	return st.start, ok && !st.over()
}

// Handle is a hold on one process that cannot come to mean another: a pidfd,
// or where the kernel has none (before 5.3, or by a filter) its identity, asked
// for before each use.
type Handle struct {
	id   Identity
	file *os.File      // nil: no pidfd
	done chan struct{} // closed when the process has ended, or after close
	quit chan struct{}
	once sync.Once
}

// Open returns a handle on the process of that identity, or os.ErrProcessDone.
// It has to be closed.
func Open(id Identity) (*Handle, error) {
	h := &Handle{id: id, done: make(chan struct{}), quit: make(chan struct{})}
	fd, err := unix.PidfdOpen(id.PID, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.EINVAL) { // before 5.10 it knows no flags
		fd, err = unix.PidfdOpen(id.PID, 0)
	}
	if err == nil {
		h.file = os.NewFile(uintptr(fd), "pidfd")
	}
	if !id.Alive() { // asked after opening, so that the handle is on what was asked about
		h.Close()
		return nil, fmt.Errorf("open process %d: %w", id.PID, os.ErrProcessDone)
	}
	go h.wait()
	return h, nil
}

// wait closes done when the process has ended. With a pidfd it costs no thread
// and no polling: the runtime watches the descriptor.
func (h *Handle) wait() {
	defer close(h.done)
	if h.file != nil {
		conn, err := h.file.SyscallConn()
		if err == nil {
			err = conn.Read(ended)
		}
		if err == nil {
			return
		}
	}
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

// ended reports whether the process behind a pidfd has ended.
func ended(pidfd uintptr) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 0)
	return err == nil && n > 0
}

// Done is closed when the process has ended, or after Close.
func (h *Handle) Done() <-chan struct{} { return h.done }

// Signal sends sig to the process; os.ErrProcessDone when it has ended.
func (h *Handle) Signal(sig syscall.Signal) error {
	if !h.id.Alive() {
		return os.ErrProcessDone
	}
	var err error
	if h.file == nil {
		err = unix.Kill(h.id.PID, sig)
	} else {
		conn, cerr := h.file.SyscallConn()
		if cerr != nil {
			return fmt.Errorf("signal process %d: %w", h.id.PID, cerr)
		}
		cerr = conn.Control(func(fd uintptr) { err = unix.PidfdSendSignal(int(fd), sig, nil, 0) })
		if cerr != nil {
			return fmt.Errorf("signal process %d: %w", h.id.PID, cerr)
		}
	}
	if errors.Is(err, unix.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// Close lets go of the handle, whatever becomes of the process.
func (h *Handle) Close() {
	h.once.Do(func() {
		close(h.quit)
		if h.file != nil {
			_ = h.file.Close()
		}
	})
}

// AwaitExit returns when the child has ended, and leaves it to be waited for,
// so that its number stays its own.
func AwaitExit(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return
		}
	}
}

// WithEnv returns the processes that were started with a variable, NAME=VALUE,
// in their environment. That of other users' processes cannot be read, and they
// are none of ours.
func WithEnv(variable string) ([]Identity, error) {
	pids, err := all()
	if err != nil {
		return nil, err
	}
	want := []byte("\x00" + variable + "\x00")
	var found []Identity
	for _, pid := range pids {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), errors.Is(err, unix.ESRCH):
			continue
		case err != nil:
			return nil, fmt.Errorf("look for processes: %w", err)
		case !bytes.Contains(append([]byte{0}, env...), want):
			continue
		}
		id, err := Identify(pid)
		switch {
		case err == nil:
			found = append(found, id)
		case !errors.Is(err, os.ErrProcessDone):
			return nil, err
		}
	}
	return found, nil
}

// InGroup returns the IDs of the processes that run in a process group.
func InGroup(group int) ([]int, error) {
	return where(func(st stat) bool { return st.group == group })
}

// InSession returns the IDs of the processes that run in a session. Only Linux
// tells.
func InSession(session int) ([]int, error) {
	return where(func(st stat) bool { return st.session == session })
}

func where(fits func(stat) bool) ([]int, error) {
	pids, err := all()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(pids, func(pid int) bool {
		st, ok := readStat(pid)
		return !ok || st.over() || !fits(st)
	}), nil
}

func all() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("look for processes: %w", err)
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
