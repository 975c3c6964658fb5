package operator_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	api "github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/operator/operatortest"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
)

// A Release that has ended is left alone, also when the state has forgotten it,
// until its spec is changed.
func testForgotten(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api", "chat")
	r.fleet("api", "chat")
	r.serves("baseline")
	r.merge(&crd.Fleet{ObjectMeta: r.meta("live")}, `{"spec":{"history":0,"quiet":"1s"}}`)
	r.release("r1", "2", "api")
	r.phase("r1", "Previewing")
	if _, err := r.api.Abort(t.Context(), "r1", api.Asked{}); err != nil {
		t.Fatal(err)
	}
	r.until("r1 is forgotten", func() error {
		all, err := r.api.Releases(t.Context())
		if err == nil && len(all) > 0 {
			err = fmt.Errorf("%+v", all)
		}
		return err
	})
	r.image("api", "1")
	r.release("r2", "2", "chat") // the older one is looked at before it
	r.phase("r2", "Previewing")
	r.phase("r1", "Aborted")
	r.image("api", "1")
	if n := r.counted("ReleaseOpened", "r1"); n != 1 {
		t.Errorf("r1 was opened %d times", n)
	}
	r.merge(&crd.Release{ObjectMeta: r.meta("r1")}, fmt.Sprintf(`{"spec":{"services":[{"name":"api","image":%q,"apply":true}]}}`, image("api", "3")))
	r.phase("r1", "Previewing")
	r.image("api", "3")
}

// A Release that failed is tried again when somebody asks for it, or when there
// is another preview, and not before.
func testFailed(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api", "chat")
	r.fleet("api", "chat")
	r.serves("baseline")
	r.setImage("api", "2")
	r.create(&crd.Release{ObjectMeta: r.meta("r1"), Spec: crd.ReleaseSpec{
		Services: []crd.ReleaseService{{Name: "api"}}, Hooks: crd.Hooks{Prepare: []crd.Hook{{Name: "migrate", Job: "missing"}}},
	}})
	r.phase("r1", "Failed")
	r.release("r2", "2", "chat")
	r.phase("r2", "Previewing")
	r.phase("r1", "Failed")
	if n := r.counted("ReleaseFailed", "r1"); n != 1 {
		t.Errorf("r1 failed %d times", n)
	}
	if _, err := r.api.OpenRelease(t.Context(), api.Open{Document: api.Document{Name: "r1.yaml", Data: "kind: Release\nmetadata: {name: r1}\n"}}); err != nil {
		t.Error(err)
	}
	r.until("it is tried again as somebody asked", func() error { return r.failedTimes("r1", 2) })
	r.setImage("api", "3")
	r.until("it is tried again with another preview", func() error { return r.failedTimes("r1", 3) })
}

func (r *rig) failedTimes(name string, n int) error {
	if got := r.counted("ReleaseFailed", name); got < n {
		return fmt.Errorf("it failed %d times", got)
	}
	return nil
}

// What keeps a Release comes back, and stays until the hooks that are read from
// it have run.
func testFinalizer(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api")
	r.fleet("api")
	r.serves("baseline")
	r.create(&batchv1.CronJob{ObjectMeta: r.meta("clean"), Spec: batchv1.CronJobSpec{
		Schedule: "0 0 1 1 *", Suspend: new(true),
		JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "clean", Image: "clean"}},
		}}}},
	}})
	one := &crd.Release{ObjectMeta: r.meta("r1"), Spec: crd.ReleaseSpec{
		Services: []crd.ReleaseService{{Name: "api", Image: image("api", "2"), Apply: true}},
		Hooks:    crd.Hooks{Abort: []crd.Hook{{Name: "clean", Job: "clean", Timeout: v1alpha1.Duration("1h")}}},
	}}
	r.create(one)
	r.phase("r1", "Previewing")
	r.merge(one, `{"metadata":{"finalizers":null}}`)
	r.until("the finalizer is back", func() error { return r.held("r1") })

	r.delete(&crd.Release{ObjectMeta: r.meta("r1")})
	r.phase("r1", "Aborted")
	var jobs batchv1.JobList
	r.until("the abort hook runs", func() error {
		err := r.c.List(t.Context(), &jobs, client.InNamespace(r.ns))
		if err == nil && len(jobs.Items) == 0 {
			err = errors.New("there is no Job")
		}
		return err
	})
	r.until("it is told that it waits", func() error { return r.told("r1", "DeletionWaits") })
	if err := r.held("r1"); err != nil {
		t.Error(err)
	}
	j, now := &jobs.Items[0], metav1.Now()
	j.Status = batchv1.JobStatus{StartTime: &now, CompletionTime: &now, Conditions: []batchv1.JobCondition{
		{Type: batchv1.JobSuccessCriteriaMet, Status: corev1.ConditionTrue, LastTransitionTime: now},
		{Type: batchv1.JobComplete, Status: corev1.ConditionTrue, LastTransitionTime: now},
	}}
	if err := r.c.Status().Update(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	r.gone(&crd.Release{}, "r1")
	r.logged("ReleaseAborted", "HookPassed")
}

