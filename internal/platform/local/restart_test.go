package local

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestVersionThatNeverGetsReadyFailsWithItsReason(t *testing.T) {
	cases := []struct {
		name   string
		args   []string
		change func(*Spec)
		want   []string
	}{
		{
			name: "exits", args: []string{"-exit", "4"}, change: func(s *Spec) { s.Service.Health.MaxRestarts = 2 },
			want: []string{"ended 3 times and was never ready", "it exited with code 4", "goodbye from api-"},
		},
		{
			name: "exits, no restart", args: []string{"-exit", "0"}, change: func(s *Spec) { s.Service.Health.MaxRestarts = 0 },
			want: []string{"ended before it was ready; it exited with code 0"},
		},
		{
			name: "never listens", args: []string{"-protocol", "none"}, change: func(s *Spec) { s.Service.Health.StartWithin = 5 * time.Second },
			want: []string{"not ready within 5s", "connection refused", "printed nothing"},
		},
		{
			name: "wrong path", change: func(s *Spec) {
				s.Service.Health.StartWithin = 15 * time.Second
				s.Service.Health.Path = "/health"
			},
			want: []string{"not ready within 15s; last health check: GET /health answered 404 Not Found", "listening"},
		},
		{
			name: "directory missing", change: func(s *Spec) {
				s.Version.Run.Dir = filepath.Join(s.Version.Run.Dir, "missing")
				s.Service.Health.MaxRestarts = 0
			},
			want: []string{"could not be started: ", "no such file or directory"},
		},
		{
			name: "bad envFile", change: func(s *Spec) {
				s.Version.Run.EnvFile = filepath.Join(s.Version.Run.Dir, "secrets.env")
				_ = os.WriteFile(s.Version.Run.EnvFile, []byte("A=1\n\nhunter2\n"), 0o600)
				s.Service.Health.MaxRestarts = 0
			},
			want: []string{"could not be started: envFile secrets.env:3: want NAME=VALUE, but the line has no ="},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			s := b.spec("1", c.args...)
			c.change(&s)
			b.ensure(s)
			st := b.await("api@1", "failed", func(st Status) bool { return st.Failed != "" })
			for _, want := range c.want {
				if !strings.Contains(st.Failed, want) {
					t.Errorf("reason lacks %q:\n%s", want, st.Failed)
				}
			}
			if strings.Contains(st.Failed, "hunter2") {
				t.Errorf("a secret is in the reason:\n%s", st.Failed)
			}
			eventually(t, "end of its processes", func() bool {
				services, shims := serving(t, b.dir)
				return len(services)+len(shims) == 0
			})
			b.ensure(s)
			if st := b.Observe()["api@1"]; st.Failed == "" {
				t.Error("ensuring it once more forgot that it failed")
			}
		})
	}
}

func TestFailureNamesThePortThatItListensOn(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	b := newBench(t)
	s := b.spec("1", "-port", port)
	s.Service.Health.StartWithin = 15 * time.Second
	b.ensure(s)
	words := "listens on " + port + ", not on PORT="
	b.await("api@1", "warned about", func(st Status) bool {
		return len(st.Warnings) == 1 && strings.Contains(st.Warnings[0], words)
	})
	st := b.await("api@1", "failed", func(st Status) bool { return st.Failed != "" })
	_, own, _ := net.SplitHostPort(st.Instances[0].Addr)
	if want := "it " + words + own; !strings.Contains(st.Failed, want) {
		t.Errorf("reason lacks %q:\n%s", want, st.Failed)
	}
}

