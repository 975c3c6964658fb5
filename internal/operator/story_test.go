package operator_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	networkingapi "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	api "github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/operator/operatortest"
)

// TestFleet tells the stories of operators, each of which keeps the fleets of a
// whole cluster: on several API servers at once, and on each one after the other.
func TestFleet(t *testing.T) {
	t.Parallel()
	tell(t, 2, []story{
		{"release", testRelease}, {"deletion", testDeletion}, {"restart", testRestart}, {"lost state", testLostState},
		{"drift", testDrift}, {"foreign routes", testForeign}, {"promoted by hand", testByHand}, {"break glass", testBreakGlass}, {"no guard", testGuard}, {"a Fleet with mistakes", testBadFleet}, {"a Fleet without a timeout", testNoTimeout}, {"foreign routes later", testForeignLater},
		{"forgotten", testForgotten}, {"failed", testFailed}, {"finalizer", testFinalizer}, {"abandoned", testAbandoned}, {"second fleet", testSecondFleet},
		{"orphaned image", testOrphan}, {"an image over another", testTwoImages}, {"handover", testHandover}, {"routes on their way", testViews},
		{"notifications", testNotify}, {"hold", testHold}, {"callback", testCallback}, {"what waits", testWaits},
	})
}

type story struct {
	name string
	run  func(*testing.T, *operatortest.Cluster)
}

// tell tells stories on so many API servers at once: most of the time they wait
// for the times that operators keep.
func tell(t *testing.T, clusters int, stories []story) {
	for n := range clusters {
		t.Run(fmt.Sprintf("cluster %d", n), func(t *testing.T) {
			t.Parallel()
			cluster := operatortest.Start(t, operatortest.User{Name: "alice", Groups: []string{"system:masters"}})
			install(t, cluster)
			for i, s := range stories {
				if i%clusters == n {
					t.Run(s.name, func(t *testing.T) { s.run(t, cluster) })
				}
			}
		})
	}
}

// A release from its images to a rollback, as people see it.
func testRelease(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api", "chat", "gift")
	r.fleet("api", "chat", "gift")
	r.serves("baseline")
	r.release("r42", "2", "api", "chat")
	r.phase("r42", "Previewing")
	r.active("api", "1")
	for _, s := range []string{"api", "chat"} {
		for _, v := range []string{"1", "2"} {
			if err := r.get(&corev1.Service{}, "gr-"+s+"-"+hashOf(image(s, v))); err != nil {
				t.Errorf("no Service for version %s of %s: %v", v, s, err)
			}
		}
	}
	r.until("the previewed template is guarded", func() error {
		o, err := r.rollout("api")
		if err == nil && o.Metadata.Annotations["greenroom.dev/guarded"] != "r42" {
			err = fmt.Errorf("annotations %v", o.Metadata.Annotations)
		}
		return err
	})
	pass, err := r.api.MintPass(t.Context(), api.MintPass{Release: "r42", For: "2h"})
	if err != nil || pass.Token == "" {
		t.Fatalf("pass %+v, error %v", pass, err)
	}

	out, err := r.api.Promote(t.Context(), "r42", api.Promote{Asked: api.Asked{Reason: "the new gifts"}})
	if err != nil || !out.Changed || len(out.Notes) > 0 {
		t.Fatalf("promote: %+v, %v", out, err)
	}
	if got, err := r.asked(); err != nil || got != "r42" {
		t.Errorf("promote returned while the gateway gives %q (%v)", got, err)
	}
	r.active("api", "2")
	r.active("chat", "2")
	r.active("gift", "1")

	if out, err = r.api.Rollback(t.Context(), "r42", api.Asked{}); err != nil || !out.Changed {
		t.Fatalf("rollback: %+v, %v", out, err)
	}
	if got, err := r.asked(); err != nil || got != "baseline" {
		t.Errorf("rollback returned while the gateway gives %q (%v)", got, err)
	}
	r.active("api", "1") // the image was set by the operator, so it is put back by it
	status, err := r.api.Status(t.Context())
	if err != nil || status.Serving.Release != "baseline" || len(status.Services) != 3 {
		t.Errorf("status %+v, %v", status, err)
	}
	r.logged("FleetStarted", "ReleaseOpened", "ReleasePreviewing", "PassCreated", "ReleasePromoted", "ReleaseRolledBack")
}

