package release

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Promotion asks that ordinary requests get a release's view.
type Promotion struct {
	Name           string
	Generation     uint64 // as the person was shown it; 0: any
	AllowUnstamped bool   // promote although calls lost the stamp in preview
}

// Check is one condition of a promotion.
type Check struct {
	Rule   string // as in Refused.Rule
	OK     bool
	Detail string
	Remedy string // when not OK
}

// Checks answers what speaks for and against promoting a release now.
func (s State) Checks(name string, o Observation) ([]Check, error) {
	r, err := s.find(name)
	if err != nil {
		return nil, err
	}
	return s.checks(r, o), nil
}

func (s State) checks(r Release, o Observation) []Check {
	return []Check{
		s.checkPhase(r), s.checkReady(r, o), s.checkVerify(r), s.checkBase(r), s.checkStamps(r),
	}
}

// Promote makes a release's view the one that ordinary requests get, in one
// change. A release that was Live before it begins to settle with it. A
// release that is already Live stays as it is.
func (s State) Promote(p Promotion, o Observation, by Actor, now time.Time) (State, error) {
	r, err := s.find(p.Name)
	if err != nil {
		return s, err
	}
	if r.Phase == Live {
		return s, nil
	}
	if p.Generation != 0 && p.Generation != r.Generation {
		return s, ErrStale
	}
	if err := s.against(r, o, p.AllowUnstamped); err != nil {
		return s, err
	}
	d := s.edit(by, now)
	d.promote(r)
	return d.done(), nil
}

// against returns the first check that speaks against promoting r.
func (s State) against(r Release, o Observation, allowUnstamped bool) error {
	for _, c := range s.checks(r, o) {
		if !c.OK && (c.Rule != "stamps" || !allowUnstamped) {
			return &Refused{Rule: c.Rule, Reason: c.Detail, Remedy: c.Remedy}
		}
	}
	return nil
}

func (d *draft) promote(r Release) {
	if former, ok := d.live(); ok {
		d.beginSettling(former, r.Name+" went live over it")
	}
	from := d.nameOf(d.Default)
	r.Former = d.Default
	r.WindowEnds = d.now.Add(r.RollbackWindow)
	r.KeepUntil = time.Time{}
	r.Auto = false
	d.Live[r.Name] = r.UID
	d.switchTo(r.View)
	d.Pin = nil
	if pin := min(d.Settings.Pinning, r.RollbackWindow); pin > 0 {
		d.Pin = &Pin{Stamp: r.Former, Until: d.now.Add(pin)}
	}
	d.enter(r, Live, "")
	d.event("ReleasePromoted", r.Name, "ordinary requests get "+r.Name+"; before it "+from)
}

// switchTo changes what ordinary requests get.
func (d *draft) switchTo(stamp string) {
	d.Default = stamp
	d.Epoch++
	d.changes++
}

// Rollback puts the view back that served before a Live release, or ends its
// canary. It has no precondition. A release that is Previewing already stays
// as it is.
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
	back := d.nameOf(r.Former)
	if r.Phase == Live {
		d.switchTo(r.Former)
		d.Pin = nil
	}
	r.Former = ""
	r.WindowEnds = time.Time{}
	r.KeepUntil = d.now.Add(r.Keep)
	r.RolledBack = &Note{At: d.now, Actor: d.by}
	r = r.due(OnRollback)
	r = d.enter(r, Previewing, "rolled back by "+d.by.Who)
	d.event("ReleaseRolledBack", r.Name, "ordinary requests get "+back+" again")
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
	r = r.due(OnAbort)
	d.enter(r, Aborted, reason)
	message := "its preview ends and its versions stop"
	if reason != "" {
		message = reason + ": " + message
	}
	d.event("ReleaseAborted", r.Name, message)
}

