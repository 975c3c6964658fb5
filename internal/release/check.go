package release

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Check is one condition of a promotion.
type Check struct {
	Rule   string // as in Refused.Rule
	OK     bool
	Detail string
	Remedy string // when not OK
}

// Checks answers what speaks for and against promoting a release now, whoever
// does it.
func (s State) Checks(name string, o Observation, now time.Time) ([]Check, error) {
	r, err := s.find(name)
	if err != nil {
		return nil, err
	}
	return s.checks(r, o, "", now), nil
}

func (s State) checks(r Release, o Observation, promoter string, now time.Time) []Check {
	all := []Check{s.checkPhase(r), s.checkReady(r, o), s.checkVerify(r), s.checkBase(r)}
	if c, seen := s.checkStamps(r, o); seen {
		all = append(all, c)
	}
	return append(all, s.ruleChecks(r, promoter, now)...)
}

// against returns the first check that speaks against promoting r.
func (s State) against(r Release, o Observation, p Promotion, by Actor, now time.Time) error {
	if err := s.mayOverride(p, by); err != nil {
		return err
	}
	for _, c := range s.checks(r, o, by.Who, now) {
		if !c.OK && !p.overrides(s, c, now) {
			return &Refused{Rule: c.Rule, Reason: c.Detail, Remedy: c.Remedy}
		}
	}
	return nil
}

func (s State) checkPhase(r Release) Check {
	c := Check{Rule: "phase", OK: true, Detail: r.Name + " is " + string(r.Phase)}
	other, canary := s.inPhase(Canary)
	switch {
	case r.Phase == Preparing:
		c.OK, c.Remedy = false, "wait until it is Previewing: greenroom status --watch"
	case r.Phase == Failed:
		c.OK, c.Remedy = false, "open it again with what went wrong mended"
	case r.Phase != Previewing && r.Phase != Canary:
		c.OK, c.Remedy = false, "only a release that holders of a pass see is promoted"
	case canary && other.Name != r.Name:
		c.Rule, c.OK = "canary", false
		c.Detail = other.Name + " is in Canary"
		c.Remedy = "promote or roll back " + other.Name + " first"
	case s.Views[r.View].Over != s.Default && r.Phase == Previewing:
		c.OK, c.Detail = false, "the preview of "+r.Name+" is being rebuilt upon "+s.Named(s.Default)
		c.Remedy = "try again in a moment"
	}
	return c
}

// checkReady asks for all instances of a release's own versions, and for no
// fewer than those of the versions that they replace.
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
		if ready := o.ready(id); ready < need {
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
	if len(r.Hooks[Verify]) == 0 {
		return Check{Rule: "verify", OK: true, Detail: "it has no verify hooks"}
	}
	return Check{Rule: "verify", OK: true, Detail: "verify hooks: " + countOf(len(r.Hooks[Verify]), "hook") + " passed"}
}

func (s State) checkBase(r Release) Check {
	var moved []string
	for _, service := range slices.Sorted(maps.Keys(r.Versions)) {
		if now := s.DefaultVersion(service); now != r.Replaces[service] {
			moved = append(moved, service+" is now "+orNothing(now)+", not "+orNothing(r.Replaces[service]))
		}
	}
	if len(moved) > 0 {
		return Check{Rule: "base", Detail: "what " + r.Name + " replaces has changed since it was opened: " + strings.Join(moved, ", "),
			Remedy: "look at greenroom release diff " + r.Name + ", then greenroom release rebase " + r.Name}
	}
	return Check{Rule: "base", OK: true, Detail: "ordinary requests still get what it was opened against"}
}

func orNothing(version string) string {
	if version == "" {
		return "nothing"
	}
	return version
}

// checkStamps is false where nobody sees which calls lose the stamp: what was not
// looked at speaks for nothing.
func (s State) checkStamps(r Release, o Observation) (c Check, seen bool) {
	dropped := s.dropped(r, o)
	if len(dropped) == 0 {
		return Check{Rule: "stamps", OK: true, Detail: "no call lost the stamp in preview"}, o.Drops != nil
	}
	var calls []string
	for _, d := range dropped {
		calls = append(calls, d.Caller+" → "+d.Callee)
	}
	return Check{Rule: "stamps", Detail: "calls lost the stamp in preview: " + strings.Join(calls, ", "),
		Remedy: "pass the stamp on there (greenroom doctor says how), or --allow-unstamped"}, true
}
