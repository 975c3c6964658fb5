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
	Replicas map[string]int     // service → instances of the version that serves now
	Settings Settings
}

// Apply takes in a changed Fleet. A service that joins is part of every view
// at once: no request under way can have met it. One that leaves must not be
// named by a release that is not over.
func (s State) Apply(c Change, by Actor, now time.Time) (State, error) {
	d := s.edit(by, now)
	for service := range s.Services {
		if _, stays := c.Services[service]; stays {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(s.Releases)) {
			r := s.Releases[name]
			if _, named := r.Versions[service]; named && !r.Phase.Ended() {
				return s, refuse("busy", "settle or abort "+name+" first", "the service %s can not leave: %s names it", service, name)
			}
		}
	}
	for _, v := range c.First {
		if _, known := s.Services[v.Service]; !known {
			d.Versions[v.ID] = v
		}
	}
	d.reshapeViews(c)
	for service, n := range c.Replicas {
		v := d.Versions[s.DefaultVersion(service)]
		if v.ID != "" && v.Replicas > 0 && v.Replicas != n {
			v.Replicas = n
			d.Versions[v.ID] = v
			d.event("ServiceScaled", "", v.ID+" runs "+countOf(n, "instance"))
		}
	}
	if !maps.Equal(d.Services, c.Services) || d.Settings != c.Settings {
		d.Services, d.Settings = c.Services, c.Settings
		d.event("FleetApplied", "", "the fleet has "+countOf(len(c.Services), "service"))
	}
	return d.done(), nil
}

func (d *draft) reshapeViews(c Change) {
	joins := map[string]string{}
	for _, v := range c.First {
		if _, known := d.Services[v.Service]; !known {
			joins[v.Service] = v.ID
		}
	}
	var leaves []string
	for service := range d.Services {
		if _, stays := c.Services[service]; !stays {
			leaves = append(leaves, service)
		}
	}
	if len(joins) == 0 && len(leaves) == 0 {
		return
	}
	for stamp, v := range d.Views {
		v.Versions = maps.Clone(v.Versions)
		maps.Copy(v.Versions, joins)
		for _, service := range leaves {
			delete(v.Versions, service)
		}
		d.Views[stamp] = v
	}
	d.changes++
}
