package kubernetes

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

// Print tells Inputs apart: those with the same one are translated to the same
// objects. What was observed counts by its resourceVersion. It costs a small
// part of a translation, since a fleet is looked at far more often than
// something about its objects changes.
func (in Input) Print() (Digest, error) {
	rest := in // with whatever is added to an Input one day
	rest.Fleet, rest.Services, rest.VirtualServices, rest.DestinationRules, rest.RequestAuthentications = nil, nil, nil, nil, nil
	rest.Value = Value{State: in.Value.State, Templates: in.Value.Templates}
	rest.Value.State.Revision, rest.Value.State.Pending, rest.Value.State.Live = 0, nil, nil // of no object
	seen := struct {
		Namespace, Name string
		Spec            crd.FleetSpec
		Rest            Input
		Observed        []string
	}{in.Fleet.Namespace, in.Fleet.Name, in.Fleet.Spec, rest, nil}
	note := func(kind string, o metav1.Object) {
		seen.Observed = append(seen.Observed, fmt.Sprint(kind, " ", o.GetNamespace(), "/", o.GetName(), " ", o.GetUID(), " ", o.GetResourceVersion()))
	}
	for _, name := range slices.Sorted(maps.Keys(in.Services)) {
		note(name, in.Services[name])
	}
	for _, o := range in.VirtualServices {
		note("route", o)
	}
	for _, o := range in.DestinationRules {
		note("rule", o)
	}
	for _, o := range in.RequestAuthentications {
		note("authentication", o)
	}
	slices.Sort(seen.Observed) // caches list in any order
	data, err := json.Marshal(seen)
	if err != nil {
		return Digest{}, fmt.Errorf("encode what a fleet's objects follow from: %w", err)
	}
	return sha256.Sum256(data), nil
}
