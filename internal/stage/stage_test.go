package stage

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const span = 10 * time.Second

// play is a keeper with a clock that stands until it is moved.
type play struct {
	t *testing.T
	*Keeper
	now time.Time
}

func newPlay(t *testing.T) *play {
	return &play{t: t, Keeper: New(span, time.Time{}), now: start}
}

func (p *play) switchTo(epoch uint64, release string, versions map[string]string) {
	p.t.Helper()
	if err := p.Switch(epoch, release, versions); err != nil {
		p.t.Fatal(err)
	}
}

func (p *play) ask(version string, held uint64) Answer {
	return p.Ask("gift", version, version+"-1", held, false, p.now)
}

func (p *play) admitted(version string, held, epoch uint64) {
	p.t.Helper()
	if a := p.ask(version, held); !a.OnStage || a.Epoch != epoch || a.Lease != span || a.Retry != 0 || a.Reason != "" {
		p.t.Errorf("%s, holding %d: %+v; want it on stage in epoch %d", version, held, a, epoch)
	}
}

func (p *play) refused(version string, held uint64, reason string) {
	p.t.Helper()
	a := p.ask(version, held)
	if a.OnStage || a.Lease != 0 || a.Retry != time.Second || !strings.Contains(a.Reason, reason) {
		p.t.Errorf("%s, holding %d: %+v; want it off stage since %q", version, held, a, reason)
	}
}

func TestOnlyWhatServesIsOnStage(t *testing.T) {
	p := newPlay(t)
	p.refused("v1", 0, "starting")
	p.switchTo(1, "r1", map[string]string{"gift": "v1"})
	p.admitted("v1", 0, 1)
	p.refused("v2", 0, "v1 serves, from r1")
	p.switchTo(2, "r2", map[string]string{"web": "v1"})
	p.refused("v1", 1, "r2 has no gift")
}

func TestTheNextWaitsUntilTheFormerLeft(t *testing.T) {
	p := newPlay(t)
	p.switchTo(1, "r1", map[string]string{"gift": "v1"})
	p.admitted("v1", 0, 1)
	p.Ask("gift", "v1", "second", 0, false, p.now)
	p.switchTo(2, "r2", map[string]string{"gift": "v2"})
	p.refused("v2", 0, "has not left")
	p.refused("v1", 1, "v2 serves")
	p.Ask("gift", "v1", "v1-1", 1, true, p.now)
	p.refused("v2", 0, "second of v1 has not left")
	p.Ask("gift", "v1", "second", 1, true, p.now)
	p.admitted("v2", 0, 2)
}

func TestTheNextWaitsUntilTheLeaseIsOver(t *testing.T) {
	p := newPlay(t)
	p.switchTo(1, "r1", map[string]string{"gift": "v1"})
	p.admitted("v1", 0, 1)
	p.switchTo(2, "r2", map[string]string{"gift": "v2"})
	p.now = p.now.Add(span - 1)
	p.refused("v2", 0, "has not left")
	p.now = p.now.Add(1)
	p.admitted("v2", 0, 2)
	p.refused("v1", 1, "v2 serves") // its claim comes too late to count
	p.admitted("v2", 2, 2)
}

func TestWhoFinishesItsWorkKeepsItsLease(t *testing.T) {
	p := newPlay(t)
	p.switchTo(1, "r1", map[string]string{"gift": "v1"})
	p.admitted("v1", 0, 1)
	p.switchTo(2, "r2", map[string]string{"gift": "v2"})
	for range 5 {
		p.now = p.now.Add(span / 2)
		p.refused("v1", 1, "v2 serves")
		p.refused("v2", 0, "has not left")
	}
	want := []Holder{{Service: "gift", Version: "v1", Instance: "v1-1", Epoch: 1, Until: p.now.Add(span), Leaving: true}}
	if diff := cmp.Diff(want, p.Holders(p.now)); diff != "" {
		t.Errorf("holders (-want +got):\n%s", diff)
	}
	// One that holds nothing does not keep the next one waiting.
	p.now = p.now.Add(span / 2)
	p.refused("v1", 0, "v2 serves")
	p.now = p.now.Add(span / 2)
	p.admitted("v2", 0, 2)
}

func TestWhatServesInBothViewsStays(t *testing.T) {
	p := newPlay(t)
	p.switchTo(1, "r1", map[string]string{"gift": "v1"})
	p.admitted("v1", 0, 1)
	p.switchTo(2, "r2", map[string]string{"gift": "v1", "web": "v2"})
	p.admitted("v1", 1, 2)
	p.switchTo(3, "r3", map[string]string{"gift": "v2"})
	p.switchTo(4, "r4", map[string]string{"gift": "v1"})
	p.admitted("v1", 2, 4)
	p.refused("v2", 0, "v1 serves")
}

