package release

import (
	"maps"
	"slices"
	"time"
)

// Change is what a changed Fleet document means for the State: services that
// join or leave, drains, replicas and settings. Which versions the services
// that stay have is not its business, but for what Become says.
type Change struct {
	Services map[string]Service // all of them, by name
	First    []Version          // of the services that join
	Replicas map[string]int     // service → instances of the version that serves now, and of the one that a rollback returns to
	Follow   map[string]int     // service → instances that something else gives all of its versions that run; that is no event
	Become   []Version          // what a version that something else ran turned out to be: of services that stay
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
			d.versions()[id] = v
		}
	}
	d.reshapeViews(joins, leaves)
	for _, v := range c.Become {
		if err := d.become(v); err != nil {
			return s, err
		}
	}
	for _, service := range slices.Sorted(maps.Keys(c.Replicas)) {
		d.scale(service, c.Replicas[service])
	}
	for _, service := range slices.Sorted(maps.Keys(c.Follow)) {
		d.follow(service, c.Follow[service])
	}
	if !maps.Equal(d.Services, c.Services) || !d.Settings.equal(c.Settings) {
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
			d.versions()[id] = v
			d.event("ServiceScaled", "", id+" runs "+countOf(n, "instance"))
		}
	}
}

// follow notes that something else, such as an autoscaler, gives n instances to
// every version of service that it runs: to those that serve or would after a
// rollback, and to those of releases that may go live. It comes too often to be
// an event.
func (d *draft) follow(service string, n int) {
	ids := []string{d.DefaultVersion(service)}
	for _, r := range d.Releases {
		if r.Phase.previewable() || r.Phase == Failed {
			ids = append(ids, r.Versions[service], d.Views[r.Former].Versions[service])
		}
	}
	for _, id := range ids {
		if v := d.Versions[id]; v.Replicas > 0 && n > 0 && v.Replicas != n {
			v.Replicas = n
			d.versions()[id] = v
			d.changes++
		}
	}
}

// become puts a version in the place of the one that serves, in every view that
// has that one: it is the same instances, of which more is known now.
func (d *draft) become(v Version) error {
	old := d.DefaultVersion(v.Service)
	if _, known := d.Services[v.Service]; !known || old == "" || old == v.ID {
		return nil
	}
	if err := d.addVersions("", []Version{v}); err != nil {
		return err
	}
	for stamp, view := range d.Views {
		if view.Versions[v.Service] == old {
			view.Versions = maps.Clone(view.Versions)
			view.Versions[v.Service] = v.ID
			d.Views[stamp] = view
		}
	}
	for name, r := range d.Releases {
		if r.Replaces[v.Service] == old {
			r.Replaces = maps.Clone(r.Replaces)
			r.Replaces[v.Service] = v.ID
			d.Releases[name] = r
		}
	}
	d.event("FleetApplied", "", "what serves of "+v.Service+" is known as "+v.ID+" now")
	return nil
}
