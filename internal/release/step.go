package release

import (
	"maps"
	"slices"
	"time"
)

// Step takes in what was observed and what the time brings, and says what is
// to be done. Without news the State it returns has the same Revision, and the
// Actions are those that are still due.
func Step(s State, o Observation, now time.Time) (State, []Action) {
	d := s.edit(Greenroom(), now)
	for seen := -1; seen != d.changes; {
		seen = d.changes
		for _, name := range slices.Sorted(maps.Keys(d.Releases)) {
			d.advance(d.Releases[name], o)
			d.fulfil(d.Releases[name], o)
		}
		d.rebuildPreviews()
		d.sweepViews(o)
		d.unpin()
		d.endHold()
		d.unlockInTime()
	}
	d.trim(o)
	return d.done(), d.actions(o)
}

func (d *draft) advance(r Release, o Observation) {
	for _, m := range Moments() {
		r = d.hear(r, m, o)
	}
	switch r.Phase {
	case Preparing:
		d.prepare(r, o)
	case Previewing:
		r = d.latchDrops(r, o)
		d.preview(r, o)
	case Canary:
		d.latchDrops(r, o)
	case Live:
		if !d.now.Before(r.WindowEnds) {
			d.beginSettling(r, "its rollback window is over")
		}
	case Settling:
		d.settle(r, o)
	case Settled:
		d.settled(r)
	}
}

func (d *draft) actions(o Observation) []Action {
	var out []Action
	for _, stamp := range slices.Sorted(maps.Keys(o.Stamps)) {
		if _, there := d.Views[stamp]; !there && o.Stamps[stamp].InFlight > 0 {
			out = append(out, EndView{Stamp: stamp})
		}
	}
	var run, end []string
	for id, v := range d.Versions {
		status, known := o.Versions[id]
		if (!known || status.Gone || !status.Stopping && status.Replicas != v.Replicas) && d.desires(v) {
			run = append(run, id)
		}
	}
	for id, status := range o.Versions {
		v, spoken := d.Versions[id]
		if ends := !status.Gone && !status.Stopping || status.Gone && !spoken; ends && !(spoken && d.desires(v)) {
			end = append(end, id)
		}
	}
	slices.Sort(run)
	slices.Sort(end)
	for _, id := range run {
		out = append(out, Run{Version: id})
	}
	for _, id := range end {
		if o.Versions[id].Gone {
			out = append(out, Forget{Version: id})
		} else {
			out = append(out, Stop{Version: id, Drain: d.drainOf(d.Versions[id])})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.Releases)) {
		for _, m := range Moments() {
			hook, due := d.Releases[name].nextHook(m)
			if _, known := o.Hooks[hook.ID]; due && !known {
				out = append(out, hook)
			}
		}
	}
	return out
}

func (s State) drainOf(v Version) time.Duration {
	if service, known := s.Services[v.Service]; known {
		return service.Drain
	}
	return v.Drain
}
