package local

import (
	"bytes"
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

// process is a handle on one process that cannot come to mean another.
type process struct {
	file *os.File // a pidfd
	done chan struct{}
	once sync.Once
}

// openProcess returns a handle on the process of that identity, or
// os.ErrProcessDone.
func openProcess(id identity) (*process, error) {
	fd, err := unix.PidfdOpen(id.PID, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("open process %d: %w", id.PID, os.ErrProcessDone)
	}
	p := &process{file: os.NewFile(uintptr(fd), "pidfd"), done: make(chan struct{})}
	if !id.alive() { // asked after opening, so that the handle is on what was asked about
		_ = p.file.Close()
		return nil, fmt.Errorf("open process %d: %w", id.PID, os.ErrProcessDone)
	}
	go p.wait(id)
	return p, nil
}

// wait closes done when the process has ended. It costs no thread: the
// runtime's poller watches the descriptor.
func (p *process) wait(id identity) {
	defer p.once.Do(func() { close(p.done) })
	conn, err := p.file.SyscallConn()
	if err == nil {
		err = conn.Read(func(fd uintptr) bool {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
			return err == nil && n > 0
		})
	}
	if err == nil || !id.alive() {
		return
	}
	// Closed, or the descriptor cannot be polled here.
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for id.alive() && p.signal(0) == nil {
		<-tick.C
	}
}

// signal sends sig to the process; os.ErrProcessDone when it has ended.
func (p *process) signal(sig syscall.Signal) error {
	conn, err := p.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("signal: %w", err)
	}
	var serr error
	if err := conn.Control(func(fd uintptr) { serr = unix.PidfdSendSignal(int(fd), sig, nil, 0) }); err != nil {
		return fmt.Errorf("signal: %w", err)
	}
	if serr == unix.ESRCH {
		return os.ErrProcessDone
	}
	return serr
}

func (p *process) close() { _ = p.file.Close() }

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