// asked is what the gateway gives ordinary requests.
func (r *rig) asked() (string, error) {
	var vs networkingv1.VirtualService
	if err := r.get(&vs, "greenroom.live.edge."+r.ns+".edge"); err != nil {
		return "", err
	}
	return strings.TrimSpace(vs.Spec.Http[0].DirectResponse.Body.GetString_()), nil
}

// logged waits until the event log has these kinds, in this order.
func (r *rig) logged(kinds ...string) {
	r.t.Helper()
	r.until("the event log is complete", func() error {
		events, err := r.api.Events(r.t.Context(), api.EventQuery{Limit: 1000})
		if err != nil {
			return err
		}
		rest := kinds
		for _, e := range events {
			if len(rest) > 0 && e.Type == rest[0] {
				rest = rest[1:]
			}
		}
		if len(rest) > 0 {
			return fmt.Errorf("%v are missing in %+v", rest, events)
		}
		return nil
	})
}

// A Release that previews is aborted when it is deleted, and one that serves
// stays until it does not.
func testDeletion(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api")
	r.fleet("api")
	r.serves("baseline")
	r.release("r1", "2", "api")
	r.phase("r1", "Previewing")
	r.delete(&crd.Release{ObjectMeta: r.meta("r1")})
	r.gone(&crd.Release{}, "r1")
	r.active("api", "1")
	events, err := r.api.Events(t.Context(), api.EventQuery{Kinds: []string{"ReleaseAborted"}, Last: 10})
	if err != nil || len(events) != 1 || events[0].Who != "somebody" {
		t.Errorf("aborted: %+v, %v", events, err)
	}

	r.until("r2 is opened", func() error {
		o, err := r.rollout("api")
		if err == nil && o.Spec.Template.Spec.Containers[0].Image != image("api", "1") {
			err = errors.New("the image of r1 is still there")
		}
		return err
	})
	r.release("r2", "3", "api")
	r.phase("r2", "Previewing")
	if _, err := r.api.Promote(t.Context(), "r2", api.Promote{}); err != nil {
		t.Fatal(err)
	}
	r.delete(&crd.Release{ObjectMeta: r.meta("r2")})
	r.until("it is told that it waits", func() error {
		var o crd.Release
		if err := r.get(&o, "r2"); err != nil {
			return err
		}
		for _, c := range o.Status.Conditions {
			if c.Type == "DeletionWaits" {
				return nil
			}
		}
		return fmt.Errorf("conditions %+v", o.Status.Conditions)
	})
	if _, err := r.api.Rollback(t.Context(), "r2", api.Asked{}); err != nil {
		t.Fatal(err)
	}
	r.gone(&crd.Release{}, "r2")
}

func (r *rig) delete(o client.Object) {
	r.t.Helper()
	if err := r.c.Delete(r.t.Context(), o); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) gone(o client.Object, name string) {
	r.t.Helper()
	r.until(name+" is gone", func() error {
		err := r.get(o, name)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is there (%v): %v", err, o.GetFinalizers())
	})
}

// An operator that was ended goes on where it was, and another one that comes
// while the first still runs does not take its state away.
func testRestart(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api")
	r.fleet("api")
	r.serves("baseline")
	r.release("r1", "2", "api")
	r.phase("r1", "Previewing")
	if _, err := r.api.Promote(t.Context(), "r1", api.Promote{}); err != nil {
		t.Fatal(err)
	}
	r.stop()
	// What the operator did not get to is done by the next.
	var vs networkingv1.VirtualService
	if err := r.get(&vs, "greenroom.live.edge."+r.ns+".edge"); err != nil {
		t.Fatal(err)
	}
	vs.Spec.Http[0].DirectResponse.Body = &networkingapi.HTTPBody{Specifier: &networkingapi.HTTPBody_String_{String_: "baseline\n"}}
	if err := r.c.Update(t.Context(), &vs); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.serves("r1")
	r.active("api", "2")
	r.until("the API answers", func() error {
		s, err := r.api.Status(t.Context())
		if err == nil && s.Serving.Release != "r1" {
			err = fmt.Errorf("serving %+v", s.Serving)
		}
		return err
	})
	if _, err := r.api.Rollback(t.Context(), "r1", api.Asked{}); err != nil {
		t.Fatal(err)
	}
	r.serves("baseline")
}

