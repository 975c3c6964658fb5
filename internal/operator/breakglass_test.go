package operator_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	networkingapi "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	api "github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/breakglass"
	"github.com/greenroom-dev/greenroom/internal/operator/operatortest"
)

// A rollback made while no operator ran is taken in by the next: the state
// says the same, who did it is in the log, and the gateways never go back.
func testBreakGlass(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api")
	r.fleet("api")
	r.serves("baseline")
	r.release("r1", "2", "api")
	r.phase("r1", "Previewing")
	if _, err := r.api.Promote(t.Context(), "r1", api.Promote{}); err != nil {
		t.Fatal(err)
	}
	r.stop()
	r.breakGlass(breakglass.Note{Release: "r1", To: "baseline", Who: "admin", At: time.Now(), Why: "errors"})
	r.start()
	r.phase("r1", "Previewing")
	r.serves("baseline")
	r.until("the note is taken away", func() error {
		var f crd.Fleet
		var vs networkingv1.VirtualService
		if err := errors.Join(r.get(&f, "live"), r.get(&vs, "greenroom.live.edge."+r.ns+".edge")); err != nil {
			return err
		}
		if f.Annotations[breakglass.Annotation]+vs.Annotations[breakglass.Annotation] != "" {
			return fmt.Errorf("it is there: %v, %v", f.Annotations, vs.Annotations)
		}
		return nil
	})
	shown, err := r.api.Release(t.Context(), "r1")
	if err != nil || shown.Rolled == nil || shown.Rolled.Who != "admin" {
		t.Errorf("rolled back by %+v (%v)", shown.Rolled, err)
	}

	// One that nobody can read is told, and left; all else goes on.
	r.merge(&crd.Fleet{ObjectMeta: r.meta("live")}, `{"metadata":{"annotations":{"greenroom.dev/break-glass":"{","greenroom.dev/break-glass-by":"admin"}}}`)
	r.condition("BreakGlass")
	if _, err := r.api.Promote(t.Context(), "r1", api.Promote{}); err != nil {
		t.Errorf("beside a damaged note: %v", err)
	}
	r.serves("r1")
	r.phase("r1", "Live")
	r.logged("BreakGlassUnreadable", "ReleasePromoted")
	var f crd.Fleet
	if err := r.get(&f, "live"); err != nil || f.Annotations[breakglass.Annotation] != "{" {
		t.Errorf("the damaged note is %v (%v)", f.Annotations, err)
	}
	if _, err := r.api.Rollback(t.Context(), "r1", api.Asked{}); err != nil {
		t.Fatal(err)
	}

	// A note that the state cannot follow stops everything, and says so.
	r.stop()
	r.breakGlass(breakglass.Note{Release: "r1", To: "r1", Who: "admin", At: time.Now()})
	r.start()
	r.condition("BreakGlass")
	if got, err := r.asked(); err != nil || got != "r1" {
		t.Errorf("what somebody set by hand was changed to %q (%v)", got, err)
	}
}

// breakGlass does to the objects what kubectl greenroom rollback --break-glass
// does.
func (r *rig) breakGlass(n breakglass.Note) {
	r.t.Helper()
	note, err := breakglass.Encode(n)
	if err != nil {
		r.t.Fatal(err)
	}
	var vs networkingv1.VirtualService
	if err := r.get(&vs, "greenroom.live.edge."+r.ns+".edge"); err != nil {
		r.t.Fatal(err)
	}
	vs.Annotations = note
	vs.Spec.Http[0].DirectResponse.Body = &networkingapi.HTTPBody{Specifier: &networkingapi.HTTPBody_String_{String_: n.To + "\n"}}
	if err := r.c.Update(r.t.Context(), &vs); err != nil {
		r.t.Fatal(err)
	}
	var f crd.Fleet
	if err := r.get(&f, "live"); err != nil {
		r.t.Fatal(err)
	}
	f.Annotations = note
	if err := r.c.Update(r.t.Context(), &f); err != nil {
		r.t.Fatal(err)
	}
}
