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
		}
		d.rebuildPreviews()
		d.sweepViews(o)
		d.unpin()
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
	desired := d.Desired()
	for _, id := range desired {
		status, known := o.Versions[id]
		if !known || status.Gone || !status.Stopping && status.Replicas != d.Versions[id].Replicas {
			out = append(out, Run{Version: id})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(o.Versions)) {
		status := o.Versions[id]
		_, wanted := slices.BinarySearch(desired, id)
		v, spoken := d.Versions[id]
		switch {
		case wanted:
		case !status.Gone && !status.Stopping:
			out = append(out, Stop{Version: id, Drain: d.drainOf(v)})
		case status.Gone && !spoken:
			out = append(out, Forget{Version: id})
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
