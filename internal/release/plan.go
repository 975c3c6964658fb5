package release

import "time"

// Grace is how long after its hour a planned promotion is still made: when
// something spoke against it at first, or nobody was there to make it.
const Grace = 5 * time.Minute

// Horizon is how far ahead a promotion may be planned.
const Horizon = 30 * 24 * time.Hour

// Plan is a promotion that is made at its hour, if nothing speaks against it
// then.
type Plan struct {
	Note                // when it was planned, by whom and why
	For       time.Time `json:"for"`
	Promotion Promotion `json:"promotion"`         // with the generation that is meant
	Trouble   string    `json:"trouble,omitempty"` // what speaks against it, since its hour has come
}

// Until is when the plan is given up.
func (p Plan) Until() time.Time { return p.For.Add(Grace) }

// PlanPromotion says that a release is to be promoted at a time. What speaks
// against it now may be mended until then; that it would fall into a freeze is
// known, and refused. A plan that there is already is replaced.
func (s State) PlanPromotion(p Promotion, at time.Time, by Actor, now time.Time) (State, error) {
	r, err := s.find(p.Name)
	if err != nil {
		return s, err
	}
	switch {
	case p.Generation != 0 && p.Generation != r.Generation:
		return s, ErrStale
	case r.Phase != Preparing && r.Phase != Previewing && r.Phase != Canary:
		return s, refuse("phase", "only a release that can still go live is planned", "%s is %s", r.Name, r.Phase)
	case !now.Before(at):
		return s, refuse("time", "name a later one, or promote it now", "%s is over", moment(at, at.Location()))
	case at.After(now.Add(Horizon)):
		return s, refuse("time", "plan it nearer to its time", "%s is more than 30 days away", moment(at, at.Location()))
	}
	if err := s.mayOverride(p, by); err != nil {
		return s, err
	}
	if c := s.checkFreeze(at); !c.OK && !p.overrides(s, c, at) {
		return s, &Refused{Rule: c.Rule, Reason: c.Detail, Remedy: c.Remedy}
	}
	p.Generation = r.Generation
	d := s.edit(by, now)
	r.Plan = &Plan{Note: Note{At: now, Actor: by}, For: at, Promotion: p}
	d.put(r)
	d.event("PromotionPlanned", r.Name, "it is to go live at "+moment(at, at.Location()))
	return d.done(), nil
}

// CancelPlan takes a release's plan back. Where there is none nothing changes.
func (s State) CancelPlan(name string, by Actor, now time.Time) (State, error) {
	r, err := s.find(name)
	if err != nil || r.Plan == nil {
		return s, err
	}
	d := s.edit(by, now)
	d.put(d.unplan(r, by.Who+" cancelled it"))
	return d.done(), nil
}

// unplan is r without its plan, if it has one.
func (d *draft) unplan(r Release, why string) Release {
	if r.Plan == nil {
		return r
	}
	d.event("PromotionCancelled", r.Name, "it does not go live at "+moment(r.Plan.For, r.Plan.For.Location())+": "+why)
	r.Plan = nil
	return r
}

// fulfil promotes a release whose hour has come.
func (d *draft) fulfil(r Release, o Observation) {
	if r.Plan == nil || d.now.Before(r.Plan.For) || r.Phase == Previewing && d.Views[r.View].Over != d.Default {
		return
	}
	plan := *r.Plan
	if !d.now.Before(plan.Until()) {
		why := plan.Trouble
		if why == "" {
			why = "nobody was there to promote it"
		}
		d.event("PromotionMissed", r.Name, "it did not go live at "+moment(plan.For, plan.For.Location())+", nor within "+Grace.String()+": "+why)
		r.Plan = nil
		d.put(r)
		return
	}
	err := d.against(r, o, plan.Promotion, plan.Actor, d.now)
	if err == nil {
		err = o.unfit(r.View)
	}
	if err != nil {
		if plan.Trouble == "" {
			d.event("PromotionWaits", r.Name, "its hour has come, and until "+moment(plan.Until(), plan.For.Location())+" it waits: "+err.Error())
		}
		if plan.Trouble != err.Error() {
			plan.Trouble = err.Error()
			r.Plan = &plan
			d.put(r)
		}
		return
	}
	d.by = plan.Actor
	d.promote(r, plan.Promotion)
	d.by = Greenroom()
}
