package hook

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/greenroom-dev/greenroom/internal/fleet"
)

const token = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"

func newRunner(t *testing.T) *Runner {
	t.Helper()
	r := New(filepath.Join(t.TempDir(), "hooks"))
	r.grace = 200 * time.Millisecond
	return r
}

func script(lines string) fleet.Hook {
	return fleet.Hook{Name: "smoke", Run: []string{"sh", "-c", lines}, Timeout: 2 * time.Minute}
}

func testContext() Context {
	return Context{ID: "r42/verify/smoke/1", Release: "r42", EdgeURL: "http://127.0.0.1:8080", Pass: token}
}

// pidIn waits until a process wrote its ID to a file.
func pidIn(t *testing.T, path string) int {
	t.Helper()
	var pid int
	eventually(t, "a process ID in "+path, func() bool {
		b, err := os.ReadFile(path)
		if err != nil || !bytes.HasSuffix(b, []byte("\n")) {
			return false
		}
		pid, err = strconv.Atoi(strings.TrimSpace(string(b)))
		return err == nil
	})
	return pid
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !is() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		case <-poll.C:
		}
	}
}

func lives(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || !bytes.Contains(b[bytes.LastIndexByte(b, ')'):], []byte(") Z")) // a zombie is over
}

func gone(t *testing.T, pid int) {
	t.Helper()
	eventually(t, fmt.Sprintf("the end of process %d", pid), func() bool { return !lives(pid) })
}

func TestACommandRunsInItsEnvironment(t *testing.T) {
	t.Setenv("GREENROOM_TEST_PRIVATE", "not for hooks")
	t.Setenv("LANG", "C.UTF-8")
	h := script(`pwd; echo to stderr >&2; env | cut -d= -f1`)
	h.Dir = t.TempDir()
	h.Env = map[string]string{"TARGET": "db", "GREENROOM_RELEASE": "not its own"}
	r := newRunner(t)
	before := time.Now()
	res := r.Run(t.Context(), h, testContext())
	if !res.Passed || res.Err != "" {
		t.Fatalf("did not pass: %+v", res)
	}
	if res.Started.Before(before) || res.Ended.Before(res.Started) {
		t.Errorf("ran from %s to %s", res.Started, res.Ended)
	}
	lines := strings.Split(strings.TrimSpace(res.Output), "\n")
	if lines[0] != h.Dir || lines[1] != "to stderr" {
		t.Errorf("output begins with %q", lines[:2])
	}
	want := []string{"GREENROOM_EDGE_URL", "GREENROOM_HOOK_ID", "GREENROOM_HOOK_RUN", "GREENROOM_PASS", "GREENROOM_RELEASE", "LANG", "PATH", "TARGET"}
	for _, name := range []string{"HOME", "TMPDIR"} {
		if _, ok := os.LookupEnv(name); ok {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	names := slices.DeleteFunc(lines[2:], func(name string) bool { return name == "PWD" || name == "OLDPWD" || name == "SHLVL" || name == "_" })
	slices.Sort(names) // without what the shell adds
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if left, err := os.ReadDir(r.dir); err != nil || len(left) != 0 {
		t.Errorf("notes left behind: %v (%v)", left, err)
	}
}

func TestACommandIsToldOfItsRelease(t *testing.T) {
	res := newRunner(t).Run(t.Context(), script(`echo $GREENROOM_RELEASE $GREENROOM_EDGE_URL $GREENROOM_HOOK_ID; test "$GREENROOM_PASS" = `+token), testContext())
	if want := "r42 http://127.0.0.1:8080 r42/verify/smoke/1\n"; !res.Passed || res.Output != want {
		t.Errorf("%+v; want it to pass and to say %q", res, want)
	}
}

func TestACommandThatFails(t *testing.T) {
	for _, c := range []struct {
		name string
		hook fleet.Hook
		want string
	}{
		{"by its status", script("echo no; exit 3"), "hook smoke: exit status 3"},
		{"by a signal", script("kill -9 $$"), "hook smoke: signal: killed"},
		{"not found", fleet.Hook{Name: "smoke", Run: []string{"greenroom-no-such"}, Timeout: time.Minute},
			`hook smoke: exec: "greenroom-no-such": executable file not found in $PATH`},
		{"no such file", fleet.Hook{Name: "smoke", Run: []string{"/nowhere/bin"}, Timeout: time.Minute},
			"hook smoke: fork/exec /nowhere/bin: no such file or directory"},
		{"neither", fleet.Hook{Name: "smoke", Timeout: time.Minute}, "hook smoke must have either a command or an HTTP check"},
		{"both", fleet.Hook{Name: "smoke", Run: []string{"true"}, HTTP: &fleet.HTTPCheck{}, Timeout: time.Minute}, "hook smoke must have either a command or an HTTP check"},
	} {
		res := newRunner(t).Run(t.Context(), c.hook, testContext())
		if res.Passed || res.Err != c.want {
			t.Errorf("%s: %+v; want %q", c.name, res, c.want)
		}
	}
}

func TestADeadlineEndsTheWholeGroup(t *testing.T) {
	for name, deaf := range map[string]string{"that hears SIGTERM": "", "that does not": "trap '' TERM;"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each waits for the deadline, which leaves both shells the time to begin
			dir := t.TempDir()
			h := script(deaf + `
				sh -c "$DEAF"' echo $$ > child; while :; do sleep 1; done' &
				echo $$ > leader; echo begun; wait; while :; do sleep 1; done`)
			h.Dir, h.Timeout, h.Env = dir, 5*time.Second, map[string]string{"DEAF": deaf}
			res := newRunner(t).Run(t.Context(), h, testContext())
			if want := "hook smoke: ended: it took longer than its timeout of 5s"; res.Passed || res.Err != want {
				t.Errorf("%+v; want %q", res, want)
			}
			if res.Output != "begun\n" {
				t.Errorf("output %q", res.Output)
			}
			gone(t, pidIn(t, filepath.Join(dir, "leader")))
			gone(t, pidIn(t, filepath.Join(dir, "child")))
		})
	}
}

