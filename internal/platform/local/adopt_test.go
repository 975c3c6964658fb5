package local

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/process"
)

// supervisor is a platform in a process of its own.
type supervisor struct {
	cmd *exec.Cmd
	out *bufio.Scanner
}

func startSupervisor(t *testing.T, dir string, specs ...Spec) *supervisor {
	t.Helper()
	o, err := json.Marshal(order{Dir: dir, Specs: specs})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "supervisor", string(o))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return &supervisor{cmd: cmd, out: lines}
}

func (s *supervisor) awaitReady(t *testing.T, version string, n int) Status {
	t.Helper()
	for s.out.Scan() {
		var all map[string]Status
		if err := json.Unmarshal(s.out.Bytes(), &all); err != nil {
			t.Fatal(err)
		}
		if st := all[version]; st.Ready == n {
			return st
		}
	}
	t.Fatalf("the supervisor ended before %s was ready", version)
	return Status{}
}

// kill is kill -9 of all of the supervisor's process group, as a terminal or an
// init system may do, after what else they send to it.
func (s *supervisor) kill(t *testing.T) {
	t.Helper()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGKILL} {
		if err := syscall.Kill(-s.cmd.Process.Pid, sig); err != nil {
			t.Fatal(err)
		}
	}
	_ = s.cmd.Wait()
}

func TestServicesOutliveTheirSupervisor(t *testing.T) {
	b := newBench(t)
	s := b.spec("1")
	s.Version.Run.Replicas = 2
	b.mustClose()

	super := startSupervisor(t, b.dir, s)
	before := super.awaitReady(t, "api@1", 2)

	// Both instances log on every request, all the while.
	var (
		clients sync.WaitGroup
		stop    = make(chan struct{})
		sent    [2]int
	)
	for k, i := range before.Instances {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				res, err := http.Get(fmt.Sprintf("http://%s/log?n=%d-%d", i.Addr, k, sent[k]))
				if err != nil {
					t.Errorf("instance %s stopped answering: %v", i.ID, err)
					return
				}
				_ = res.Body.Close()
				sent[k]++
			}
		})
	}
	for range 3 {
		super.kill(t)
		super = startSupervisor(t, b.dir, s)
		super.awaitReady(t, "api@1", 2)
	}
	super.kill(t)
	close(stop)
	clients.Wait()

	b.Platform = nil
	b.reopen()
	after := b.Observe()["api@1"]
	if after.Ready != 2 {
		t.Errorf("found in state %+v, want both ready", after)
	}
	for k, i := range after.Instances {
		was := before.Instances[k]
		if i.ID != was.ID || i.PID != was.PID || i.Addr != was.Addr || i.Restarts != 0 || !i.Adopted {
			t.Errorf("instance was %+v, is %+v", was, i)
		}
		if !i.StartedAt.Equal(was.StartedAt) {
			t.Errorf("instance started at %v, now says %v", was.StartedAt, i.StartedAt)
		}
	}
	want := 2 * (sent[0] + sent[1])
	var got []string
	eventually(t, "all lines in the log", func() bool {
		got = slices.DeleteFunc(b.lines("api@1"), func(l string) bool { return strings.HasSuffix(l, "listening") })
		return len(got) >= want
	})
	seen := make(map[string]int)
	for _, l := range got {
		seen[l]++
	}
	for k, n := range sent {
		for m := range n {
			for _, l := range []string{fmt.Sprintf("stdout request %d-%d", k, m), fmt.Sprintf("stderr served %d-%d", k, m)} {
				if seen[l] != 1 {
					t.Fatalf("line %q is %d times in the log", l, seen[l])
				}
			}
		}
	}
	t.Logf("%d requests across 4 kills, %d lines", sent[0]+sent[1], len(got))
}

