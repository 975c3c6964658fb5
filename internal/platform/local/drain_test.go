package local

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestStopEndsAServiceThatListens(t *testing.T) {
	b := newBench(t)
	b.ensure(b.spec("1"))
	b.awaitReady("api@1", 1)
	if err := b.Remove("api@1"); err == nil {
		t.Error("removed a version that runs")
	}
	b.Stop("api@1", time.Minute)
	b.Stop("api@1", time.Minute)
	st := b.awaitGone("api@1")
	if e := st.Instances[0].LastExit; e == nil || e.Code != 0 || e.Killed {
		t.Errorf("last exit %+v, want code 0", e)
	}
	if !slices.Contains(b.lines("api@1"), "stdout terminated") {
		t.Errorf("its last words are not in the log: %q", b.lines("api@1"))
	}
	if services, shims := serving(t, b.dir); len(services)+len(shims) > 0 {
		t.Errorf("services %v, shims %v are left", services, shims)
	}
	if err := b.Remove("api@1"); err != nil {
		t.Error(err)
	}
	if st, ok := b.Observe()["api@1"]; ok {
		t.Errorf("removed, yet observed: %+v", st)
	}
}

func TestStopKillsTheGroupWhenTheDrainIsOver(t *testing.T) {
	b := newBench(t)
	b.ensure(b.spec("1", "-stubborn", "-child"))
	first := b.awaitReady("api@1", 1).Instances[0]
	child := b.childOf("api@1")
	if !alive(child) || !alive(first.PID) {
		t.Fatalf("service %d or its child %d does not run", first.PID, child)
	}
	const drain = 300 * time.Millisecond
	began := time.Now()
	b.Stop("api@1", drain)
	if st := b.Observe()["api@1"]; !st.Stopping || st.Gone || st.Ready != 0 || st.Instances[0].State != Stopping {
		t.Errorf("just told to stop: %+v", st)
	}
	st := b.awaitGone("api@1")
	if took := time.Since(began); took < drain {
		t.Errorf("killed after %v, before its drain time of %v", took, drain)
	}
	if e := st.Instances[0].LastExit; e == nil || e.Signal != "killed" || !e.Killed {
		t.Errorf("last exit %+v, want killed", e)
	}
	eventually(t, "end of the service and its child", func() bool { return !alive(child) && !alive(first.PID) })
	if !slices.Contains(b.lines("api@1"), "stdout ignoring SIGTERM") {
		t.Error("it was killed without SIGTERM first")
	}
}

// childOf returns the process that the version's service says is its child.
func (b *bench) childOf(version string) int {
	b.t.Helper()
	for _, l := range b.lines(version) {
		if text, ok := strings.CutPrefix(l, "stdout child "); ok {
			if pid, err := strconv.Atoi(text); err == nil {
				return pid
			}
		}
	}
	b.t.Fatalf("no child is named in %q", b.lines(version))
	return 0
}

func TestChildIsNotLeftBehind(t *testing.T) {
	b := newBench(t)
	b.ensure(b.spec("1", "-child"))
	b.awaitReady("api@1", 1)
	child := b.childOf("api@1")
	b.Stop("api@1", time.Hour)
	st := b.awaitGone("api@1")
	if e := st.Instances[0].LastExit; e.Code != 0 || e.Killed {
		t.Errorf("last exit %+v, want code 0", e)
	}
	eventually(t, "end of the child", func() bool { return !alive(child) })
}

func TestDrainGoesOnWithoutItsSupervisor(t *testing.T) {
	b := newBench(t)
	b.ensure(b.spec("1", "-stubborn"))
	b.awaitReady("api@1", 1)
	b.Stop("api@1", 500*time.Millisecond)
	eventually(t, "SIGTERM", func() bool { return slices.Contains(b.lines("api@1"), "stdout ignoring SIGTERM") })
	b.mustClose()
	eventually(t, "end of service and shim", func() bool {
		services, shims := serving(t, b.dir)
		return len(services)+len(shims) == 0
	})
	b.Platform = nil
	b.reopen()
	// A process whose memory is gone already may be there a moment longer.
	eventually(t, "the end is found, and that it was killed", func() bool {
		st := b.Observe()["api@1"]
		return st.Gone && st.Instances[0].LastExit != nil && st.Instances[0].LastExit.Killed
	})
}

func TestStopAllLeavesNothing(t *testing.T) {
	b := newBench(t)
	one, two := b.spec("1"), b.spec("2")
	one.Version.Run.Replicas = 2
	b.ensure(one)
	b.ensure(two)
	b.ensure(b.spec("failing", "-exit", "1"))
	b.awaitReady("api@1", 2)
	b.awaitReady("api@2", 1)
	if err := b.StopAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if services, shims := serving(t, b.dir); len(services)+len(shims) > 0 {
		t.Errorf("services %v, shims %v are left", services, shims)
	}
	for id, st := range b.Observe() {
		if !st.Gone {
			t.Errorf("%s is not gone: %+v", id, st)
		}
	}
	b.ensure(one)
	b.awaitReady("api@1", 2)
}

// A fleet that was ended and is begun again has not failed in between.
func TestNoRestartIsCountedAfterAnOrderlyEnd(t *testing.T) {
	b := newBench(t)
	s := b.spec("1")
	b.ensure(s)
	first := b.awaitReady("api@1", 1).Instances[0]
	if err := b.StopAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.reopen()
	b.ensure(s)
	if again := b.awaitReady("api@1", 1).Instances[0]; again.ID != first.ID || again.PID == first.PID || again.Restarts != 0 {
		t.Errorf("after an orderly end %+v runs as %+v, want it without a restart", first, again)
	}
}

func TestStopAllKillsWhatOutstaysItsContext(t *testing.T) {
	b := newBench(t)
	s := b.spec("1", "-stubborn")
	s.Service.Drain = time.Hour
	b.ensure(s)
	b.awaitReady("api@1", 1)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := b.StopAll(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want that the deadline was exceeded", err)
	}
	eventually(t, "end of service, child and shim", func() bool {
		services, shims := serving(t, b.dir)
		return len(services)+len(shims) == 0
	})
}

func TestEnsuredAgainWhileItStops(t *testing.T) {
	b := newBench(t)
	s := b.spec("1", "-stubborn")
	b.ensure(s)
	first := b.awaitReady("api@1", 1).Instances[0]
	b.Stop("api@1", time.Minute)
	b.ensure(s)
	st := b.awaitReady("api@1", 1)
	if st.Stopping || len(st.Instances) != 2 || st.Instances[0].PID != first.PID || st.Instances[0].State != Stopping {
		t.Errorf("want the old one stopping beside a new one, got %+v", st)
	}
	b.Stop("api@1", 0)
	b.awaitGone("api@1")
}