// Settle begins the end of a Live release's rollback window, before its time.
func (s State) Settle(name string, by Actor, now time.Time) (State, error) {
	r, err := s.find(name)
	if err != nil {
		return s, err
	}
	switch r.Phase {
	case Settling, Settled:
		return s, nil
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

// StartCanary gives a share of users a release's view. Who they are is the
// edge's choice; the checks are those of a promotion.
func (s State) StartCanary(name string, o Observation, by Actor, now time.Time) (State, error) {
	r, err := s.find(name)
	if err != nil {
		return s, err
	}
	if r.Phase == Canary {
		return s, nil
	}
	if err := s.against(r, o, false); err != nil {
		return s, err
	}
	d := s.edit(by, now)
	r.Former = d.Default
	r.KeepUntil = time.Time{}
	d.enter(r, Canary, "")
	d.event("CanaryStarted", name, "a share of users gets "+name)
	return d.done(), nil
}

func (s State) checkPhase(r Release) Check {
	c := Check{Rule: "phase", OK: true, Detail: r.Name + " is " + string(r.Phase)}
	other, canary := s.inPhase(Canary)
	switch {
	case r.Phase == Preparing:
		c.OK, c.Remedy = false, "wait until it is Previewing: greenroom status --watch"
	case r.Phase != Previewing && r.Phase != Canary:
		c.OK, c.Remedy = false, "only a release in Previewing or Canary is promoted"
	case canary && other.Name != r.Name:
		c.Rule, c.OK = "canary", false
		c.Detail = other.Name + " is in Canary"
		c.Remedy = "promote or roll back " + other.Name + " first"
	case s.Views[r.View].Over != s.Default && r.Phase == Previewing:
		c.OK, c.Detail = false, "the preview of "+r.Name+" is being rebuilt upon "+s.nameOf(s.Default)
		c.Remedy = "try again in a moment"
	}
	return c
}

func (s State) checkReady(r Release, o Observation) Check {
	c := Check{Rule: "ready", OK: true, Detail: "every version is ready at the capacity of the one that it replaces"}
	var short []string
	for _, service := range slices.Sorted(maps.Keys(r.Versions)) {
		id := r.Versions[service]
		v, was := s.Versions[id], s.Versions[s.DefaultVersion(service)]
		need := v.capacity()
		if v.Replicas > 0 {
			need = max(need, was.Replicas)
		}
		if ready := o.Versions[id].Ready; ready < need {
			short = append(short, id+" has "+countOf(ready, "instance")+" ready of "+countOf(need, "instance"))
		}
	}
	if len(short) > 0 {
		c.OK, c.Detail = false, strings.Join(short, ", ")
		c.Remedy = "wait, look at greenroom logs, or open the release again with as many replicas as it replaces"
	}
	return c
}

func (s State) checkVerify(r Release) Check {
	p, due := r.Progress[Verify]
	switch {
	case due && p.Failed != "":
		return Check{Rule: "verify", Detail: "verify failed: " + p.Failed, Remedy: "mend it, then greenroom release verify " + r.Name}
	case !s.hooksPassed(r, Verify):
		return Check{Rule: "verify", Detail: "its verify hooks have not passed yet", Remedy: "wait for them: greenroom release show " + r.Name}
	}
	return Check{Rule: "verify", OK: true, Detail: "verify hooks: " + countOf(len(r.Hooks[Verify]), "hook") + " passed"}
}

func (s State) checkBase(r Release) Check {
	var moved []string
	for _, service := range slices.Sorted(maps.Keys(r.Versions)) {
		if now := s.DefaultVersion(service); now != r.Replaces[service] && now != r.Versions[service] {
			moved = append(moved, service+" is now "+now+", not "+r.Replaces[service])
		}
	}
	if len(moved) > 0 {
		return Check{Rule: "base", Detail: "what " + r.Name + " replaces has changed since it was opened: " + strings.Join(moved, ", "),
			Remedy: "look at greenroom release diff " + r.Name + ", then greenroom release rebase " + r.Name}
	}
	return Check{Rule: "base", OK: true, Detail: "ordinary requests still get what it was opened against"}
}

func (s State) checkStamps(r Release) Check {
	if len(r.Dropped) == 0 {
		return Check{Rule: "stamps", OK: true, Detail: "no call lost the stamp in preview"}
	}
	var calls []string
	for _, d := range r.Dropped {
		calls = append(calls, d.Caller+" → "+d.Callee)
	}
	return Check{Rule: "stamps", Detail: "calls lost the stamp in preview: " + strings.Join(calls, ", "),
		Remedy: "pass the stamp on there (greenroom doctor says how), or --allow-unstamped"}
}
