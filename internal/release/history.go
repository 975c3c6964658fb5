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
	for id, v := range d.Versions {
		if status, runs := o.Versions[id]; (!runs || status.Gone) && !d.spokenOf(v) {
			delete(d.versions(), id)
			d.changes++
		}
	}
}

// spokenOf reports whether a view or a release speaks of a version.
func (s State) spokenOf(v Version) bool {
	for _, r := range s.Releases {
		if _, named := r.Versions[v.Service]; named && (r.Versions[v.Service] == v.ID || r.Replaces[v.Service] == v.ID) {
			return true
		}
	}
	return s.desires(v)
}

// inSight reports whether an ended release still has a view or hooks to run.
func (s State) inSight(r Release) bool {
	for _, v := range s.Views {
		if v.Release == r.Name {
			return true
		}
	}
	return r.HookDue()
}
