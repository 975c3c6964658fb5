package hook

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/process"
)

// envRunner makes the test binary a greenroom that runs one hook; it names the
// runner's folder and the hook's.
const envRunner = "GREENROOM_TEST_RUNNER"

// endless is a hook that notes its process ID, ignores SIGTERM, and ends only
// if it is the second run.
const endless = `trap '' TERM
	if test -e first; then echo again; exit 0; fi
	sh -c 'trap "" TERM; echo $$ > child; while :; do sleep 1; done' &
	while ! test -s child; do sleep 0.01; done
	echo $$ > first; while :; do sleep 1; done`

func TestMain(m *testing.M) {
	if dirs := os.Getenv(envRunner); dirs != "" {
		notes, work, _ := strings.Cut(dirs, ":")
		h := script(endless)
		h.Dir = work
		fmt.Fprintln(os.Stderr, New(notes).Run(context.Background(), h, testContext()))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// leaveOver has a greenroom run the endless hook, kills that greenroom, and
// returns the processes that it left.
func leaveOver(t *testing.T, r *Runner, work string) (leader, child int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), envRunner+"="+r.dir+":"+work)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	leader, child = pidIn(t, filepath.Join(work, "first")), pidIn(t, filepath.Join(work, "child"))
	t.Cleanup(func() {
		for _, pid := range []int{leader, child} {
			if lives(pid) {
				syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if !lives(leader) || !lives(child) {
		t.Fatal("the hook ended with its greenroom; nothing is left over to be ended")
	}
	return leader, child
}

func TestALeftoverIsEndedBeforeTheNextRun(t *testing.T) {
	r, work := newRunner(t), t.TempDir()
	leader, child := leaveOver(t, r, work)
	h := script(fmt.Sprintf(`runs() { kill -0 $1 2>/dev/null && ! grep -q ') Z' /proc/$1/stat 2>/dev/null; }
		if runs %d || runs %d; then echo beside the leftover; exit 1; fi
		`, leader, child) + endless)
	h.Dir = work
	res := r.Run(t.Context(), h, testContext())
	if !res.Passed || res.Output != "again\n" {
		t.Errorf("%+v; want it to run again, alone", res)
	}
	if lives(leader) || lives(child) {
		t.Error("the leftover runs on")
	}
	if left, err := os.ReadDir(r.dir); err != nil || len(left) != 0 {
		t.Errorf("notes left behind: %v (%v)", left, err)
	}
}

func TestEndLeftovers(t *testing.T) {
	r, work := newRunner(t), t.TempDir()
	if err := r.EndLeftovers(t.Context()); err != nil {
		t.Fatalf("with no folder yet: %v", err)
	}
	leader, child := leaveOver(t, r, work)
	if err := r.EndLeftovers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if lives(leader) || lives(child) {
		t.Error("the leftover runs on")
	}
	if left, err := os.ReadDir(r.dir); err != nil || len(left) != 0 {
		t.Errorf("notes left behind: %v (%v)", left, err)
	}
}

// start starts a process that runs until it is told to end.
func start(t *testing.T, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	cmd.Env = env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd
}

func TestALeftoverIsFoundThoughItsProcessWasNotNoted(t *testing.T) {
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Logf("no environment of other processes here, so this cannot be found: %v", err)
		return
	}
	r := newRunner(t)
	n := newNote("r42/verify/smoke/1")
	if err := r.write(n); err != nil {
		t.Fatal(err)
	}
	left := start(t, envRun+"="+n.Run)
	other := start(t, envRun+"="+n.Run+"x")
	if res := r.Run(t.Context(), script("echo again"), testContext()); !res.Passed {
		t.Errorf("%+v", res)
	}
	if lives(left.Process.Pid) {
		t.Error("the leftover runs on")
	}
	if !lives(other.Process.Pid) {
		t.Error("a process of another run was ended")
	}
}

func TestALeftoverMayEndItselfAfterSIGTERM(t *testing.T) {
	r, work := newRunner(t), t.TempDir()
	r.grace = time.Minute
	left := exec.Command("sh", "-c", `trap 'echo > undone; exit 0' TERM; echo $$ > leader; while :; do sleep 0.01; done`)
	left.Dir = work
	left.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := left.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { left.Process.Kill() })
	n := newNote("r42/verify/smoke/1")
	var err error
	if n.Leader, err = process.Identify(left.Process.Pid); err != nil {
		t.Fatal(err)
	}
	if err := r.write(n); err != nil {
		t.Fatal(err)
	}
	pidIn(t, filepath.Join(work, "leader"))
	ended := make(chan error, 1)
	go func() { ended <- left.Wait() }()
	if res := r.Run(t.Context(), script("test -e "+filepath.Join(work, "undone")), testContext()); !res.Passed {
		t.Errorf("%+v; want the leftover to have tidied up", res)
	}
	if err := <-ended; err != nil {
		t.Errorf("the leftover: %v; want it to have ended by itself", err)
	}
}

func TestAProcessThatGotALeftoversIDIsSpared(t *testing.T) {
	r := newRunner(t)
	other := start(t)
	n := newNote("r42/verify/smoke/1")
	own, err := process.Identify(other.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	n.Leader = process.Identity{Boot: own.Boot, PID: own.PID, Start: own.Start - 1}
	if err := r.write(n); err != nil {
		t.Fatal(err)
	}
	if res := r.Run(t.Context(), script("true"), testContext()); !res.Passed {
		t.Errorf("%+v", res)
	}
	if !lives(other.Process.Pid) {
		t.Error("a process that only has the same ID was ended")
	}
}

func TestADamagedNoteStopsTheRun(t *testing.T) {
	r := newRunner(t)
	c := testContext()
	if err := r.write(newNote(c.ID)); err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"", "{", `{"id":"x"}`} {
		if err := os.WriteFile(r.path(c.ID), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		res := r.Run(t.Context(), script("echo ran"), c)
		if res.Passed || res.Output != "" || !strings.Contains(res.Err, "is damaged") {
			t.Errorf("%q: %+v; want it not to run", content, res)
		}
		if err := r.EndLeftovers(t.Context()); err == nil {
			t.Errorf("%q: EndLeftovers took it for granted", content)
		}
	}
}

func TestALeftoverThatCannotBeEndedInTimeStopsTheRun(t *testing.T) {
	r, work := newRunner(t), t.TempDir()
	r.grace = time.Hour
	leader, _ := leaveOver(t, r, work)
	h := script("echo beside")
	h.Timeout = 100 * time.Millisecond
	res := r.Run(t.Context(), h, testContext())
	if res.Passed || res.Output != "" || !strings.Contains(res.Err, "still run") {
		t.Errorf("%+v; want it not to run", res)
	}
	if !lives(leader) {
		t.Error("the leftover was killed within its grace")
	}
	if _, err := os.Stat(r.path(testContext().ID)); err != nil {
		t.Errorf("its note is gone: %v", err)
	}
}
