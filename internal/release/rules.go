package release

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Rules are what a fleet asks of a promotion beyond what the state machine
// always asks. The zero Rules ask nothing.
type Rules struct {
	Checklist []Item   `json:"checklist,omitempty"` // of every release
	Approvals int      `json:"approvals,omitempty"` // by others than who promotes
	Freezes   []Freeze `json:"freezes,omitempty"`
}

func (r Rules) equal(other Rules) bool {
	return r.Approvals == other.Approvals && slices.Equal(r.Checklist, other.Checklist) &&
		slices.EqualFunc(r.Freezes, other.Freezes, Freeze.equal)
}

func (s Settings) equal(other Settings) bool {
	return s.Quiet == other.Quiet && s.Pinning == other.Pinning && s.History == other.History && s.Rules.equal(other.Rules)
}

// ruleChecks are the checks of what the fleet and the release ask for, none
// where they ask nothing. Approvals of promoter do not count; "" counts all.
func (s State) ruleChecks(r Release, promoter string, now time.Time) []Check {
	var out []Check
	if len(s.Checklist(r)) > 0 {
		out = append(out, s.checkList(r))
	}
	if s.Settings.Rules.Approvals > 0 {
		out = append(out, s.checkApprovals(r, promoter))
	}
	if len(s.Settings.Rules.Freezes) > 0 {
		out = append(out, s.checkFreeze(now))
	}
	if s.Lock != nil {
		out = append(out, s.checkLock(promoter))
	}
	return out
}

// overrides reports whether p asks that a failed check be passed over.
func (p Promotion) overrides(s State, c Check, now time.Time) bool {
	switch c.Rule {
	case "stamps":
		return p.AllowUnstamped
	case "checklist":
		return p.OverrideChecklist
	case "freeze":
		return !slices.ContainsFunc(s.Frozen(now), func(f Frozen) bool { return !slices.Contains(p.OverrideFreezes, f.Name) })
	}
	return false
}

// mayOverride refuses overrides that say no reason, or name what there is not.
func (s State) mayOverride(p Promotion, by Actor) error {
	if !p.OverrideChecklist && len(p.OverrideFreezes) == 0 {
		return nil
	}
	if strings.TrimSpace(by.Why) == "" {
		return refuse("reason", "say why: --reason", "what is overridden needs a reason, for those who read of it later")
	}
	for _, name := range p.OverrideFreezes {
		if !slices.ContainsFunc(s.Settings.Rules.Freezes, func(f Freeze) bool { return f.Name == name }) {
			return refuse("freeze", "greenroom status shows those that hold", "the fleet has no freeze %q", name)
		}
	}
	return nil
}

// overridden says what of the rules a promotion passed over, for its event, or
// "".
func (s State) overridden(r Release, p Promotion, now time.Time) string {
	var out []string
	if c := s.checkList(r); !c.OK && p.OverrideChecklist {
		out = append(out, "although "+c.Detail)
	}
	for _, f := range s.Frozen(now) {
		if slices.Contains(p.OverrideFreezes, f.Name) {
			out = append(out, "in spite of the freeze "+f.Name)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "; " + strings.Join(out, ", ")
}

// moment writes a time for people, with its zone.
func moment(t time.Time, zone *time.Location) string {
	return t.In(zone).Format("Mon 2 Jan 15:04 MST")
}

func (s State) checkApprovals(r Release, promoter string) Check {
	need := s.Settings.Rules.Approvals
	var who []string
	for _, a := range r.Approvals {
		if r.Counts(a.Word) && a.Who != promoter {
			who = append(who, a.Who)
		}
	}
	c := Check{Rule: "approvals", OK: len(who) >= need, Detail: "approved by " + strings.Join(who, ", ")}
	if !c.OK {
		c.Detail = fmt.Sprintf("%s has %d of %s by others than who promotes it", r.Name, len(who), countOf(need, "approval"))
		c.Remedy = "somebody else looks at it, then greenroom release approve " + r.Name
	}
	return c
}
