package release

import "time"

// Lock keeps others than who holds the fleet from promoting.
type Lock struct {
	Note
	Until time.Time `json:"until"`
}

// LockFleet lets nobody but by promote until a time, which is later than now.
// Who holds the fleet already holds it until then instead.
func (s State) LockFleet(until time.Time, by Actor, now time.Time) (State, error) {
	if s.Lock != nil && s.Lock.Who != by.Who {
		c := s.checkLock(by.Who)
		return s, &Refused{Rule: c.Rule, Reason: c.Detail, Remedy: c.Remedy}
	}
	d := s.edit(by, now)
	d.Lock = &Lock{Note: Note{At: now, Actor: by}, Until: until}
	d.event("FleetLocked", "", "nobody but "+by.Who+" promotes until "+until.UTC().Format(time.RFC3339))
	return d.done(), nil
}

// UnlockFleet ends a lock. That of somebody else ends only with override and a
// reason.
func (s State) UnlockFleet(override bool, by Actor, now time.Time) (State, error) {
	if s.Lock == nil {
		return s, nil
	}
	if s.Lock.Who != by.Who {
		if !override {
			return s, refuse("lock", "ask "+s.Lock.Who+", or --override with a --reason", "the fleet is locked by %s, not by you", s.Lock.Who)
		}
		if by.Why == "" {
			return s, refuse("reason", "say why: --reason", "ending the lock of %s needs a reason", s.Lock.Who)
		}
	}
	d := s.edit(by, now)
	d.unlock("the lock of " + d.Lock.Who + " is over")
	return d.done(), nil
}

func (d *draft) unlock(message string) {
	d.Lock = nil
	d.event("FleetUnlocked", "", message)
}

// unlockInTime ends a lock whose time is over.
func (d *draft) unlockInTime() {
	if d.Lock != nil && !d.now.Before(d.Lock.Until) {
		d.unlock("the lock of " + d.Lock.Who + " is over: its time has passed")
	}
}

func (s State) checkLock(who string) Check {
	l := s.Lock
	c := Check{Rule: "lock", OK: l.Who == who, Detail: l.Who + " has locked the fleet until " + moment(l.Until, time.UTC)}
	if l.Why != "" {
		c.Detail += ": " + l.Why
	}
	if !c.OK {
		c.Remedy = "ask " + l.Who + ", or greenroom fleet unlock --override with a --reason"
	}
	return c
}
