package release

import (
	"slices"
	"strings"
)

// trim forgets ended releases beyond the history, and versions that nobody
// speaks of and that do not run.
func (d *draft) trim(o Observation) {
	var ended []Release
	for _, r := range d.Releases {
		if r.Phase.Ended() && !d.inSight(r) {
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

// inSight reports whether an ended release still has a view or hooks to run.
func (s State) inSight(r Release) bool {
	for _, v := range s.Views {
		if v.Release == r.Name {
			return true
		}
	}
	for _, m := range Moments() {
		if _, due := r.nextHook(m); due {
			return true
		}
	}
	return false
}
