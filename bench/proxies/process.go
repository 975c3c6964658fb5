package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The cores: one is the proxy's alone.
const (
	proxyCore = 0
	otherCore = 1
	anyCore   = -1
)

// clockTick is the unit of processor time in /proc, by Linux's ABI.
const clockTick = 10 * time.Millisecond

// startWithin bounds how long a process may take until it listens.
const startWithin = 30 * time.Second

// A process is one that this program started and ends.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// start runs a command on one core, its output in dir.
func start(dir, name string, core int, env []string, args ...string) (*process, error) {
	return launch(exec.Command(args[0], args[1:]...), dir, name, core, env)
}

// startApart starts a command in a session of its own, as greenroom does its
// services: the kernel may share processor time out by session. What Control-C
// does not reach there has a standard input that ends with this program.
func startApart(dir, name string, core int, env []string, args ...string) (*process, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if _, err := cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return launch(cmd, dir, name, core, env)
}

func launch(cmd *exec.Cmd, dir, name string, core int, env []string) (*process, error) {
	cmd.Env = append(os.Environ(), env...)
	cmd.Dir = dir
	p := &process{name: name, cmd: cmd, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	cmd.Stdout, cmd.Stderr = out, out
	if err := onCore(core, cmd.Start); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		defer close(p.done)
		_ = cmd.Wait()
	}()
	return p, nil
}

// stop asks the process to end, and ends it after ten seconds.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// await waits until the process listens on each address.
func (p *process) await(addresses ...string) error {
	deadline := time.Now().Add(startWithin)
	for _, address := range addresses {
		for {
			conn, err := net.DialTimeout("tcp", address, time.Second)
			if err == nil {
				_ = conn.Close()
				break
			}
			select {
			case <-p.done:
				return fmt.Errorf("%s ended: %s", p.name, p.tail())
			case <-time.After(20 * time.Millisecond):
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("%s does not listen on %s after %v: %s", p.name, address, startWithin, p.tail())
			}
		}
	}
	return nil
}

func (p *process) tail() string {
	raw, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(raw[max(0, len(raw)-2000):]))
}

// cpu is the processor time that the process has used.
func (p *process) cpu() (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	// The name in parentheses may hold spaces; fields are counted behind it.
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	if len(fields) < 13 {
		return 0, errors.New("/proc/pid/stat is too short")
	}
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * clockTick, errors.Join(err1, err2)
}

// memory is the resident memory of the process, in bytes.
func (p *process) memory() (int, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(raw))
	if len(fields) < 2 {
		return 0, errors.New("/proc/pid/statm is too short")
	}
	pages, err := strconv.Atoi(fields[1])
	return pages * os.Getpagesize(), err
}

// onCore calls do with the calling thread bound to one core, which what do
// starts inherits.
func onCore(core int, do func() error) error {
	result := make(chan error)
	go func() {
		// The thread is not unlocked: it ends with this goroutine.
		runtime.LockOSThread()
		if core == anyCore {
			result <- do()
			return
		}
		var set unix.CPUSet
		set.Set(core)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			result <- fmt.Errorf("binding to core %d: %w", core, err)
			return
		}
		result <- do()
	}()
	return <-result
}

// free returns addresses on loopback at which nobody listened just now.
func free(n int) ([]string, error) {
	var addresses []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }()
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}
