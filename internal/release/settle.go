package release

import (
	"maps"
	"slices"
	"time"
)

// Settle ends a Live release's rollback window before its time. Asked again
// for a Settled one whose settle hooks failed, it runs them again.
func (s State) Settle(name string, by Actor, now time.Time) (State, error) {
	r, err := s.find(name)
	if err != nil {
		return s, err
	}
	switch r.Phase {
	case Settling:
		return s, nil
	case Settled:
		if r.Progress[OnSettle].Failed == "" {
			return s, nil
		}
		return s.Retry(name, OnSettle, by, now)
	case Live:
	default:
		return s, refuse("phase", "promote it first", "%s is %s, and only a Live release settles", name, r.Phase)
	}
	d := s.edit(by, now)
	d.beginSettling(r, "")
	return d.done(), nil
}

// beginSettling is the point of no return.
func (d *draft) beginSettling(r Release, reason string) {
	d.Pin = nil
	r.WindowEnds = time.Time{}
	d.enter(r, Settling, reason)
	d.event("ReleaseSettling", r.Name, "it can no longer be rolled back; what it replaced drains")
}

// settle runs the settle hooks when what r replaced is gone, and ends it.
func (d *draft) settle(r Release, o Observation) {
	if _, begun := r.Progress[OnSettle]; !begun {
		if last := d.remains(r, o); last != "" {
			d.wait(r, "waiting for "+last)
			return
		}
		r = r.due(OnSettle)
	}
	reason := r.settleTrouble()
	if reason == "" && !d.hooksPassed(r, OnSettle) {
		d.wait(r, "waiting for its settle hooks")
		return
	}
	if v, there := d.Views[r.View]; there && !v.Ending() { // else a later release has settled, or is about to
		d.Settled = r.View
	}
	d.enter(r, Settled, reason)
	d.event("ReleaseSettled", r.Name, "what it replaced is gone")
}

// settled keeps saying that a Settled release's hooks have failed, until they
// have passed.
func (d *draft) settled(r Release) {
	reason := r.settleTrouble()
	if reason == "" && !d.hooksPassed(r, OnSettle) {
		reason = "its settle hooks run again"
	}
	d.wait(r, reason)
}

// settleTrouble says which settle hook failed, and what to do, or "".
func (r Release) settleTrouble() string {
	failed := r.Progress[OnSettle].Failed
	if failed == "" {
		return ""
	}
	return "settle hook " + failed + "; mend it, then greenroom release settle " + r.Name
}

// WaitsToStop is the reason of a release that settles while a version that it
// replaced has not stopped.
func WaitsToStop(id string) string { return "waiting for " + toStop(id) }

func toStop(id string) string { return id + " to stop" }

// remains says what is left of what r replaced, or "". A former version that
// another release brings is not waited for, but a request on its way to it in
// a view that is ending is.
func (d *draft) remains(r Release, o Observation) string {
	if _, there := d.Views[r.Former]; there {
		return "the last requests of " + d.Named(r.Former)
	}
	desired := d.Desired()
	for _, service := range slices.Sorted(maps.Keys(r.Replaces)) {
		id := r.Replaces[service]
		for _, stamp := range slices.Sorted(maps.Keys(d.Views)) {
			if v := d.Views[stamp]; v.Ending() && id != "" && v.Versions[service] == id {
				return "the last requests of " + stamp
			}
		}
		if status, runs := o.Versions[id]; runs && !status.Gone && !slices.Contains(desired, id) {
			return toStop(id)
		}
	}
	return ""
}