func TestExitOfAnAdoptedInstanceIsReported(t *testing.T) {
	b := newBench(t)
	s := b.spec("1")
	b.mustClose()
	super := startSupervisor(t, b.dir, s)
	first := super.awaitReady(t, "api@1", 1).Instances[0]
	super.kill(t)

	b.Platform = nil
	b.reopen()
	b.ensure(s)
	b.awaitReady("api@1", 1)
	_, _ = http.Get("http://" + first.Addr + "/exit?code=7") // it never answers
	st := b.await("api@1", "ready again", func(st Status) bool { return st.Ready == 1 && st.Instances[0].LastExit != nil })
	i := st.Instances[0]
	if i.LastExit.Code != 7 || i.LastExit.How != Recorded || i.Restarts != 1 || i.Adopted || i.PID == first.PID {
		t.Errorf("after exit code 7: %+v, last exit %+v", i, i.LastExit)
	}
}

func TestExitWhileNobodyWatchedIsReported(t *testing.T) {
	b := newBench(t)
	s := b.spec("1")
	b.ensure(s)
	first := b.awaitReady("api@1", 1).Instances[0]
	b.mustClose()
	_, _ = http.Get("http://" + first.Addr + "/exit?code=9")
	eventually(t, "end of the shim", func() bool { _, shims := serving(t, b.dir); return len(shims) == 0 })

	b.Platform = nil
	b.reopen()
	// A process whose memory is gone already may be there a moment longer.
	i := b.await("api@1", "found ended", func(st Status) bool { return st.Instances[0].State == Exited }).Instances[0]
	if i.PID != 0 || i.LastExit == nil || i.LastExit.Code != 9 || i.LastExit.How != Recorded {
		t.Errorf("found %+v, last exit %+v", i, i.LastExit)
	}
	b.ensure(s)
	if i := b.awaitReady("api@1", 1).Instances[0]; i.ID != first.ID || i.Restarts != 1 {
		t.Errorf("started again as %+v", i)
	}
}

func TestKilledAtRandomMomentsLeavesNeitherOrphanNorTwin(t *testing.T) {
	b := newBench(t)
	s := b.spec("0")
	s.Version.Run.Replicas = 2
	b.mustClose()
	found := 0 // processes left by the killed, over all rounds
	for round := range 30 {
		s.Version.Name = fmt.Sprint(round)
		id := s.Version.ID()
		super := startSupervisor(t, b.dir, s)
		if !super.out.Scan() {
			t.Fatal("the supervisor ended by itself")
		}
		<-time.After(rand.N(25 * time.Millisecond))
		super.kill(t)
		left, _ := serving(t, b.dir)
		found += len(left)

		b.Platform = nil
		b.reopen()
		b.ensure(s)
		st := b.awaitReady(id, 2)
		if len(st.Instances) != 2 {
			t.Errorf("%d instances for 2 replicas: %+v", len(st.Instances), st.Instances)
		}
		var services, shims []int
		eventually(t, "one shim and one process for each instance", func() bool {
			services, shims = serving(t, b.dir)
			return len(services) == 2 && len(shims) == 2
		})
		for _, i := range st.Instances {
			if !slices.Contains(services, i.PID) {
				t.Errorf("instance %s claims process %d, running are %v", i.ID, i.PID, services)
			}
		}
		for _, pid := range left {
			if !slices.Contains(services, pid) {
				t.Errorf("process %d was restarted; running are %v", pid, services)
			}
		}
		if err := b.StopAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := b.Remove(id); err != nil {
			t.Fatal(err)
		}
		if services, shims := serving(t, b.dir); len(services)+len(shims) > 0 {
			t.Fatalf("services %v, shims %v are left", services, shims)
		}
		b.mustClose()
	}
	t.Logf("%d of 60 processes were started before the kill", found)
}

func TestRecordedButNeverStarted(t *testing.T) {
	b := newBench(t)
	s := b.spec("1")
	b.ensure(s)
	first := b.awaitReady("api@1", 1).Instances[0]
	b.mustClose()
	// What is left by a crash between record and start: a record whose number no
	// process ever had. The process of the number before is gone.
	dir := filepath.Join(b.dir, "versions", "api@1", first.ID)
	var rec startRecord
	if ok, err := readRecord(dir, recordFile, &rec); !ok || err != nil {
		t.Fatal(ok, err)
	}
	killAllBelow(t, b.dir)
	rec.Start++
	if err := writeRecord(dir, recordFile, rec); err != nil {
		t.Fatal(err)
	}
	b.Platform = nil
	b.reopen()
	b.await("api@1", "seen to have ended", func(st Status) bool { return st.Instances[0].State == Exited })
	b.ensure(s)
	b.awaitReady("api@1", 1)
	services, shims := serving(t, b.dir)
	if len(services) != 1 || len(shims) != 1 {
		t.Errorf("services %v, shims %v; want one each", services, shims)
	}
}

