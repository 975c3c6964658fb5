package process_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/process"
)

func TestAnIdentityIsOfOneProcess(t *testing.T) {
	child := start(t)
	id := identify(t, child)
	if !id.Alive() {
		t.Error("a process that runs is not alive")
	}
	for name, other := range map[string]process.Identity{
		"none":             {},
		"other start time": {Boot: id.Boot, PID: id.PID, Start: id.Start - 1},
		"other boot":       {Boot: "another", PID: id.PID, Start: id.Start},
	} {
		if other.Alive() {
			t.Errorf("%s: alive", name)
		}
		if _, err := process.Open(other); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("%s: opened with %v, want os.ErrProcessDone", name, err)
		}
		other.KillGroup()
	}
	if !id.Alive() {
		t.Error("the process was killed for another")
	}
}

// What is kept in files must be found again after an upgrade.
func TestTheFormOfAnIdentity(t *testing.T) {
	got, err := json.Marshal(process.Identity{Boot: "b", PID: 2, Start: 3})
	if err != nil || string(got) != `{"boot":"b","pid":2,"start":3}` {
		t.Errorf("got %s (%v)", got, err)
	}
}

func TestAHandleTellsTheEnd(t *testing.T) {
	child := start(t)
	h, err := process.Open(identify(t, child))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	select {
	case <-h.Done():
		t.Fatal("done while it runs")
	default:
	}
	if err := h.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	process.AwaitExit(child.Process.Pid)
	within(t, "the end of the process", h.Done())
	if err := h.Signal(syscall.SIGKILL); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signalling a process that has ended: %v, want os.ErrProcessDone", err)
	}
	if _, err := process.Identify(child.Process.Pid); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("identifying a zombie: %v, want os.ErrProcessDone", err)
	}
}

func TestClosingAHandleLeavesTheProcess(t *testing.T) {
	id := identify(t, start(t))
	h, err := process.Open(id)
	if err != nil {
		t.Fatal(err)
	}
	h.Close()
	h.Close()
	within(t, "the end of the watch", h.Done())
	if !id.Alive() {
		t.Error("the process has ended")
	}
}

func TestKillGroup(t *testing.T) {
	child := start(t)
	id := identify(t, child)
	members, err := process.InGroup(id.PID)
	if err != nil || !slices.Equal(members, []int{id.PID}) {
		t.Errorf("its group is %v (%v), want %d alone", members, err, id.PID)
	}
	id.KillGroup()
	process.AwaitExit(id.PID)
	if id.Alive() {
		t.Error("a zombie is alive")
	}
	if members, err := process.InGroup(id.PID); err == nil && len(members) > 0 {
		t.Errorf("its group still is %v", members)
	}
}

// start starts a process in a group of its own, which ends with the test.
func start(t *testing.T, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

func identify(t *testing.T, cmd *exec.Cmd) process.Identity {
	t.Helper()
	id, err := process.Identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func within(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Fatal("waited in vain for " + what)
	}
}