// A lost status is taken from its copy; without one, nothing is touched.
func testLostState(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api")
	r.fleet("api")
	r.serves("baseline")
	r.release("r1", "2", "api")
	r.phase("r1", "Previewing")
	if _, err := r.api.Promote(t.Context(), "r1", api.Promote{}); err != nil {
		t.Fatal(err)
	}
	r.until("the copy is up to date", func() error {
		var kept corev1.ConfigMap
		if err := r.get(&kept, "greenroom.live.state"); err != nil {
			return err
		}
		if !strings.Contains(kept.Data["state"], `"default":"r1"`) {
			return errors.New("it is older than the promotion")
		}
		return nil
	})
	r.stop()
	r.loseStatus()
	r.start()
	r.until("the state is back", func() error {
		s, err := r.api.Status(t.Context())
		if err == nil && s.Serving.Release != "r1" {
			err = fmt.Errorf("serving %+v", s.Serving)
		}
		return err
	})
	if _, err := r.api.Settle(t.Context(), "r1", api.Asked{}); err != nil {
		t.Fatal(err)
	}
	r.logged("ReleasePromoted", "ReleaseSettling")

	r.stop()
	r.loseStatus()
	r.delete(&corev1.ConfigMap{ObjectMeta: r.meta("greenroom.live.state")})
	r.start()
	r.condition("StateMissing")
	if got, err := r.asked(); err != nil || got != "r1" {
		t.Errorf("without a state, the gateway was changed to %q (%v)", got, err)
	}
}

func (r *rig) loseStatus() {
	r.t.Helper()
	var f crd.Fleet
	if err := r.get(&f, "live"); err != nil {
		r.t.Fatal(err)
	}
	f.Status = crd.FleetStatus{}
	if err := r.c.Status().Update(r.t.Context(), &f); err != nil {
		r.t.Fatal(err)
	}
}

// condition waits until the Fleet has a condition.
func (r *rig) condition(kind string) {
	r.t.Helper()
	r.until("the condition "+kind, func() error {
		var f crd.Fleet
		if err := r.get(&f, "live"); err != nil {
			return err
		}
		for _, c := range f.Status.Conditions {
			if c.Type == kind && c.Status == "True" {
				return nil
			}
		}
		return fmt.Errorf("conditions %+v", f.Status.Conditions)
	})
}

