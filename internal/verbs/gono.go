package verbs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/release"
)

func promotionOf(name string, in client.Promote) release.Promotion {
	return release.Promotion{
		Name: name, Generation: in.Generation, AllowUnstamped: in.AllowUnstamped,
		OverrideChecklist: in.OverrideChecklist, OverrideFreezes: in.OverrideFreezes,
	}
}

// plan says that a release is promoted at a time.
func (v *Verbs[R]) plan(ctx context.Context, who string, p release.Promotion, in client.Promote) (client.Changed, error) {
	out, err := v.Make(ctx, who, p.Name, in.Asked, On[R](func(s release.State, _ release.Observation, by release.Actor, now time.Time) (release.State, error) {
		return s.PlanPromotion(p, in.At, by, now)
	}))
	if err != nil {
		return out, err
	}
	out.Message = fmt.Sprintf("%s goes live at %s, if nothing speaks against it then", p.Name, in.At.Format("Mon 2 Jan 15:04 MST"))
	if in.DryRun {
		out.Message = fmt.Sprintf("%s would go live at %s, if nothing speaks against it then", p.Name, in.At.Format("Mon 2 Jan 15:04 MST"))
	}
	for _, c := range out.Release.Checks {
		if !c.OK && c.Rule != "freeze" {
			out.Notes = append(out.Notes, "as it is now it would be refused: "+c.Detail)
		}
	}
	return out, nil
}

// CancelPromotion takes back that a release is promoted at some time.
func (v *Verbs[R]) CancelPromotion(ctx context.Context, who, name string, in client.Asked) (client.Changed, error) {
	out, err := v.Make(ctx, who, name, in, On[R](func(s release.State, _ release.Observation, by release.Actor, now time.Time) (release.State, error) {
		return s.CancelPlan(name, by, now)
	}))
	if err != nil {
		return out, err
	}
	switch {
	case in.DryRun:
		out.Message = name + " would wait until somebody promotes it"
	case !out.Changed:
		out.Message = "There is no promotion of " + name + " to cancel"
	default:
		out.Message = name + " waits until somebody promotes it"
	}
	return out, nil
}

// SignOff says go or no-go of an item of a release's checklist.
func (v *Verbs[R]) SignOff(ctx context.Context, who, name string, in client.Say) (client.Changed, error) {
	out, err := v.Make(ctx, who, name, in.Asked, On[R](func(s release.State, _ release.Observation, by release.Actor, now time.Time) (release.State, error) {
		return s.SignOff(release.Saying{Name: name, Generation: in.Generation}, in.Item, release.Verdict(in.Verdict), by, now)
	}))
	if no := (*release.Refused)(nil); errors.As(err, &no) && no.Rule == "checklist" { // no rule forbids it: there is no such item
		return out, &httpapi.InputError{Problem: no.Reason, Remedy: no.Remedy}
	}
	if err != nil {
		return out, err
	}
	out.Message = fmt.Sprintf("%s of %s: %s says %s", in.Item, name, who, in.Verdict)
	switch {
	case in.Verdict == string(release.Withdraw):
		out.Message = fmt.Sprintf("%s of %s: %s takes back what was said", in.Item, name, who)
	case in.DryRun:
		out.Message = fmt.Sprintf("%s of %s: %s would say %s", in.Item, name, who, in.Verdict)
	case !out.Changed:
		out.Message = fmt.Sprintf("%s of %s: %s has said %s already", in.Item, name, who, in.Verdict)
	}
	return out, nil
}

// Approve says that a release may go live.
func (v *Verbs[R]) Approve(ctx context.Context, who, name string, in client.Approve) (client.Changed, error) {
	out, err := v.Make(ctx, who, name, in.Asked, On[R](func(s release.State, _ release.Observation, by release.Actor, now time.Time) (release.State, error) {
		return s.Approve(release.Saying{Name: name, Generation: in.Generation}, in.Withdraw, by, now)
	}))
	if err != nil {
		return out, err
	}
	switch {
	case in.Withdraw && !out.Changed && !in.DryRun:
		out.Message = fmt.Sprintf("%s has not approved %s", who, name)
	case in.Withdraw:
		out.Message = fmt.Sprintf("%s does not approve %s any more", who, name)
	case in.DryRun:
		out.Message = fmt.Sprintf("%s would approve %s", who, name)
	case !out.Changed:
		out.Message = fmt.Sprintf("%s has approved %s already; another approval has to be somebody else's", who, name)
	default:
		out.Message = fmt.Sprintf("%s approves %s", who, name)
	}
	return out, nil
}