func TestALateLeaveTakesNothingAway(t *testing.T) {
	p := newPlay(t)
	p.switchTo(1, "r1", map[string]string{"gift": "v1"})
	p.admitted("v1", 0, 1)
	p.switchTo(2, "r2", map[string]string{"gift": "v1"})
	p.admitted("v1", 1, 2)
	p.Ask("gift", "v1", "v1-1", 1, true, p.now) // sent in epoch 1
	p.switchTo(3, "r3", map[string]string{"gift": "v2"})
	p.refused("v2", 0, "has not left")
}

func TestAfterARestartOthersWait(t *testing.T) {
	p := newPlay(t)
	p.Keeper = New(span, p.now.Add(span))
	p.switchTo(6, "r6", map[string]string{"gift": "v1", "chat": "v1"})
	p.switchTo(7, "r7", map[string]string{"gift": "v2", "chat": "v1"})
	p.refused("v2", 0, "restarted")
	p.refused("v2", 6, "restarted") // of an epoch in which another served
	p.refused("v2", 8, "restarted") // of an epoch that never was
	if a := p.Ask("chat", "v1", "chat-2", 5, false, p.now); a.OnStage {
		t.Errorf("what held an epoch before both views: %+v; want it to wait", a)
	}
	if a := p.Ask("chat", "v1", "chat-1", 6, false, p.now); !a.OnStage || a.Epoch != 7 {
		t.Errorf("what serves in both views: %+v; want it on stage", a)
	}
	if a := p.Ask("chat", "v1", "chat-2", 5, false, p.now); !a.OnStage {
		t.Errorf("when its version has shown that it was on stage: %+v; want it there too", a)
	}
	p.admitted("v2", 7, 7)
	p.now = p.now.Add(span)
	if a := p.Ask("gift", "v2", "new", 0, false, p.now); !a.OnStage {
		t.Errorf("a lease after the restart: %+v; want it on stage", a)
	}
}

func TestAfterARestartWhoFinishesItsWorkIsWaitedFor(t *testing.T) {
	p := newPlay(t)
	p.Keeper = New(span, p.now.Add(span))
	p.switchTo(7, "r7", map[string]string{"gift": "v2"})
	p.now = p.now.Add(span / 2)
	p.refused("v1", 6, "v2 serves")
	p.now = p.now.Add(span / 2)
	p.refused("v2", 0, "v1-1 of v1 has not left")
	p.Ask("gift", "v1", "v1-1", 6, true, p.now)
	p.admitted("v2", 0, 7)
}

func TestSwitchGoesOnlyForward(t *testing.T) {
	p := newPlay(t)
	p.switchTo(5, "r5", map[string]string{"gift": "v1"})
	p.switchTo(5, "r5", map[string]string{"gift": "v1"})
	for _, c := range []struct {
		epoch   uint64
		release string
		version string
	}{{4, "r4", "v1"}, {5, "r5", "v2"}, {5, "r6", "v1"}, {0, "", "v1"}} {
		if err := p.Switch(c.epoch, c.release, map[string]string{"gift": c.version}); err == nil {
			t.Errorf("went from epoch 5 of r5 with v1 to %+v", c)
		}
	}
	p.admitted("v1", 0, 5)
}

func TestHoldersHoldAtTheMoment(t *testing.T) {
	p := newPlay(t)
	p.switchTo(1, "r1", map[string]string{"gift": "v1", "chat": "v1"})
	p.admitted("v1", 0, 1)
	p.now = p.now.Add(time.Second)
	p.Ask("chat", "v1", "b", 0, false, p.now)
	p.Ask("chat", "v1", "a", 0, false, p.now)
	want := []Holder{
		{Service: "chat", Version: "v1", Instance: "a", Epoch: 1, Until: p.now.Add(span)},
		{Service: "chat", Version: "v1", Instance: "b", Epoch: 1, Until: p.now.Add(span)},
		{Service: "gift", Version: "v1", Instance: "v1-1", Epoch: 1, Until: start.Add(span)},
	}
	if diff := cmp.Diff(want, p.Holders(p.now)); diff != "" {
		t.Errorf("holders (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[:2], p.Holders(start.Add(span))); diff != "" {
		t.Errorf("holders when one lease is over (-want +got):\n%s", diff)
	}
}

func TestServicesJoinAndLeaveWithinAnEpoch(t *testing.T) {
	p := newPlay(t)
	p.switchTo(3, "r1", map[string]string{"gift": "v1"})
	p.admitted("v1", 0, 3)
	p.switchTo(3, "r1", map[string]string{"gift": "v1", "chat": "v1"})
	p.admitted("v1", 3, 3)
	if a := p.Ask("chat", "v1", "chat-1", 0, false, p.now); !a.OnStage || a.Epoch != 3 {
		t.Errorf("a service that joined: %+v; want it on stage in epoch 3", a)
	}
	p.switchTo(3, "r1", map[string]string{"chat": "v1"})
	if a := p.ask("v1", 3); a.OnStage {
		t.Errorf("a service that left is still on stage: %+v", a)
	}
	if err := p.Switch(3, "r1", map[string]string{"chat": "v2"}); err == nil {
		t.Error("a version was switched without a higher epoch")
	}
}
