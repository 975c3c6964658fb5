package kubernetes

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/release"
)

func change(t *testing.T, f *crd.Fleet, v Value, seen map[string]Seen) Value {
	t.Helper()
	c, templates := Change(f, v, seen)
	next, err := v.State.Apply(c, release.Greenroom(), noon)
	if err != nil {
		t.Fatal(err)
	}
	return v.Opening(next, templates)
}

// An autoscaler that takes pods away takes them from a preview as well: that is
// no reason to hold it back.
func TestAPreviewFollowsTheAutoscaler(t *testing.T) {
	w := released(t)
	w.in.Value = change(t, w.in.Fleet, w.in.Value, nil)
	w.in.Value.State.Pending = nil
	for _, replicas := range []string{"8", "3"} {
		w.in.Value = change(t, w.in.Fleet, w.in.Value, map[string]Seen{"chat": {Rollout: rollout(t, "replicas: 3", "replicas: "+replicas)}})
	}
	if events := w.in.Value.State.Pending; len(events) > 0 {
		t.Errorf("events %+v", events)
	}
	var three []*corev1.Pod
	for range 3 {
		three = append(three, pod("aaa", "11", true), pod("bbb", "22", true))
	}
	seen := map[string]Seen{"chat": {Rollout: rollout(t), Pods: ReadPods(three)}}
	o := release.Observation{Versions: Observe(w.in.Fleet, w.in.Value, seen)}
	if _, err := w.in.Value.State.Promote(release.Promotion{Name: "r42"}, o, w.alice, w.now); err != nil {
		t.Errorf("with as many pods as there are to be: %v", err)
	}
	revision := w.in.Value.State.Revision
	if again := change(t, w.in.Fleet, w.in.Value, seen); again.State.Revision != revision {
		t.Error("the same again was a change")
	}
}

// A service that was fixed is released by its Rollout as soon as the pods that
// serve are known.
func TestAServiceIsNotFixedAnyMore(t *testing.T) {
	f := newWorld(t, "chat", "web").in.Fleet
	f.Spec.Services[0].Fixed, f.Spec.Services[1].Fixed = true, true
	v, conditions := Begin(f, nil, release.Greenroom(), noon)
	if len(conditions) > 0 {
		t.Fatalf("%+v", conditions)
	}
	f.Spec.Services[0].Fixed = false
	if v = change(t, f, v, nil); v.State.DefaultVersion("chat") != "chat@fixed" {
		t.Errorf("without a Rollout: %s", v.State.DefaultVersion("chat"))
	}
	seen := map[string]Seen{"chat": {Rollout: rollout(t), Pods: ReadPods([]*corev1.Pod{pod("aaa", "11", true)})}}
	v = change(t, f, v, seen)
	if diff := cmp.Diff(map[string]string{"chat": "chat@aaa", "web": "web@fixed"}, v.State.Views[release.Baseline].Versions); diff != "" {
		t.Error(diff)
	}
	if v.Templates["chat@aaa"].Hash != "aaa" {
		t.Errorf("templates %+v", v.Templates)
	}
	if status := Observe(f, v, seen)["chat@aaa"]; status.Ready != 1 {
		t.Errorf("its pods: %+v", status)
	}
	revision := v.State.Revision
	if v = change(t, f, v, seen); v.State.Revision != revision {
		t.Error("the same again was a change")
	}
	// And back: what serves goes on, and nothing is asked for without end.
	f.Spec.Services[0].Fixed = true
	v.State, _ = release.Step(v.State, release.Observation{Versions: Observe(f, v, nil)}, noon) // forgets chat@fixed
	_, actions := release.Step(v.State, release.Observation{Versions: Observe(f, v, nil)}, noon)
	if len(actions) > 0 {
		t.Errorf("fixed again: %+v are to be done for ever", actions)
	}
}
