//go:build e2e && many

package e2e

import (
	"fmt"
	"testing"
	"time"
)

// many is how many services the largest fleet of the stories has.
const many = 300

// manyWait is how long the routes of that many services may take to be written.
const manyWait = 2 * time.Minute

// TestMany prints what a switch takes in a large fleet. A release changes three
// services of it; nearly all others have a Kubernetes Service and routes in the
// mesh like any, and no pods of their own. It takes longer than all stories, so
// that a tag of its own brings it (make bench-cluster).
func TestMany(t *testing.T) {
	s := onStage(t)
	f := newFleet("many")
	for i := range many - len(f.Services) {
		f.Fixed = append(f.Fixed, fmt.Sprintf("s%03d", i))
	}
	st := &story{stage: s, whole: t, fleet: f}
	st.manifests = s.installOperator(t)
	s.place(t, f)
	t.Cleanup(func() { st.letGo(t) })
	s.kubectl(t, "delete", "virtualservice", "edge", "-n", f.Namespace)
	s.apply(t, render(t, "fleet.yaml", fleetManifest, f))
	s.await(t, "routes to every service", manyWait, func() error {
		if made := st.made(t)["VirtualService"]; made != many+1 {
			return fmt.Errorf("%d VirtualServices", made)
		}
		return nil
	})
	st.awaitServing(t, "baseline")
	st.by = st.person(t, f)
	st.setImages(t, f, "v2")
	st.open(t, "r42", "v2", released()...)
	t.Run("what a switch takes", func(t *testing.T) {
		st.measured(t, measurement{many, "r42", "baseline", "/", released(), "v2", "v1"})
	})
}
