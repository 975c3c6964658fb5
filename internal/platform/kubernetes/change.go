package kubernetes

import (
	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// Change says what a Fleet means for a state that exists: its rules, services
// that leave, those that join as soon as their active pods are known, with
// their templates, and how many pods their Rollouts are to have now. A service
// that was fixed and has a Rollout now is served by that one's active pods, as
// soon as they are known.
func Change(f *crd.Fleet, v Value, seen map[string]Seen) (release.Change, map[string]Template) {
	out := release.Change{Follow: map[string]int{}, Settings: Settings(f)}
	templates := map[string]Template{}
	known := make([]release.Version, 0, len(f.Spec.Services))
	for _, s := range f.Spec.Services {
		if _, there := v.State.Services[s.Name]; there {
			known = append(known, release.Version{Service: s.Name})
			if r := seen[s.Name].Rollout; r != nil && r.Observed() {
				out.Follow[s.Name] = r.Replicas()
			}
			if version, template, known := unfixed(s, v, seen[s.Name]); known {
				out.Become = append(out.Become, version)
				templates[version.ID] = template
			}
			continue
		}
		version, template, why := active(s, seen[s.Name])
		if why != nil {
			continue // Inspect says so
		}
		known = append(known, version)
		out.First = append(out.First, version)
		templates[version.ID] = template
	}
	out.Services = Services(f, known)
	return out, templates
}

// unfixed is what a service that was fixed is served by, if it has a Rollout
// now. Until its pods are known, the translation says what is missing.
func unfixed(s crd.Service, v Value, seen Seen) (release.Version, Template, bool) {
	if s.Fixed || v.State.DefaultVersion(s.Name) != fixedVersion(s.Name).ID {
		return release.Version{}, Template{}, false
	}
	version, template, why := active(s, seen)
	return version, template, why == nil
}
