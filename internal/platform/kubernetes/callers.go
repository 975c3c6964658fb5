package kubernetes

import (
	"maps"
	"slices"
)

// caller is a version that not every view holds. The others need no rules of
// their own: whatever stamp they pass on is right, and without one they get
// the default's.
type caller struct {
	version string
	labels  map[string]string // that its pods alone have in the fleet's namespace
	views   []string          // stamps of the views that hold it, sorted
	source  string            // stamp of the view that it gets without a usable stamp
}

// findCallers lists them in the order of their IDs. A service outside the mesh
// has no proxy that could keep to a rule.
func (t *translation) findCallers() []caller {
	holders := map[string][]string{}
	services := map[string]string{}
	for _, stamp := range t.stamps {
		for service, version := range t.Value.State.Views[stamp].Versions {
			holders[version] = append(holders[version], stamp)
			services[version] = service
		}
	}
	var out []caller
	for _, version := range slices.Sorted(maps.Keys(holders)) {
		s, known := t.service(services[version])
		if !known || s.Fixed || s.OutsideMesh || len(holders[version]) == len(t.stamps) {
			continue
		}
		labels, ok := t.podLabels(s.Name, version)
		if !ok {
			continue
		}
		out = append(out, caller{version: version, labels: labels, views: holders[version], source: t.soleView(holders[version])})
	}
	return out
}

// soleView is the one view in use that a version is part of, else the one
// that is ending if that is all there is, else the default.
func (t *translation) soleView(holders []string) string {
	var inUse, ending []string
	for _, stamp := range holders {
		if t.Value.State.Views[stamp].Ending() {
			ending = append(ending, stamp)
		} else {
			inUse = append(inUse, stamp)
		}
	}
	switch {
	case len(inUse) == 1:
		return inUse[0]
	case len(inUse) == 0 && len(ending) == 1:
		return ending[0]
	}
	return t.Value.State.Default
}

// podLabels are the labels that tell a version's pods from all others of the
// namespace: those by which the Kubernetes Service selects, and the hash.
func (t *translation) podLabels(service, version string) (map[string]string, bool) {
	base, ok := t.Services[service]
	hash := t.Value.Templates[version].Hash
	if !ok || hash == "" || len(base.Spec.Selector) == 0 {
		return nil, false
	}
	out := maps.Clone(base.Spec.Selector)
	out[HashLabel] = hash
	return out, true
}

// sources are the pods whose calls a rule is for; nil for everybody's.
type sources []map[string]string

// carrying are the callers that a view holds.
func (t *translation) carrying(stamp string) sources {
	var out sources
	for _, c := range t.callers {
		if slices.Contains(c.views, stamp) {
			out = append(out, c.labels)
		}
	}
	return out
}

// bound are the callers that get a view without a usable stamp.
func (t *translation) bound(stamp string) sources {
	var out sources
	for _, c := range t.callers {
		if c.source == stamp {
			out = append(out, c.labels)
		}
	}
	return out
}
