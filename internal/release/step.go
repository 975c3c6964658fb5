package release

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Step takes in what was observed and what the time brings, and says what is
// to be done. Without news the State it returns has the same Revision, and the
// Actions are those that are still due.
func Step(s State, o Observation, now time.Time) (State, []Action) {
	d := s.edit(Greenroom(), now)
	before := maps.Clone(d.Views)
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
	return d.done(), d.actions(o, before)
}

func (d *draft) advance(r Release, o Observation) {
	for _, m := range []Moment{Prepare, Verify, OnSettle, OnRollback, OnAbort} {
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
	}
}

func (d *draft) prepare(r Release, o Observation) {
	if _, came := r.Progress[Prepare]; !came && len(r.Hooks[Prepare]) > 0 {
		r = r.due(Prepare)
		d.put(r)
	}
	if failed := r.Progress[Prepare].Failed; failed != "" {
		d.fail(r, "prepare hook "+failed)
		return
	}
	if !d.hooksPassed(r, Prepare) {
		d.wait(r, "waiting for its prepare hooks")
		return
	}
	var waiting []string
	for _, service := range slices.Sorted(maps.Keys(r.Versions)) {
		id := r.Versions[service]
		status := o.Versions[id]
		if status.Failed != "" {
			d.fail(r, id+" did not become ready: "+status.Failed)
			return
		}
		if need := d.Versions[id].capacity(); status.Ready < need {
			waiting = append(waiting, fmt.Sprintf("%s (%d of %d ready)", id, status.Ready, need))
		}
	}
	if len(waiting) > 0 {
		d.wait(r, "waiting for "+strings.Join(waiting, ", "))
		return
	}
	r = d.buildView(r)
	r = r.due(Verify)
	d.enter(r, Previewing, "")
	d.event("ReleasePreviewing", r.Name, "holders of a pass see it as "+r.View)
}

// wait notes what a release waits for. That is for people: it is kept with the
// State but is no event.
func (d *draft) wait(r Release, reason string) {
	if r.Reason != reason {
		r.Reason = reason
		d.put(r)
	}
}

func (d *draft) fail(r Release, reason string) {
	r.View = ""
	d.enter(r, Failed, reason)
	d.event("ReleaseFailed", r.Name, reason)
}

func (d *draft) preview(r Release, o Observation) {
	if !r.KeepUntil.IsZero() && !d.now.Before(r.KeepUntil) {
		d.abort(r, "kept since its rollback, long enough")
		return
	}
	if !r.Auto || d.Views[r.View].Over != d.Default {
		return
	}
	if err := d.against(r, o, false); err != nil {
		d.wait(r, err.Error())
		return
	}
	d.by = Actor{Who: r.OpenedBy, Why: "opened to go live at once"}
	d.promote(r)
	d.by = Greenroom()
}

func (d *draft) latchDrops(r Release, o Observation) Release {
	for stamp, drops := range o.Drops {
		if d.Views[stamp].Release != r.Name || stamp != r.View {
			continue
		}
		for _, drop := range drops {
			if slices.Contains(r.Dropped, drop) {
				continue
			}
			r.Dropped = append(slices.Clip(r.Dropped), drop)
			d.put(r)
			d.event("StampDropped", r.Name, drop.Caller+" calls "+drop.Callee+" without the stamp")
		}
	}
	return r
}

// settle waits for the former view and the versions that only it had to be
// gone.
func (d *draft) settle(r Release, o Observation) {
	if _, there := d.Views[r.Former]; there {
		d.wait(r, "waiting for the last requests of "+d.nameOf(r.Former))
		return
	}
	desired := d.Desired()
	for _, service := range slices.Sorted(maps.Keys(r.Replaces)) {
		id := r.Replaces[service]
		if id == "" || slices.Contains(desired, id) {
			continue
		}
		if status, runs := o.Versions[id]; runs && !status.Gone {
			d.wait(r, "waiting for "+id+" to stop")
			return
		}
	}
	if _, came := r.Progress[OnSettle]; !came && len(r.Hooks[OnSettle]) > 0 {
		r = r.due(OnSettle)
		d.put(r)
	}
	reason := ""
	if failed := r.Progress[OnSettle].Failed; failed != "" {
		reason = "settle hook " + failed + "; mend it, then greenroom release verify --moment settle " + r.Name
	} else if !d.hooksPassed(r, OnSettle) {
		d.wait(r, "waiting for its settle hooks")
		return
	}
	if former, ok := d.live(); d.nameOf(d.Default) == r.Name || ok && former.Former == r.View {
		d.Settled = r.View
	}
	d.enter(r, Settled, reason)
	d.event("ReleaseSettled", r.Name, strings.TrimSuffix("what it replaced is gone. "+reason, ". "))
}

// trim forgets ended releases beyond the history.
func (d *draft) trim(o Observation) {
	var ended []Release
	for _, r := range d.Releases {
		if r.Phase.Ended() && d.Views[r.View].Release != r.Name {
			ended = append(ended, r)
		}
	}
	slices.SortFunc(ended, func(a, b Release) int {
		if c := b.Since.Compare(a.Since); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	for _, r := range ended[min(len(ended), max(d.Settings.History, 0)):] {
		delete(d.Releases, r.Name)
		d.changes++
	}
	spoken := map[string]bool{}
	for _, id := range d.Desired() {
		spoken[id] = true
	}
	for _, r := range d.Releases {
		for service, id := range r.Versions {
			spoken[id], spoken[r.Replaces[service]] = true, true
		}
	}
	for id := range d.Versions {
		if status, runs := o.Versions[id]; !spoken[id] && (!runs || status.Gone) {
			delete(d.Versions, id)
			d.changes++
		}
	}
}

func (d *draft) actions(o Observation, before map[string]View) []Action {
	var out []Action
	for _, stamp := range slices.Sorted(maps.Keys(before)) {
		if _, there := d.Views[stamp]; !there {
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
			out = append(out, Stop{Version: id, Drain: d.Services[v.Service].Drain})
		case status.Gone && !spoken:
			out = append(out, Forget{Version: id})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.Releases)) {
		for _, m := range []Moment{Prepare, Verify, OnSettle, OnRollback, OnAbort} {
			hook, due := d.Releases[name].nextHook(m)
			if _, known := o.Hooks[hook.ID]; due && !known {
				out = append(out, hook)
			}
		}
	}
	return out
}