// A Fleet that goes leaves nothing that holds people up, also when no operator
// runs at that time.
func testAbandoned(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api")
	r.fleet("api")
	r.serves("baseline")
	r.release("r1", "2", "api")
	r.phase("r1", "Previewing")
	r.guarded("api", true)
	template := &appsv1.Deployment{ObjectMeta: r.meta("template"), Spec: appsv1.DeploymentSpec{
		Replicas: new(int32(0)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "template"}},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "template"}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "api", Image: "api"}}}},
	}}
	template.Annotations = map[string]string{kubernetes.GuardAnnotation: "r1"}
	r.create(template)
	r.delete(&crd.Fleet{ObjectMeta: r.meta("live")})
	r.guarded("api", false)
	r.until("the Deployment is not guarded any more", func() error {
		err := r.get(template, "template")
		if err == nil && len(template.Annotations) > 0 {
			err = fmt.Errorf("annotations %v", template.Annotations)
		}
		return err
	})
	r.until("the finalizer is gone", func() error {
		if r.held("r1") == nil {
			return errors.New("it is there")
		}
		return nil
	})

	r.fleet("api") // its state is taken from the copy
	r.until("r1 is kept again", func() error { return r.held("r1") })
	r.guarded("api", true)
	r.stop()
	r.delete(&crd.Fleet{ObjectMeta: r.meta("live")})
	r.delete(&crd.Release{ObjectMeta: r.meta("r1")})
	r.start()
	r.gone(&crd.Release{}, "r1")
	r.guarded("api", false)
}

// A second Fleet does not take the Releases of the only one away.
func testSecondFleet(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api", "gift")
	r.fleet("api")
	r.serves("baseline")
	r.release("r1", "2", "api")
	r.phase("r1", "Previewing")
	other := &crd.Fleet{ObjectMeta: r.meta("other"), Spec: crd.FleetSpec{
		Edge: crd.Edge{
			Gateways: []crd.Gateway{{Name: r.ns + "/edge", Hosts: []string{"other." + r.ns + ".test"}, Selector: map[string]string{"istio": "ingress-" + r.ns}}},
			Routes:   []crd.Route{{Route: v1alpha1.Route{Service: "gift"}}},
		},
		Services: []crd.Service{{Name: "gift"}},
	}}
	r.create(other)
	r.until("the other is kept", func() error {
		err := r.get(other, "other")
		if err == nil && other.Status.State == nil {
			err = errors.New("it has no state")
		}
		return err
	})
	if _, err := r.api.Promote(t.Context(), "r1", api.Promote{}); err != nil {
		t.Fatal(err)
	}
	r.phase("r1", "Live")
}

// merge changes an object.
func (r *rig) merge(o client.Object, patch string) {
	r.t.Helper()
	if err := r.c.Patch(r.t.Context(), o, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		r.t.Fatal(err)
	}
}

