package release

import "time"

// Rollback puts the view back that served before a Live release, or ends its
// canary. It has no precondition. A release that is Previewing already stays
// as it is. With a Live release a canary over it ends as well: its users would
// go on getting what was rolled back.
func (s State) Rollback(name string, by Actor, now time.Time) (State, error) {
	r, err := s.find(name)
	if err != nil {
		return s, err
	}
	switch r.Phase {
	case Live, Canary:
		d := s.edit(by, now)
		d.rollback(r)
		return d.done(), nil
	case Previewing:
		return s, nil
	case Settling, Settled:
		return s, refuse("phase", "greenroom release revert "+name+" opens a release of the versions that it replaced",
			"%s is %s, past the point of no return", name, r.Phase)
	}
	return s, refuse("phase", "", "%s is %s: there is nothing to roll back", name, r.Phase)
}

func (d *draft) rollback(r Release) Release {
	back := d.Named(r.Former)
	message := "its canary is over, all ordinary requests get " + back
	if r.Phase == Live {
		if over, ok := d.inPhase(Canary); ok {
			d.rollback(over)
		}
		d.switchTo(r.Former)
		d.Pin = nil
		message = "ordinary requests get " + back + " again"
	}
	r.Former = ""
	r.WindowEnds = time.Time{}
	r.KeepUntil = d.now.Add(r.Keep)
	was := r
	r.RolledBack = &Note{At: d.now, Actor: d.by}
	r = d.unplan(r.voided(), "it was rolled back")
	r = r.due(OnRollback)
	r = d.enter(r, Previewing, "rolled back by "+d.by.Who)
	d.event("ReleaseRolledBack", r.Name, message)
	d.tellVoid(was, r)
	return r
}

// Abort ends a release; from Live and Canary it rolls back first.
func (s State) Abort(name string, by Actor, now time.Time) (State, error) {
	r, err := s.find(name)
	if err != nil {
		return s, err
	}
	switch r.Phase {
	case Aborted:
		return s, nil
	case Settling, Settled:
		return s, refuse("phase", "greenroom release revert "+name+" opens a release of the versions that it replaced",
			"%s is %s, past the point of no return", name, r.Phase)
	}
	d := s.edit(by, now)
	d.abort(r, "")
	return d.done(), nil
}

func (d *draft) abort(r Release, reason string) {
	if r.Phase == Live || r.Phase == Canary {
		r = d.rollback(r)
	}
	r.KeepUntil = time.Time{}
	r = d.unplan(r, "it is aborted")
	r = r.due(OnAbort)
	d.enter(r, Aborted, reason)
	message := "its preview ends and its versions stop"
	if reason != "" {
		message = reason + ": " + message
	}
	d.event("ReleaseAborted", r.Name, message)
}
