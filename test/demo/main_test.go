// Package demo_test plays greenroom's demo through the real program, and sees
// that it leaves nothing behind. Start at TestAutoPlaysTheStory.
package demo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is the greenroom under test, built once.
var program string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "greenroom-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "greenroom")
	build := exec.Command("go", "build", "-o", program, "github.com/greenroom-dev/greenroom/cmd/greenroom")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build greenroom: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// patience bounds each run of the program; none comes near it.
const patience = 3 * time.Minute

// demo is one run of greenroom demo.
type demo struct {
	t              *testing.T
	cmd            *exec.Cmd
	tmp            string // its TMPDIR, where everything it makes is
	stdout, stderr *text
	exited         chan error
}

// start runs greenroom demo with these arguments, after change, if there is one,
// had a look at the command.
func start(t *testing.T, change func(*exec.Cmd), args ...string) *demo {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	d := &demo{t: t, tmp: t.TempDir(), stdout: newText(), stderr: newText(), exited: make(chan error, 1)}
	d.cmd = exec.CommandContext(ctx, program, append([]string{"demo", "--listen", "127.0.0.1:0"}, args...)...)
	d.cmd.Cancel = func() error { return d.cmd.Process.Signal(syscall.SIGTERM) }
	d.cmd.Env = append(os.Environ(), "TMPDIR="+d.tmp, "GREENROOM_STATE="+filepath.Join(d.tmp, "somebody-elses"))
	d.cmd.Stdout, d.cmd.Stderr = d.stdout, d.stderr
	if change != nil {
		change(d.cmd)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { d.exited <- d.cmd.Wait() }()
	return d
}

// end waits for the program's end, which must have left neither process nor
// file, and returns its exit code.
func (d *demo) end() int {
	d.t.Helper()
	err := <-d.exited
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		d.t.Fatal(err)
	}
	d.nothingLeft()
	return d.cmd.ProcessState.ExitCode()
}

func (d *demo) nothingLeft() {
	d.t.Helper()
	entries, err := os.ReadDir(d.tmp)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, e := range entries {
		d.t.Errorf("%s is left", filepath.Join(d.tmp, e.Name()))
	}
	for _, p := range processes(d.t) {
		d.t.Errorf("a process is left: %s", p)
	}
}

func (d *demo) signal(s os.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

// processes lists those of the program under test, by their command lines.
func processes(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, file := range files {
		if line, err := os.ReadFile(file); err == nil { // otherwise it has ended
			all = append(all, string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
		}
	}
	if len(files) == 0 {
		out, err := exec.Command("ps", "-axww", "-o", "args=").Output()
		if err != nil {
			t.Fatal(err)
		}
		all = strings.Split(string(out), "\n")
	}
	return slices.DeleteFunc(all, func(line string) bool { return !strings.Contains(line, program) })
}

// text collects what is written, and lets a test wait for a part of it.
type text struct {
	all   chan []byte // holds what was written so far
	wrote chan struct{}
	read  int // how much of it was awaited
}

func newText() *text {
	t := &text{all: make(chan []byte, 1), wrote: make(chan struct{}, 1)}
	t.all <- nil
	return t
}

var _ io.Writer = (*text)(nil)

func (t *text) Write(p []byte) (int, error) {
	t.all <- append(<-t.all, p...)
	select {
	case t.wrote <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (t *text) String() string {
	all := <-t.all
	defer func() { t.all <- all }()
	return string(all)
}

// await waits until a part was written behind the one that was awaited before,
// and returns all up to its end.
func (d *demo) await(in *text, part string) string {
	d.t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		rest := in.String()[in.read:]
		if i := strings.Index(rest, part); i >= 0 {
			in.read += i + len(part)
			return rest[:i+len(part)]
		}
		select {
		case <-in.wrote:
		case err := <-d.exited:
			d.t.Fatalf("it ended with %v before it said %q:\n%s%s", err, part, in, d.stderr)
		case <-late.C:
			d.t.Fatalf("it never said %q:\n%s%s", part, in, d.stderr)
		}
	}
}