func TestVersionOnceReadyIsRestartedWithBackoff(t *testing.T) {
	b := newBench(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "exit")
	s := b.spec("1", "-exit-file", file)
	s.Service.Health.MaxRestarts = 1
	b.ensure(s)
	i := b.awaitReady("api@1", 1).Instances[0]
	writeFile(t, file, "")
	if err := syscall.Kill(i.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	st := b.await("api@1", "restarted three times", func(st Status) bool { return st.Instances[0].Restarts == 4 })
	if least := 7 * firstPause; time.Since(began) < least {
		t.Errorf("restarted three times within %v, the pauses make %v", time.Since(began), least)
	}
	if st.Failed != "" {
		t.Errorf("a version that was ready failed: %s", st.Failed)
	}
	if e := st.Instances[0].LastExit; e.Code != 3 {
		t.Errorf("last exit %+v, want code 3", e)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if again := b.awaitReady("api@1", 1).Instances[0]; again.ID != i.ID || again.PID == i.PID {
		t.Errorf("was %+v, is %+v", i, again)
	}
}

func TestOnceReadyIsRememberedBeyondARestart(t *testing.T) {
	b := newBench(t)
	file := filepath.Join(t.TempDir(), "exit")
	s := b.spec("1", "-exit-file", file)
	s.Service.Health.MaxRestarts = 0
	b.ensure(s)
	i := b.awaitReady("api@1", 1).Instances[0]
	b.mustClose()
	writeFile(t, file, "")
	_, _ = http.Get("http://" + i.Addr + "/exit?code=1")
	eventually(t, "end of the shim", func() bool { _, shims := serving(t, b.dir); return len(shims) == 0 })
	b.Platform = nil
	b.reopen()
	b.ensure(s)
	st := b.await("api@1", "restarted", func(st Status) bool { return st.Instances[0].Restarts >= 3 })
	if st.Failed != "" {
		t.Errorf("a version that was ready failed: %s", st.Failed)
	}
}

func TestTakenPortIsLeftForAnother(t *testing.T) {
	b := newBench(t)
	b.ensure(b.spec("1"))
	i := b.awaitReady("api@1", 1).Instances[0]
	b.mustClose()
	killAllBelow(t, b.dir)
	eventually(t, "a stranger takes the port meanwhile", func() bool {
		l, err := net.Listen("tcp", i.Addr)
		if err == nil {
			t.Cleanup(func() { _ = l.Close() })
		}
		return err == nil
	})
	b.Platform = nil
	b.reopen()
	b.ensure(b.spec("1"))
	st := b.awaitReady("api@1", 1)
	if st.Instances[0].Addr == i.Addr {
		t.Errorf("still at %s, which a stranger has", i.Addr)
	}
}

func TestServiceThatFindsItsPortTakenGetsAnother(t *testing.T) {
	b := newBench(t)
	s := b.spec("1", "-busy-file", filepath.Join(t.TempDir(), "busy"))
	s.Service.Health.MaxRestarts = 0 // it is no restart
	b.ensure(s)
	taken := b.await("api@1", "told to wait", func(st Status) bool { return len(st.Instances) == 1 && st.Instances[0].LastExit != nil })
	i := b.awaitReady("api@1", 1).Instances[0]
	if i.Restarts != 0 || i.LastExit.Code != 1 || taken.Instances[0].Addr == i.Addr {
		t.Errorf("was %+v, is %+v", taken.Instances[0], i)
	}
}

func TestReplicasUpAndDown(t *testing.T) {
	b := newBench(t)
	s := b.spec("1")
	run := *s.Version.Run
	scale := func(n int) Status {
		run := run
		run.Replicas = n
		s.Version.Run = &run
		b.ensure(s)
		return b.await("api@1", strconv.Itoa(n)+" replicas", func(st Status) bool {
			running := 0
			for _, i := range st.Instances {
				if i.PID != 0 {
					running++
				}
			}
			return st.Ready == n && running == n
		})
	}
	first := scale(1).Instances[0]
	three := scale(3)
	if three.Instances[0].PID != first.PID {
		t.Error("scaling up restarted the first instance")
	}
	one := scale(1)
	if one.Instances[0].PID != first.PID {
		t.Error("scaling down ended the oldest instance")
	}
	if again := scale(2); len(again.Instances) != 3 {
		t.Errorf("scaled up again it has %d instances, want a former one reused", len(again.Instances))
	}
	services, _ := serving(t, b.dir)
	if len(services) != 2 || !slices.Contains(services, first.PID) {
		t.Errorf("processes %v, want 2 with %d", services, first.PID)
	}
}

func TestOtherEnvironmentRestartsNothing(t *testing.T) {
	b := newBench(t)
	s := b.spec("1")
	b.ensure(s)
	i := b.awaitReady("api@1", 1).Instances[0]
	s.Env = map[string]string{"GREENROOM_URL_CHAT": "http://127.0.0.9:1"}
	b.ensure(s)
	if again := b.awaitReady("api@1", 1).Instances[0]; again.PID != i.PID {
		t.Error("it was restarted since its environment would be another")
	}
	_, _ = http.Get("http://" + i.Addr + "/exit?code=0")
	again := b.await("api@1", "restarted", func(st Status) bool { return st.Ready == 1 && st.Instances[0].Restarts == 1 })
	if !strings.Contains(get(t, again.Instances[0].Addr, "/environ"), "GREENROOM_URL_CHAT=http://127.0.0.9:1") {
		t.Error("the next start does not have the new environment")
	}
}

// Whatever is asked for in whatever order, what runs in the end is what was
// asked for last.
func TestRestlessDemandsEndInWhatWasAskedLast(t *testing.T) {
	b := newBench(t)
	s := b.spec("1")
	s.Service.Health.StartWithin = time.Hour
	ask := func(replicas int) {
		run := *s.Version.Run
		run.Replicas = replicas
		s.Version.Run = &run
		b.ensure(s)
	}
	for round := range 10 {
		for range 10 {
			switch rand.IntN(4) {
			case 0:
				b.Stop("api@1", rand.N(50*time.Millisecond))
			case 1:
				services, shims := serving(t, b.dir)
				if all := append(services, shims...); len(all) > 0 {
					_ = syscall.Kill(all[rand.IntN(len(all))], syscall.SIGKILL)
				}
			case 2:
				b.reopen()
			default:
				ask(1 + rand.IntN(3))
			}
			<-time.After(rand.N(20 * time.Millisecond))
		}
		want := 1 + round%3
		ask(want)
		eventually(t, fmt.Sprintf("%d replicas and no other process", want), func() bool {
			services, shims := serving(t, b.dir)
			return b.Observe()["api@1"].Ready == want && len(services) == want && len(shims) == want
		})
	}
	if err := b.StopAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if services, shims := serving(t, b.dir); len(services)+len(shims) > 0 {
		t.Errorf("services %v, shims %v are left", services, shims)
	}
}