// setImage changes a Rollout as whoever keeps its manifest does.
func (r *rig) setImage(service, version string) {
	r.t.Helper()
	r.merge(unstructuredRollout(r.ns, service), fmt.Sprintf(`{"metadata":{"annotations":{%q:null}}}`, kubernetes.GuardAnnotation))
	r.merge(unstructuredRollout(r.ns, service), fmt.Sprintf(
		`{"spec":{"template":{"spec":{"containers":[{"name":%q,"image":%q}]}}}}`, service, image(service, version)))
}

// image waits until a Rollout's template has a version.
func (r *rig) image(service, version string) {
	r.t.Helper()
	r.until(service+" has the image of version "+version, func() error {
		o, err := r.rollout(service)
		if err == nil && o.Spec.Template.Spec.Containers[0].Image != image(service, version) {
			err = errors.New("it has " + o.Spec.Template.Spec.Containers[0].Image)
		}
		return err
	})
}

// guarded waits until a Rollout is guarded, or is not.
func (r *rig) guarded(service string, want bool) {
	r.t.Helper()
	r.until(fmt.Sprintf("%s guarded: %v", service, want), func() error {
		o, err := r.rollout(service)
		if _, is := o.Metadata.Annotations[kubernetes.GuardAnnotation]; err == nil && is != want {
			err = fmt.Errorf("annotations %v", o.Metadata.Annotations)
		}
		return err
	})
}

// held is nil while a Release has the operator's finalizer.
func (r *rig) held(name string) error {
	var o crd.Release
	if err := r.get(&o, name); err != nil {
		return err
	}
	if !slices.Contains(o.Finalizers, "greenroom.dev/release") {
		return fmt.Errorf("%s has the finalizers %v", name, o.Finalizers)
	}
	return nil
}

// told is nil while a Release has a condition.
func (r *rig) told(name, kind string) error {
	var o crd.Release
	if err := r.get(&o, name); err != nil {
		return err
	}
	for _, c := range o.Status.Conditions {
		if c.Type == kind && c.Status == metav1.ConditionTrue {
			return nil
		}
	}
	return fmt.Errorf("conditions %+v", o.Status.Conditions)
}

// counted is how often the Fleet's status tells of an event.
func (r *rig) counted(kind, name string) int {
	r.t.Helper()
	var f crd.Fleet
	if err := r.get(&f, "live"); err != nil {
		r.t.Fatal(err)
	}
	n := 0
	for _, e := range f.Status.Events {
		if e.Type == kind && e.Release == name {
			n++
		}
	}
	return n
}

// An image that was set for a Release of which nobody knows any more goes back.
func testOrphan(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api")
	r.fleet("api")
	r.serves("baseline")
	r.merge(unstructuredRollout(r.ns, "api"), fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}},"spec":{"template":{"spec":{"containers":[{"name":"api","image":%q}]}}}}`,
		kubernetes.FormerImageAnnotation, "gone/api="+image("api", "1")+">"+image("api", "2"), image("api", "2")))
	r.image("api", "1")
	r.until("the note is gone", func() error { return r.noted("api", 0) })
}

// A release over one that is live has its own image to put back, and leaves the
// other's.
func testTwoImages(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api")
	r.fleet("api")
	r.serves("baseline")
	r.release("r1", "2", "api")
	r.phase("r1", "Previewing")
	r.promoted("r1")
	r.active("api", "2")
	r.release("r2", "3", "api")
	r.phase("r2", "Previewing")
	if err := r.noted("api", 2); err != nil {
		t.Error(err)
	}
	if _, err := r.api.Abort(t.Context(), "r2", api.Asked{}); err != nil {
		t.Fatal(err)
	}
	r.image("api", "2")
	r.until("the live one can still be put back", func() error { return r.noted("api", 1) })
	if _, err := r.api.Rollback(t.Context(), "r1", api.Asked{}); err != nil {
		t.Fatal(err)
	}
	r.image("api", "1")
}

// noted counts the images that are to be put back in a Rollout.
func (r *rig) noted(service string, n int) error {
	o, err := r.rollout(service)
	if err != nil {
		return err
	}
	if got := kubernetes.FormerImages(o.Metadata.Annotations[kubernetes.FormerImageAnnotation]); len(got) != n {
		return fmt.Errorf("%d images are to be put back: %s", len(got), got)
	}
	return nil
}
