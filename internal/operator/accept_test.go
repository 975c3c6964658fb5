package operator_test

import (
	"errors"
	"testing"

	networkingapi "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	api "github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/operator/operatortest"
)

// A mistake in the Fleet, or one that releases under way speak against, is
// told, takes nothing away, and keeps nobody from rolling back.
func testBadFleet(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api", "chat")
	r.fleet("api", "chat")
	r.serves("baseline")
	r.release("r1", "2", "chat")
	r.phase("r1", "Previewing")
	if _, err := r.api.Promote(t.Context(), "r1", api.Promote{}); err != nil {
		t.Fatal(err)
	}
	r.change(func(f *crd.Fleet) { // the second is never reached
		f.Spec.Edge.Routes = append(f.Spec.Edge.Routes, crd.Route{Route: v1alpha1.Route{Path: "/chat", Service: "chat"}})
	})
	r.condition("Invalid")
	if _, err := r.api.Rollback(t.Context(), "r1", api.Asked{}); err != nil {
		t.Fatalf("rollback with a mistake in the Fleet: %v", err)
	}
	r.serves("baseline")
	r.change(func(f *crd.Fleet) { // chat leaves, and r1 names it
		f.Spec.Edge.Routes = f.Spec.Edge.Routes[:1]
		f.Spec.Services = f.Spec.Services[:1]
	})
	r.condition("Refused")
	if err := r.get(&networkingv1.VirtualService{}, "greenroom.live.mesh.chat"); err != nil {
		t.Errorf("the routes of a service that a release names: %v", err)
	}
	if _, err := r.api.Abort(t.Context(), "r1", api.Asked{}); err != nil {
		t.Fatal(err)
	}
	r.gone(&networkingv1.VirtualService{}, "greenroom.live.mesh.chat")
}

// What a Fleet may say of time, and Istio has no word for, keeps nobody from
// rolling back: Istio's definition refuses an edge with a timeout of none.
func testNoTimeout(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api")
	r.fleet("api")
	r.serves("baseline")
	r.release("r1", "2", "api")
	r.phase("r1", "Previewing")
	if _, err := r.api.Promote(t.Context(), "r1", api.Promote{}); err != nil {
		t.Fatal(err)
	}
	r.change(func(f *crd.Fleet) {
		f.Spec.Services[0].Timeout, f.Spec.Services[0].Retries = "0s", &crd.Retries{PerTryTimeout: "1ms"}
		f.Spec.Edge.Routes[0].Timeout, f.Spec.Edge.Routes[0].CORS = "0s", &crd.CORS{AllowOrigins: []string{"*"}, MaxAge: "0s"}
	})
	r.until("the edge says what the Fleet says", func() error {
		var vs networkingv1.VirtualService
		err := r.get(&vs, r.edge())
		if last := len(vs.Spec.Http) - 1; err == nil && vs.Spec.Http[last].CorsPolicy == nil {
			err = errors.New("it says nothing of CORS")
		}
		return err
	})
	if _, err := r.api.Rollback(t.Context(), "r1", api.Asked{}); err != nil {
		t.Fatal(err)
	}
	r.serves("baseline")
}

func (r *rig) change(how func(*crd.Fleet)) {
	r.t.Helper()
	r.until("the Fleet is changed", func() error {
		var f crd.Fleet
		if err := r.get(&f, "live"); err != nil {
			return err
		}
		how(&f)
		return r.c.Update(r.t.Context(), &f)
	})
}

// Who comes beside routes of ours takes nothing of theirs away.
func testForeignLater(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api")
	r.fleet("api")
	r.serves("baseline")
	r.create(&networkingv1.VirtualService{ObjectMeta: r.meta("theirs"), Spec: networkingapi.VirtualService{
		Hosts: []string{r.ns + ".test", "api." + r.ns + ".svc.cluster.local"}, Gateways: []string{"edge", "mesh"},
		Http: []*networkingapi.HTTPRoute{{Route: []*networkingapi.HTTPRouteDestination{{Destination: &networkingapi.Destination{Host: "api"}}}}},
	}})
	r.condition("ForeignVirtualService")
	r.serves("baseline")
	if err := r.get(&networkingv1.VirtualService{}, "greenroom.live.mesh.api"); err != nil {
		t.Errorf("our routes between services: %v", err)
	}
}