func TestShimStartedTwiceStartsNothing(t *testing.T) {
	b := newBench(t)
	s := b.spec("1")
	b.ensure(s)
	i := b.awaitReady("api@1", 1).Instances[0]
	dir := filepath.Join(b.dir, "versions", "api@1", i.ID)
	again := func() {
		t.Helper()
		cmd := exec.Command(os.Args[0], "shim", dir)
		cmd.Env = []string{"GREENROOM_INSTANCE=" + i.ID, "PORT=0", "HOST=127.0.0.1"}
		if err := cmd.Run(); cmd.ProcessState.ExitCode() != shimTwice {
			t.Errorf("a second shim ended with %v, want exit code %d", err, shimTwice)
		}
	}
	again() // while it runs
	services, _ := serving(t, b.dir)
	if !slices.Equal(services, []int{i.PID}) {
		t.Errorf("processes %v, want only %d", services, i.PID)
	}
	b.Stop("api@1", time.Minute)
	b.awaitGone("api@1")
	again() // when it has ended
	b.ensure(s)
	b.awaitReady("api@1", 1)
	b.mustClose()
	killAllBelow(t, b.dir)
	again() // when both were killed, with no record of the end
	if services, _ := serving(t, b.dir); len(services) != 0 {
		t.Errorf("processes %v, want none", services)
	}
}

func TestKilledShimTakesItsServiceAlong(t *testing.T) {
	for _, watched := range []bool{true, false} {
		t.Run(fmt.Sprintf("watched=%v", watched), func(t *testing.T) {
			b := newBench(t)
			s := b.spec("1")
			b.ensure(s)
			first := b.awaitReady("api@1", 1).Instances[0]
			_, shims := serving(t, b.dir)
			if len(shims) != 1 {
				t.Fatalf("shims %v, want one", shims)
			}
			if !watched {
				b.mustClose()
				b.Platform = nil
			}
			if err := syscall.Kill(shims[0], syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if !watched {
				eventually(t, "end of the shim", func() bool { return !alive(shims[0]) })
				b.reopen()
				b.ensure(s)
			}
			st := b.await("api@1", "started anew", func(st Status) bool {
				return st.Ready == 1 && st.Instances[0].PID != first.PID
			})
			if e := st.Instances[0].LastExit; e == nil || e.How != Lost {
				t.Errorf("last exit %+v, want one that was lost", e)
			}
			if services, _ := serving(t, b.dir); !slices.Equal(services, []int{st.Instances[0].PID}) {
				t.Errorf("processes %v, want only %d", services, st.Instances[0].PID)
			}
		})
	}
}

func TestStalePIDKillsNoStranger(t *testing.T) {
	stranger := exec.Command(os.Args[0], "service", "-protocol", "none", "-port", "0")
	stranger.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stranger.Process.Kill(); _ = stranger.Wait() })
	real, err := process.Identify(stranger.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]func(*process.Identity){
		"other start time": func(id *process.Identity) { id.Start-- },
		"other boot":       func(id *process.Identity) { id.Boot = "another" },
	}
	for name, falsify := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			s := b.spec("1")
			b.ensure(s)
			first := b.awaitReady("api@1", 1).Instances[0]
			b.mustClose()
			killAllBelow(t, b.dir)
			dir := filepath.Join(b.dir, "versions", "api@1", first.ID)
			running, ok := readRunning(dir, 1)
			if !ok {
				t.Fatal("no record of the process")
			}
			stale := real
			falsify(&stale)
			running.Service, running.Shim = stale, stale
			if err := writeRecord(dir, runningFile, running); err != nil {
				t.Fatal(err)
			}
			b.Platform = nil
			b.reopen()
			b.ensure(s)
			b.awaitReady("api@1", 1)
			b.Stop("api@1", 0)
			b.awaitGone("api@1")
			if !alive(stranger.Process.Pid) {
				t.Error("a process that took over the number was killed")
			}
		})
	}
}