func TestACommandMayEndItselfAfterSIGTERM(t *testing.T) {
	r := newRunner(t)
	r.grace = time.Minute
	dir := t.TempDir()
	h := script(`trap 'echo undone; exit 0' TERM; echo $$ > leader; while :; do sleep 0.01; done`)
	h.Dir = dir
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		pidIn(t, filepath.Join(dir, "leader"))
		cancel(fmt.Errorf("the release was aborted"))
	}()
	res := r.Run(ctx, h, testContext())
	if res.Passed || res.Err != "hook smoke: ended: the release was aborted" || !strings.HasSuffix(res.Output, "undone\n") {
		t.Errorf("%+v; want it ended since the release was aborted, with what it said last", res)
	}
}

func TestWhatACommandLeavesBehindIsEnded(t *testing.T) {
	dir := t.TempDir()
	h := script(`sh -c 'echo $$ > child; while :; do sleep 1; done' & while ! test -s child; do sleep 0.01; done; echo done`)
	h.Dir = dir
	res := newRunner(t).Run(t.Context(), h, testContext())
	if !res.Passed || res.Output != "done\n" {
		t.Errorf("%+v; want it to pass", res)
	}
	gone(t, pidIn(t, filepath.Join(dir, "child")))
}

func TestWhoLeftTheGroupDoesNotKeepTheRunWaiting(t *testing.T) {
	dir := t.TempDir()
	h := script(`setsid sh -c 'echo $$ > child; exec sleep 600' & while ! test -s child; do sleep 0.01; done; echo done`)
	h.Dir = dir
	res := newRunner(t).Run(t.Context(), h, testContext())
	if err := syscall.Kill(pidIn(t, filepath.Join(dir, "child")), syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	if !res.Passed || res.Output != "done\n" || res.Ended.Sub(res.Started) > time.Minute {
		t.Errorf("%+v; want it to pass soon", res)
	}
}

func TestOneRunOfAnIDAtATime(t *testing.T) {
	r := newRunner(t)
	dir := t.TempDir()
	h := script(`echo $$ > leader; while ! test -e go; do sleep 0.01; done`)
	h.Dir = dir
	first := make(chan Result)
	go func() { first <- r.Run(t.Context(), h, testContext()) }()
	pidIn(t, filepath.Join(dir, "leader"))
	if res := r.Run(t.Context(), h, testContext()); res.Passed || !strings.Contains(res.Err, "running already") {
		t.Errorf("the second run: %+v; want it refused", res)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if res := <-first; !res.Passed {
		t.Errorf("the first run: %+v", res)
	}
}