// longestLock is how long a fleet may be locked at once.
const longestLock = 7 * 24 * time.Hour

// LockFleet keeps others than who from promoting.
func (v *Verbs[R]) LockFleet(ctx context.Context, who string, in client.LockFleet) (client.Changed, error) {
	long := time.Hour
	if in.For != "" {
		var err error
		if long, err = v1alpha1.Duration(in.For).Parse(); err != nil || long < time.Minute || long > longestLock {
			return client.Changed{}, &release.Refused{Rule: "time", Reason: fmt.Sprintf("a fleet cannot be locked for %q", in.For), Remedy: "name a time from 1m to 7d, as 2h"}
		}
	}
	until := v.Now().Add(long)
	out, err := v.Make(ctx, who, "", in.Asked, On[R](func(s release.State, _ release.Observation, by release.Actor, now time.Time) (release.State, error) {
		return s.LockFleet(until, by, now)
	}))
	out.Message = fmt.Sprintf("Nobody but %s promotes for %s", who, v1alpha1.DurationOf(long))
	return out, err
}

// UnlockFleet ends a lock.
func (v *Verbs[R]) UnlockFleet(ctx context.Context, who string, in client.UnlockFleet) (client.Changed, error) {
	out, err := v.Make(ctx, who, "", in.Asked, On[R](func(s release.State, _ release.Observation, by release.Actor, now time.Time) (release.State, error) {
		return s.UnlockFleet(in.Override, by, now)
	}))
	out.Message = "The fleet is not locked any more"
	if err == nil && !out.Changed && !in.DryRun {
		out.Message = "The fleet is not locked"
	}
	return out, err
}

// Rules shows what of a fleet's rules everybody should know.
func Rules(s release.State, now time.Time, into *client.Status) {
	into.Freezes = []client.Freeze{}
	for _, f := range s.Freezes(now) {
		into.Freezes = append(into.Freezes, client.Freeze{Name: f.Name, Why: f.Why, From: f.From, To: f.To, Holds: !now.Before(f.From)})
	}
	if l := s.Lock; l != nil {
		into.Lock = &client.Lock{Who: l.Who, Why: l.Why, Since: l.At, Until: l.Until}
	}
}

func checklist(s release.State, r release.Release) []client.ChecklistItem {
	out := []client.ChecklistItem{}
	for _, item := range s.Checklist(r) {
		shown := client.ChecklistItem{
			Name: item.Name, Text: item.Text, State: "open", SignOffs: []client.SignOff{},
			Fleet: slices.ContainsFunc(s.Settings.Rules.Checklist, func(i release.Item) bool { return i.Name == item.Name }),
		}
		if v := r.Verdict(item.Name); v != "" {
			shown.State = string(v)
		}
		for _, one := range r.SignOffs {
			if one.Item != item.Name {
				continue
			}
			verdict := release.NoGo
			if one.Go {
				verdict = release.Go
			}
			shown.SignOffs = append(shown.SignOffs, client.SignOff{
				Who: one.Who, At: one.At, Verdict: string(verdict), Note: one.Why, Generation: one.Generation,
				Void: !r.Counts(one.Word),
			})
		}
		out = append(out, shown)
	}
	return out
}

func approvals(r release.Release) []client.Approval {
	out := []client.Approval{}
	for _, a := range r.Approvals {
		out = append(out, client.Approval{Who: a.Who, At: a.At, Note: a.Why, Generation: a.Generation, Void: !r.Counts(a.Word)})
	}
	return out
}

func planned(r release.Release) *client.Planned {
	p := r.Plan
	if p == nil {
		return nil
	}
	return &client.Planned{
		For: p.For, Until: p.Until(), Who: p.Who, Why: p.Why, At: p.At, Generation: p.Promotion.Generation,
		AllowUnstamped: p.Promotion.AllowUnstamped, OverrideChecklist: p.Promotion.OverrideChecklist,
		OverrideFreezes: p.Promotion.OverrideFreezes, Trouble: p.Trouble,
	}
}
