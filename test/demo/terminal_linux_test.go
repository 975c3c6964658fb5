package demo_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

var (
	link = regexp.MustCompile(`http://127\.0\.0\.1:\d+/\.greenroom/pass#(\S+)`)
	mark = regexp.MustCompile(`data-version="(v\d)"`)
)

// terminal makes a pseudo-terminal of 80 columns: what a person has, and what
// the program gets.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close() })
	var n int
	control(t, person, func(fd int) (err error) {
		if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return err
		}
		n, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
		return err
	})
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	control(t, program, func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 80})
	})
	return person, program
}

// control works on a file's descriptor. Fd would make reading it block, and then
// closing it would wait for the reader.
func control(t *testing.T, f *os.File, work func(fd int) error) {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = work(int(fd)) })
	if err := errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
}

// at has a program run at a terminal.
func at(terminal *os.File) func(*exec.Cmd) {
	return func(c *exec.Cmd) {
		c.Stdin, c.Stdout, c.Stderr = terminal, terminal, terminal
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	}
}

// A person follows the tour to its end, pressing Enter.
func TestTour(t *testing.T) {
	person, program := terminal(t)
	d := start(t, at(program))
	screen := newText()
	go func() { _, _ = io.Copy(screen, person) }() // it ends with the terminal
	enter := func() {
		t.Helper()
		if _, err := person.WriteString("\n"); err != nil {
			t.Fatal(err)
		}
	}
	var edge, pass string
	sees := func(ordinary, preview string) {
		t.Helper()
		for pass, want := range map[string]string{"": ordinary, pass: preview} {
			if got := mark.FindStringSubmatch(getWith(t, edge, pass)); got == nil || got[1] != want {
				t.Errorf("the page is %v, want %s", got, want)
			}
		}
	}
	edge = public(d.await(screen, "Enter goes on, q ends")) + "/"
	sees("v1", "v1")
	for _, s := range []struct {
		title, done       string
		ordinary, preview string
	}{
		{"2/6", "r2 is Previewing", "v1", "v1"},
		{"3/6", "gifts can be sent twice", "v1", "v2"},
		{"4/6", "before it baseline (", "v2", "v2"},
		{"5/6", "ordinary requests get baseline (", "v1", "v2"},
		{"6/6", "r2 is Settled", "v2", "v2"},
	} {
		enter()
		d.await(screen, s.title)
		if early := d.await(screen, "Enter does it"); strings.Contains(early, s.done) {
			t.Errorf("%s: %q was said before it was so", s.title, s.done)
		}
		enter()
		if found := link.FindStringSubmatch(d.await(screen, s.done)); found != nil {
			pass = found[1]
		}
		sees(s.ordinary, s.preview)
		d.await(screen, "Enter ")
	}
	if pass == "" || !strings.Contains(screen.String(), "█") {
		t.Error("there is no link, or no QR code")
	}
	if !strings.Contains(screen.String(), "failed 0, mixed 0") {
		t.Error("the traffic is not shown")
	}
	enter()
	if code := d.end(); code != 0 {
		t.Errorf("exit %d:\n%s", code, screen)
	}
	widest(t, screen.String())
}

// widest checks that lines fit into 80 columns, but for those with paths, links
// and codes.
func widest(t *testing.T, said string) {
	t.Helper()
	escapes := regexp.MustCompile(`\x1b\[[0-9;]*[mK]`)
	for line := range strings.FieldsFuncSeq(said, func(r rune) bool { return r == '\n' || r == '\r' }) {
		line = escapes.ReplaceAllString(line, "")
		if n := len([]rune(line)); n > 80 && !strings.ContainsAny(line, "/█") {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// q, Ctrl-C and a closed window leave it at any step.
func TestTourIsLeft(t *testing.T) {
	for _, c := range []struct{ name, key string }{{"q", "q\n"}, {"Ctrl-C", "\x03"}, {"Ctrl-D", "\x04"}, {"closed", ""}} {
		t.Run(c.name, func(t *testing.T) {
			person, program := terminal(t)
			d := start(t, at(program))
			screen := newText()
			go func() { _, _ = io.Copy(screen, person) }() // it ends with the terminal
			d.await(screen, "Enter goes on, q ends")
			if _, err := person.WriteString("\n"); err != nil {
				t.Fatal(err)
			}
			d.await(screen, "Enter does it")
			if c.key == "" {
				if err := errors.Join(program.Close(), person.Close()); err != nil {
					t.Fatal(err)
				}
			} else if _, err := person.WriteString(c.key); err != nil {
				t.Fatal(err)
			}
			if code := d.end(); code != 0 {
				t.Errorf("exit %d:\n%s", code, screen)
			}
		})
	}
}
