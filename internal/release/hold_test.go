package release

import (
	"testing"
	"time"
)

// A hold is begun, changed and ended by people, and ends by itself; each is an
// event with who and why.
func TestHold(t *testing.T) {
	now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	s := New(map[string]Service{"web": {}}, []Version{{ID: "web@1", Service: "web", Name: "1"}}, Settings{}, Actor{Who: "ann"}, now)
	s.Pending = nil
	last := func(want Event) {
		t.Helper()
		if len(s.Pending) == 0 {
			t.Fatalf("no event, want %+v", want)
		}
		got := s.Pending[len(s.Pending)-1]
		if got.Type != want.Type || got.Who != want.Who || got.Why != want.Why || got.Message != want.Message {
			t.Errorf("event %+v, want %+v", got, want)
		}
	}
	s = s.BeginHold(Holding{Mode: HoldPage, Routes: []HoldRoute{{Path: "/shop"}}}, Actor{"ann", "move"}, now)
	last(Event{Type: "HoldBegan", Who: "ann", Why: "move", Message: "requests for /shop are shown a page, until somebody ends it"})
	if again := s.BeginHold(Holding{Mode: HoldPage, Routes: []HoldRoute{{Path: "/shop"}}}, Actor{Who: "bob"}, now); again.Revision != s.Revision {
		t.Error("the same hold again is a change")
	}
	s = s.BeginHold(Holding{Mode: HoldWait, For: 20 * time.Second}, Actor{Who: "bob"}, now.Add(time.Minute))
	last(Event{Type: "HoldChanged", Who: "bob", Message: "requests wait at the edge, until 2026-11-25T09:01:20Z; it was ann's"})
	if s.Hold.Since != now.Add(time.Minute) || s.Hold.Who != "bob" {
		t.Errorf("%+v", s.Hold)
	}
	s = s.BeginHold(Holding{Mode: HoldWait, For: 20 * time.Second}, Actor{Who: "bob"}, now.Add(70*time.Second))
	if s.Hold.Since != now.Add(time.Minute) || s.Hold.Until != now.Add(90*time.Second) {
		t.Errorf("begun again: %+v", s.Hold)
	}
	if early, _ := Step(s, Observation{}, now.Add(89*time.Second)); early.Hold == nil {
		t.Error("it ended before its time")
	}
	ended, _ := Step(s, Observation{}, now.Add(90*time.Second))
	if ended.Hold != nil || ended.Revision <= s.Revision {
		t.Errorf("it has not ended: %+v", ended.Hold)
	}
	before := s
	s = ended
	last(Event{Type: "HoldEnded", Who: "greenroom", Message: "its time is over; requests go on"})
	s = before.EndHold(Actor{"ann", "done"}, now.Add(80*time.Second))
	last(Event{Type: "HoldEnded", Who: "ann", Why: "done", Message: "requests go on"})
	if off := s.EndHold(Actor{Who: "ann"}, now); off.Revision != s.Revision {
		t.Error("ending no hold is a change")
	}
}
