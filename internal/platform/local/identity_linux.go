package local

import (
	"bytes"
	"errors"
	"fmt"
	"os"
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

// procStat is what we use of /proc/PID/stat.
type procStat struct {
	state   byte
	session int
	start   uint64 // clock ticks since boot
}

func readStat(pid int) (procStat, bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return procStat{}, false
	}
	// The name, in parentheses, may hold anything; what follows is plain.
	at := bytes.LastIndexByte(b, ')')
	if at < 0 {
		return procStat{}, false
	}
	fields := strings.Fields(string(b[at+1:]))
	if len(fields) < 20 {
		return procStat{}, false
	}
	session, err1 := strconv.Atoi(fields[3])
	start, err2 := strconv.ParseUint(fields[19], 10, 64)
	return procStat{state: fields[0][0], session: session, start: start}, err1 == nil && err2 == nil
}

func startTime(pid int) (start uint64, alive bool) {
	st, ok := readStat(pid)
	return st.start, ok && st.state != 'Z' && st.state != 'X'
}

// process is a handle on one process that cannot come to mean another: a pidfd,
// or where the kernel has none (before 5.3, or by a filter) its identity, asked
// for before each use.
type process struct {
	id   identity
	file *os.File      // nil: no pidfd
	done chan struct{} // closed when the process has ended, or after close
	quit chan struct{}
	once sync.Once
}

// openProcess returns a handle on the process of that identity, or
// os.ErrProcessDone.
func openProcess(id identity) (*process, error) {
	p := &process{id: id, done: make(chan struct{}), quit: make(chan struct{})}
	fd, err := unix.PidfdOpen(id.PID, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.EINVAL) { // before 5.10 it knows no flags
		fd, err = unix.PidfdOpen(id.PID, 0)
	}
	if err == nil {
		p.file = os.NewFile(uintptr(fd), "pidfd")
	}
	if !id.alive() { // asked after opening, so that the handle is on what was asked about
		p.close()
		return nil, fmt.Errorf("open process %d: %w", id.PID, os.ErrProcessDone)
	}
	go p.wait()
	return p, nil
}

// wait closes done when the process has ended. With a pidfd it costs no thread
// and no polling: the runtime watches the descriptor.
func (p *process) wait() {
	defer close(p.done)
	if p.file != nil {
		conn, err := p.file.SyscallConn()
		if err == nil {
			err = conn.Read(ended)
		}
		if err == nil {
			return
		}
	}
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

// ended reports whether the process behind a pidfd has ended.
func ended(pidfd uintptr) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 0)
	return err == nil && n > 0
}

// signal sends sig to the process; os.ErrProcessDone when it has ended.
func (p *process) signal(sig syscall.Signal) error {
	if !p.id.alive() {
		return os.ErrProcessDone
	}
	var err error
	if p.file == nil {
		err = unix.Kill(p.id.PID, sig)
	} else {
		conn, cerr := p.file.SyscallConn()
		if cerr != nil {
			return fmt.Errorf("signal process %d: %w", p.id.PID, cerr)
		}
		cerr = conn.Control(func(fd uintptr) { err = unix.PidfdSendSignal(int(fd), sig, nil, 0) })
		if cerr != nil {
			return fmt.Errorf("signal process %d: %w", p.id.PID, cerr)
		}
	}
	if errors.Is(err, unix.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// close lets go of the handle, whatever becomes of the process.
func (p *process) close() {
	p.once.Do(func() {
		close(p.quit)
		if p.file != nil {
			_ = p.file.Close()
		}
	})
}

// awaitExit returns when the child has ended, and leaves it to be waited for,
// so that its number stays its own.
func awaitExit(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return
		}
	}
}

// carriers returns the processes whose environment names that instance.
func carriers(instance string) []identity {
	want := []byte("GREENROOM_INSTANCE=" + instance)
	var found []identity
	for _, pid := range processes() {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil {
			continue
		}
		for e := range bytes.SplitSeq(env, []byte{0}) {
			if !bytes.Equal(e, want) {
				continue
			}
			if id, err := identify(pid); err == nil {
				found = append(found, id)
			}
			break
		}
	}
	return found
}

func processes() []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
