package local

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/greenroom-dev/greenroom/internal/process"
)

// lockFD is where a shim finds the lock that the platform took for it.
const lockFD = 3

// maxLine is how many bytes of a line without an end are kept before it is
// written in parts.
const maxLine = 64 << 10

// Exit codes of a shim. What became of the service is in its folder.
const (
	shimDone  = 0
	shimBad   = 2  // bad arguments, or a folder that is none of ours
	shimTwice = 75 // another shim has the instance, or had it: nothing was started
)

// ShimMain is the program between greenroom and one process of a service: args
// are the instance's folder. It starts what the folder's record says, with its
// own environment, keeps what the process prints in a log, carries out the
// order to stop, and writes down how it ended. It outlives greenroom, and
// everything it is told comes by files, since whoever tells it may die in mid
// word. The return value is the exit code of the shim.
//
// At most one shim runs for a folder, and at most once per recorded start, so
// that running it again by accident does no harm.
func ShimMain(args []string) int {
	if len(args) != 1 {
		fmt.Fprintln(os.Stderr, "greenroom shim DIR: started by greenroom for each instance, not by hand")
		return shimBad
	}
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(20)
	debug.SetMemoryLimit(16 << 20)

	s := shim{dir: args[0], signals: make(chan os.Signal, 1)}
	// Caught rather than ignored: what is ignored stays so in the service.
	signal.Notify(s.signals, syscall.SIGTERM)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)

	lock, err := s.lock()
	if errors.Is(err, errBusy) {
		return shimTwice
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "greenroom shim:", err)
		return shimBad
	}
	defer lock.Close()
	if ok, err := readRecord(s.dir, recordFile, &s.rec); !ok || err != nil {
		fmt.Fprintln(os.Stderr, "greenroom shim: no start is recorded in", s.dir, err)
		return shimBad
	}
	if _, ran := readRunning(s.dir, s.rec.Start); ran {
		return shimTwice
	}
	if _, ran := readEnded(s.dir, s.rec.Start); ran {
		return shimTwice
	}
	exit := s.serve()
	if err := writeRecord(s.dir, endedFile, endedRecord{Start: s.rec.Start, Exit: exit}); err != nil {
		s.log.write("greenroom", time.Now(), fmt.Appendf(nil, "ended with code %d %s, which could not be recorded: %v", exit.Code, exit.Signal, err), true)
	}
	s.log.close()
	return shimDone
}

type shim struct {
	dir     string
	rec     startRecord
	log     rotatingLog
	signals chan os.Signal
}