// What somebody changes or deletes of ours comes back, and what is not ours
// stays.
func testDrift(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api")
	stranger := &corev1.Service{ObjectMeta: r.meta("gr-stranger"), Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
	r.create(stranger)
	r.fleet("api")
	r.serves("baseline")
	var mesh networkingv1.VirtualService
	if err := r.get(&mesh, "greenroom.live.mesh.api"); err != nil {
		t.Fatal(err)
	}
	mesh.Spec.Http = mesh.Spec.Http[:1]
	if err := r.c.Update(t.Context(), &mesh); err != nil {
		t.Fatal(err)
	}
	r.until("the routes are mended", func() error {
		var now networkingv1.VirtualService
		if err := r.get(&now, "greenroom.live.mesh.api"); err != nil {
			return err
		}
		if len(now.Spec.Http) < 2 {
			return errors.New("they are not")
		}
		return nil
	})
	r.delete(&networkingv1.VirtualService{ObjectMeta: r.meta("greenroom.live.edge." + r.ns + ".edge")})
	r.serves("baseline")
	if err := r.get(&corev1.Service{}, "gr-stranger"); err != nil {
		t.Errorf("what is not ours: %v", err)
	}
}

// Where somebody else routes a host of the fleet, greenroom does not begin, and
// says so.
func testForeign(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api")
	theirs := r.foreign("api")
	r.fleet("api")
	r.condition("ForeignVirtualService")
	if err := r.get(&networkingv1.VirtualService{}, "greenroom.live.edge."+r.ns+".edge"); !apierrors.IsNotFound(err) {
		t.Errorf("an edge of ours beside theirs: %v", err)
	}
	r.release("r1", "2", "api")
	r.phase("r1", "Previewing")
	_, err := r.api.Promote(t.Context(), "r1", api.Promote{})
	var refused *api.Error
	if !errors.As(err, &refused) || refused.Code != "refused" {
		t.Errorf("promoted beside routes of somebody else: %v", err)
	}
	r.delete(theirs)
	r.serves("baseline")
}

// A person who promotes one Rollout in Argo changes nothing for ordinary
// requests, and is told of.
func testByHand(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api", "chat")
	r.fleet("api", "chat")
	r.serves("baseline")
	r.release("r1", "2", "api", "chat")
	r.phase("r1", "Previewing")
	u, err := r.rollout("chat")
	if err != nil {
		t.Fatal(err)
	}
	promote := client.RawPatch("application/merge-patch+json", []byte(`{"status":{"pauseConditions":null}}`))
	if err := r.c.Status().Patch(t.Context(), unstructuredRollout(u.Metadata.Namespace, u.Metadata.Name), promote); err != nil {
		t.Fatal(err)
	}
	r.active("chat", "2")
	r.condition("PromotedByHand")
	var vs networkingv1.VirtualService
	if err := r.get(&vs, "greenroom.live.mesh.chat"); err != nil {
		t.Fatal(err)
	}
	last := vs.Spec.Http[len(vs.Spec.Http)-1]
	if host := last.Route[0].Destination.Host; !strings.HasPrefix(host, "gr-chat-"+hashOf(image("chat", "1"))) {
		t.Errorf("calls without a stamp go to %s", host)
	}
	if _, err := r.api.Promote(t.Context(), "r1", api.Promote{}); err != nil {
		t.Fatal(err)
	}
	r.active("api", "2")
	if i := slices.IndexFunc(vs.Spec.Http, func(h *networkingapi.HTTPRoute) bool { return h.Name == "" }); i >= 0 {
		t.Errorf("route %d has no name", i)
	}
}

// Without the policy that keeps templates as they are, people are told.
func testGuard(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api")
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{}
	binding.Name = "greenroom-guard"
	r.delete(binding)
	defer install(t, cluster)
	r.fleet("api")
	r.condition("GuardMissing")
}

// Routes of somebody else that hand over have ours beside them, which take over
// when they go.
func testHandover(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api")
	theirs := r.foreign("api")
	r.fleet("api")
	r.condition("ForeignVirtualService")
	r.merge(theirs, `{"metadata":{"annotations":{"greenroom.dev/handover":"live"}}}`)
	r.serves("baseline")
	r.condition("ForeignVirtualService")
	r.delete(theirs)
	r.release("r1", "2", "api")
	r.phase("r1", "Previewing")
	r.promoted("r1")
	r.serves("r1")
}

// A release is not promoted before every gateway shows its routes.
func testViews(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api")
	r.fleet("api")
	r.serves("baseline")
	r.hidden.Store("/.greenroom/views")
	r.release("r1", "2", "api")
	r.phase("r1", "Previewing")
	short, cancel := context.WithTimeout(t.Context(), 6*time.Second) // twice what age alone takes
	defer cancel()
	if _, err := r.api.Promote(short, "r1", api.Promote{}); err == nil {
		t.Error("it is promoted, and no gateway shows it")
	}
	if one, err := r.api.Release(t.Context(), "r1"); err != nil || one.Phase != "Preparing" {
		t.Errorf("it is shown as %s: %s (%v)", one.Phase, one.Reason, err)
	}
	r.hidden.Store("")
	if _, err := r.api.Promote(t.Context(), "r1", api.Promote{}); err != nil {
		t.Error(err)
	}
}

// promoted promotes a release as soon as nothing speaks against it: Argo needs
// a moment to follow the rollback before.
func (r *rig) promoted(name string) {
	r.t.Helper()
	r.until(name+" can be promoted", func() error {
		_, err := r.api.Promote(r.t.Context(), name, api.Promote{})
		return err
	})
}
