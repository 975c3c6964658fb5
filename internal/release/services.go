package release

import (
	"maps"
	"slices"
	"time"
)

// Change is what a changed Fleet document means for the State: services that
// join or leave, drains, replicas and settings. The versions of services that
// stay are not its business.
type Change struct {
	Services map[string]Service // all of them, by name
	First    []Version          // of the services that join
	Replicas map[string]int     // service → instances of the version that serves now, and of the one that a rollback returns to
	Settings Settings
}

// Apply takes in a changed Fleet. A service that joins is part of every view
// at once: no request under way can have met it. One that leaves must not be
// named by a release that is not over.
func (s State) Apply(c Change, by Actor, now time.Time) (State, error) {
	d := s.edit(by, now)
	var joins []Version
	for _, v := range c.First {
		if _, known := s.Services[v.Service]; !known {
			joins = append(joins, v)
		}
	}
	if err := d.addVersions("", joins); err != nil {
		return s, err
	}
	leaves := absent(s.Services, c.Services)
	if err := s.mayLeave(leaves); err != nil {
		return s, err
	}
	for id, v := range d.Versions {
		if slices.Contains(leaves, v.Service) {
			v.Drain = s.Services[v.Service].Drain
			d.Versions[id] = v
		}
	}
	d.reshapeViews(joins, leaves)
	for _, service := range slices.Sorted(maps.Keys(c.Replicas)) {
		d.scale(service, c.Replicas[service])
	}
	if !maps.Equal(d.Services, c.Services) || d.Settings != c.Settings {
		d.Services, d.Settings = maps.Clone(c.Services), c.Settings
		d.event("FleetApplied", "", "the fleet has "+countOf(len(c.Services), "service"))
	}
	return d.done(), nil
}

// absent returns the services of before that after does not have, sorted.
func absent(before, after map[string]Service) []string {
	var out []string
	for service := range before {
		if _, stays := after[service]; !stays {
			out = append(out, service)
		}
	}
	slices.Sort(out)
	return out
}

func (s State) mayLeave(leaves []string) error {
	for _, service := range leaves {
		for _, name := range slices.Sorted(maps.Keys(s.Releases)) {
			r := s.Releases[name]
			if _, named := r.Versions[service]; named && !r.Phase.Ended() {
				return refuse("busy", "settle or abort "+name+" first", "the service %s cannot leave: %s names it", service, name)
			}
		}
	}
	return nil
}

func (d *draft) reshapeViews(joins []Version, leaves []string) {
	if len(joins) == 0 && len(leaves) == 0 {
		return
	}
	for stamp, v := range d.Views {
		v.Versions, v.Own = maps.Clone(v.Versions), maps.Clone(v.Own)
		for _, first := range joins {
			v.Versions[first.Service] = first.ID
		}
		for _, service := range leaves {
			delete(v.Versions, service)
			delete(v.Own, service)
		}
		d.Views[stamp] = v
	}
	d.changes++
}

// scale gives n instances to the version of service that serves, and to the
// one that would after a rollback. What something else runs has none to give.
func (d *draft) scale(service string, n int) {
	ids := []string{d.DefaultVersion(service)}
	if r, ok := d.live(); ok {
		ids = append(ids, d.Views[r.Former].Versions[service])
	}
	for _, id := range slices.Compact(ids) {
		v := d.Versions[id]
		if v.Replicas > 0 && n > 0 && v.Replicas != n {
			v.Replicas = n
			d.Versions[id] = v
			d.event("ServiceScaled", "", id+" runs "+countOf(n, "instance"))
		}
	}
}