// lock returns the folder's lock, inherited or taken.
func (s *shim) lock() (*os.File, error) {
	unix.CloseOnExec(lockFD)
	var got, want unix.Stat_t
	if unix.Fstat(lockFD, &got) != nil || unix.Stat(filepath.Join(s.dir, lockFile), &want) != nil ||
		got.Ino != want.Ino || got.Dev != want.Dev {
		return takeLock(s.dir)
	}
	f := os.NewFile(lockFD, lockFile)
	if err := flock(f, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// serve runs the service's process from start to end.
func (s *shim) serve() Exit {
	s.log = rotatingLog{path: filepath.Join(s.dir, logFile), max: s.rec.LogBytes, keep: s.rec.LogKeep}
	if _, stop := readStop(s.dir, s.rec.Start); stop {
		return Exit{Code: -1, At: time.Now(), Error: "told to stop before it was started", How: Refused}
	}
	proc, copied, err := s.start()
	if err != nil {
		return Exit{Code: -1, At: time.Now(), Error: err.Error(), How: Refused}
	}
	err = s.recordRunning(proc.Pid)
	if err != nil {
		s.log.write("greenroom", time.Now(), fmt.Appendf(nil, "its process could not be recorded: %v", err), true)
	}
	exit := s.attend(proc)
	select { // what it printed last; a descendant that left its group may keep the pipe open
	case <-copied:
	case <-time.After(2 * time.Second):
	}
	return exit
}

func (s *shim) recordRunning(pid int) error {
	self, err := process.Identify(os.Getpid())
	if err != nil {
		return err
	}
	service, err := process.Identify(pid)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	service.PID = pid
	return writeRecord(s.dir, runningFile, runningRecord{Start: s.rec.Start, Shim: self, Service: service, At: time.Now()})
}

// start starts the service in a process group of its own. copied is closed when
// all that it printed is in the log.
func (s *shim) start() (proc *os.Process, copied <-chan struct{}, err error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, nil, err
	}
	defer null.Close()
	var writers, readers [2]*os.File
	for i := range writers {
		if readers[i], writers[i], err = os.Pipe(); err != nil {
			return nil, nil, fmt.Errorf("make a pipe for its output: %w", err)
		}
		defer writers[i].Close()
	}
	attr := &os.ProcAttr{
		Dir:   s.rec.Dir,
		Env:   os.Environ(),
		Files: []*os.File{null, writers[0], writers[1]},
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	}
	// A copy made a moment ago may still be open for writing in a process that
	// is between fork and exec.
	for patience := time.Now().Add(2 * time.Second); ; {
		proc, err = os.StartProcess(s.rec.Executable, s.rec.Argv, attr)
		if !errors.Is(err, syscall.ETXTBSY) || time.Now().After(patience) {
			break
		}
		<-time.After(5 * time.Millisecond)
	}
	if err != nil {
		return nil, nil, err
	}
	var both sync.WaitGroup
	both.Go(func() { s.copy("stdout", readers[0]) })
	both.Go(func() { s.copy("stderr", readers[1]) })
	done := make(chan struct{})
	go func() { both.Wait(); close(done) }()
	return proc, done, nil
}

// attend waits for the process to end and carries out orders to stop it.
func (s *shim) attend(proc *os.Process) Exit {
	ended := make(chan struct{})
	go func() { process.AwaitExit(proc.Pid); close(ended) }()
	var (
		asked    bool
		killed   bool
		deadline time.Time
		kill     <-chan time.Time
	)
	obey := func() {
		order, ok := readStop(s.dir, s.rec.Start)
		if !ok {
			return // SIGTERM from elsewhere
		}
		if !asked {
			asked = true
			_ = proc.Signal(syscall.SIGTERM)
		}
		if at := time.Now().Add(order.Drain); kill == nil || at.Before(deadline) {
			deadline, kill = at, time.After(order.Drain)
		}
	}
	obey() // the order may have come while there was nobody to signal
	for running := true; running; {
		select {
		case <-s.signals:
			obey()
		case <-kill:
			killed = true
			_ = syscall.Kill(-proc.Pid, syscall.SIGKILL)
		case <-ended:
			running = false
		}
	}
	// The process is not waited for yet, so its number still names its group and
	// no other: whatever it left behind ends with it.
	_ = syscall.Kill(-proc.Pid, syscall.SIGKILL)
	state, err := proc.Wait()
	exit := Exit{Code: -1, At: time.Now(), How: Recorded, Killed: killed}
	if err != nil {
		exit.Error = err.Error()
		return exit
	}
	exit.Code = state.ExitCode()
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		exit.Signal = ws.Signal().String()
	}
	return exit
}

// copy writes what comes from r to the log, line by line.
func (s *shim) copy(stream string, r io.ReadCloser) {
	defer r.Close()
	buf := make([]byte, maxLine)
	n := 0
	for {
		m, err := r.Read(buf[n:])
		n += m
		now := time.Now()
		rest := buf[:n]
		for {
			line, after, found := bytes.Cut(rest, []byte{'\n'})
			if !found {
				break
			}
			s.log.write(stream, now, line, true)
			rest = after
		}
		if len(rest) == len(buf) {
			s.log.write(stream, now, rest, false)
			rest = nil
		}
		n = copy(buf, rest)
		if err != nil {
			if n > 0 {
				s.log.write(stream, now, buf[:n], true)
			}
			return
		}
	}
}
