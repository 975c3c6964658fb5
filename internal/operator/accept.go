package operator

import (
	"maps"
	"slices"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// accept says why a Fleet cannot be followed as it is now, if it cannot: what it
// says is wrong, or releases under way speak against it. The last one that
// could be holds meanwhile, so that a mistake in it takes nothing away, a
// rollback least of all.
func (e *Engine) accept(w *world) []kubernetes.Condition {
	if invalid := kubernetes.Check(w.fleet); len(invalid) > 0 {
		return invalid
	}
	v := e.controller.Record()
	change, _ := kubernetes.Change(w.fleet, v, w.seen)
	if _, err := v.State.Apply(change, release.Greenroom(), e.d.Now()); err != nil {
		return []kubernetes.Condition{condition("Fleet "+e.key.Name, err)}
	}
	return nil
}

// following is w with what the Fleet said when it was accepted last, and what
// old shows of services that the Fleet does not name any more.
func (w *world) following(old *world) *world {
	out := *w
	out.fleet = w.fleet.DeepCopy()
	out.fleet.Spec = old.fleet.Spec
	out.services, out.seen = maps.Clone(w.services), maps.Clone(w.seen)
	for _, s := range old.fleet.Spec.Services {
		if _, ok := out.services[s.Name]; !ok {
			if had, did := old.services[s.Name]; did && !named(w.fleet, s.Name) {
				out.services[s.Name] = had
			}
		}
		if _, ok := out.seen[s.Name]; !ok {
			if had, did := old.seen[s.Name]; did && !named(w.fleet, s.Name) {
				out.seen[s.Name] = had
			}
		}
	}
	return &out
}

// named reports whether a Fleet names a service.
func named(f *crd.Fleet, service string) bool {
	for _, s := range f.Spec.Services {
		if s.Name == service {
			return true
		}
	}
	return false
}

func (e *Engine) setRefused(conditions []kubernetes.Condition) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refused = conditions
}

func (e *Engine) refusals() []kubernetes.Condition {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.refused)
}
