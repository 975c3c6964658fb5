package operator_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	api "github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/operator/operatortest"
)

// What a release waits for is told from its first moment on, wherever people
// look: that it is not open, that its pods crash; and of the edge nothing is told
// but what is there.
func testWaits(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api")
	r.argo.crashing = image("api", "2")
	theirs := r.foreign("api")
	r.fleet("api")
	r.condition("ForeignVirtualService")
	r.until("doctor names the cause alone", func() error {
		return r.found(func(f api.Finding) bool { return f.Check == "ForeignVirtualService" }, func(f api.Finding) bool { return f.Check == "gateway" })
	})
	r.delete(theirs)
	r.serves("baseline")
	r.until("doctor speaks of the one pod", func() error {
		return r.found(func(f api.Finding) bool { return f.Message == "the gateway pod gives ordinary requests baseline" }, nil)
	})
	r.until("the edge is named by what its Gateway takes", func() error {
		s, err := r.api.Status(t.Context())
		if err == nil && s.EdgeURL != "http://"+r.ns+".test" {
			err = fmt.Errorf("it is %s", s.EdgeURL)
		}
		return err
	})

	r.create(&crd.Release{ObjectMeta: r.meta("r1"), Spec: crd.ReleaseSpec{Services: []crd.ReleaseService{{Name: "api"}}}})
	r.until("the Release tells what it waits for", func() error { return r.reason("r1", "", "NoPreview: Rollout api: it has no preview") })
	r.until("the status has it, and why", func() error {
		s, err := r.api.Status(t.Context())
		if err == nil && (len(s.Releases) > 0 || len(s.Unopened) != 1 || s.Unopened[0].Name != "r1" || s.Unopened[0].Rule != "NoPreview" ||
			!strings.Contains(s.Unopened[0].Reason, "it has no preview") || !slices.Equal(s.Unopened[0].Services, []string{"api"})) {
			err = fmt.Errorf("it has %+v and %+v", s.Releases, s.Unopened)
		}
		return err
	})

	r.setImage("api", "2")
	const crash = "api does not start: CrashLoopBackOff (pod api-"
	r.until("the Release tells that its pods crash", func() error { return r.reason("r1", "Preparing", crash) })
	one, err := r.api.Release(t.Context(), "r1")
	if err != nil || !strings.HasPrefix(one.Reason, crash) || !strings.HasSuffix(one.Reason, "; kubectl greenroom logs api --release r1 says more") {
		t.Errorf("it is shown as %q (%v)", one.Reason, err)
	}
	if s, err := r.api.Status(t.Context()); err != nil || len(s.Unopened) > 0 {
		t.Errorf("it is open, and shown as %+v (%v)", s.Unopened, err)
	}
}

// found complains unless doctor finds one thing, and not another (nil: whatever
// else).
func (r *rig) found(want, not func(api.Finding) bool) error {
	all, err := r.api.Doctor(r.t.Context())
	if err == nil && (!slices.ContainsFunc(all, want) || not != nil && slices.ContainsFunc(all, not)) {
		err = fmt.Errorf("it finds %+v", all)
	}
	return err
}

// reason complains unless a Release's status has a phase, and a reason that
// begins like that.
func (r *rig) reason(name, phase, begins string) error {
	var o crd.Release
	err := r.get(&o, name)
	if err == nil && (o.Status.Phase != phase || !strings.HasPrefix(o.Status.Reason, begins)) {
		err = fmt.Errorf("it is %q: %q", o.Status.Phase, o.Status.Reason)
	}
	return err
}
