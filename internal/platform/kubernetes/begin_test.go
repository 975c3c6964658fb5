package kubernetes

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/release"
)

const chatImage = "registry.example.com:5000/chat@sha256:"

// A fleet's whole way through a release, with what Argo writes at each point.
func TestAReleaseFromItsRollouts(t *testing.T) {
	f := newWorld(t, "chat", "legacy", "later").in.Fleet
	f.Spec.Services[1].Fixed = true
	pods := ReadPods([]*corev1.Pod{pod("aaa", "11", true), pod("bbb", "22", true)})
	seen := map[string]Seen{"chat": {Rollout: rollout(t), Pods: pods}}
	alice := release.Actor{Who: "alice"}

	v, conditions := Begin(f, seen, alice, noon)
	if len(conditions) != 1 || conditions[0].Type != RolloutMissing || conditions[0].Object != "Rollout later" {
		t.Errorf("at first: %+v", conditions)
	}
	if diff := cmp.Diff(map[string]string{"chat": "chat@aaa", "legacy": "legacy@fixed"}, v.State.Views[release.Baseline].Versions); diff != "" {
		t.Error(diff)
	}
	want := Template{Hash: "aaa", Images: map[string]string{"chat": chatImage + "11"}}
	if diff := cmp.Diff(want, v.Templates["chat@aaa"]); diff != "" {
		t.Error(diff)
	}

	r := &crd.Release{ObjectMeta: metav1.ObjectMeta{Name: "r42", UID: types.UID("u-1")}, Spec: crd.ReleaseSpec{
		Services: []crd.ReleaseService{{Name: "chat", Version: "2.5.0", Image: chatImage + "22"}},
		Hooks:    crd.Hooks{Verify: []crd.Hook{{Name: "smoke", Job: "smoke"}}},
	}}
	o, templates, conditions := Opening(r, f, seen)
	if len(conditions) != 0 || o.UID != "u-1" || o.RollbackWindow != time.Hour || o.Keep != time.Hour || templates["chat@2.5.0"].Hash != "bbb" ||
		len(o.Versions) != 1 || o.Versions[0].Replicas != 3 || len(o.Hooks[release.Verify]) != 1 {
		t.Fatalf("opening: %+v, %v, %+v", o, templates, conditions)
	}
	s, err := v.State.Open(o, alice, noon)
	if err != nil {
		t.Fatal(err)
	}
	v.State, v.Templates["chat@2.5.0"] = s, templates["chat@2.5.0"]

	one := []*corev1.Pod{pod("aaa", "11", true), pod("bbb", "22", true)}
	v.State, _ = release.Step(v.State, release.Observation{Versions: Observe(f, v, seen)}, noon)
	if got := v.State.Releases["r42"]; got.Phase != release.Preparing || got.Reason != "waiting for chat@2.5.0 (1 of 3 ready)" {
		t.Errorf("with one pod of three: %s, %s", got.Phase, got.Reason)
	}
	seen["chat"] = Seen{Rollout: rollout(t), Pods: ReadPods(append(one, pod("bbb", "22", true), pod("bbb", "22", true)))}
	v.State, _ = release.Step(v.State, release.Observation{Versions: Observe(f, v, seen)}, noon)
	status := ProjectRelease(&crd.Release{ObjectMeta: metav1.ObjectMeta{Name: "r42", UID: types.UID(v.State.Releases["r42"].UID), Generation: 4}}, v, Observe(f, v, seen), nil, noon)
	wanted := []crd.ReleaseVersion{{Service: "chat", Version: "2.5.0", PodTemplateHash: "bbb", Image: chatImage + "22", Replaces: "aaa", Ready: 3, Replicas: 3}}
	if diff := cmp.Diff(wanted, status.Versions); diff != "" || status.Phase != "Previewing" || status.Stamp != "r42" || status.Content != 1 || status.ObservedGeneration != 4 {
		t.Errorf("%+v %s", status, diff)
	}
}

func TestOpeningWaitsForWhatIsMissing(t *testing.T) {
	f := newWorld(t, "chat", "web").in.Fleet
	r := &crd.Release{Spec: crd.ReleaseSpec{Services: []crd.ReleaseService{{Name: "chat"}, {Name: "web"}}}}
	seen := map[string]Seen{"chat": {Rollout: rollout(t)}}
	_, _, conditions := Opening(r, f, seen)
	var types []string
	for _, c := range conditions {
		types = append(types, c.Type)
	}
	if diff := cmp.Diff([]string{NoPreview, RolloutMissing}, types); diff != "" {
		t.Error(diff)
	}
	r.Spec.Services = append(r.Spec.Services, crd.ReleaseService{Name: "nobody"})
	if _, _, conditions = Opening(r, f, seen); len(conditions) != 1 || conditions[0].Type != Invalid {
		t.Errorf("got %+v", conditions)
	}
}

// Two versions of one name are the same only if template and images are.
func TestDigestsTellTemplatesApart(t *testing.T) {
	base := Template{Hash: "aaa", Images: map[string]string{"chat": chatImage + "11"}}
	for _, c := range []struct {
		other Template
		same  bool
	}{
		{Template{Hash: "aaa", Images: map[string]string{"chat": "mirror.example.com/chat@sha256:11"}}, true},
		{Template{Hash: "aab", Images: base.Images}, false},
		{Template{Hash: "aaa", Images: map[string]string{"chat": chatImage + "12"}}, false},
	} {
		if same := c.other.digest() == base.digest(); same != c.same {
			t.Errorf("%+v: same %v", c.other, same)
		}
	}
}

func TestProjectFleet(t *testing.T) {
	w := newWorld(t, "chat")
	w.open("r42", "chat", "2")
	promoted, err := w.in.Value.State.Promote(release.Promotion{Name: "r42"}, w.observation(), w.alice, w.now)
	if err != nil {
		t.Fatal(err)
	}
	v := w.in.Value
	v.State = promoted
	old := crd.FleetStatus{Events: make([]crd.Event, maxEvents)}
	block := Condition{Type: RolloutDegraded, Object: "Rollout chat", Message: "too slow.", Remedy: "Look.", Blocks: true}
	advice := Condition{Type: PassesBlocked, Object: "x", Message: "y."}
	first, err := ProjectFleet(old, v, []Condition{advice, block}, 7, noon)
	if err != nil {
		t.Fatal(err)
	}
	if s := first.Serving; s.Release != "r42" || s.Before != "baseline" || s.Until == nil || !s.Until.Time.Equal(noon.Add(time.Hour)) {
		t.Errorf("serving %+v", s)
	}
	if last := first.Events[len(first.Events)-1]; len(first.Events) != maxEvents || last.Type != "ReleasePromoted" || last.Who != "alice" {
		t.Errorf("%d events, the last %+v", len(first.Events), last)
	}
	if got, err := DecodeValue(first.State); err != nil || got.State.Default != "r42" {
		t.Errorf("the state that was kept: %v", err)
	}
	at := metav1.NewTime(noon)
	want := []metav1.Condition{
		{Type: "Ready", Status: "False", Reason: RolloutDegraded, Message: "Rollout chat: too slow. Look.", ObservedGeneration: 7, LastTransitionTime: at},
		{Type: PassesBlocked, Status: "True", Reason: "Advice", Message: "x: y.", ObservedGeneration: 7, LastTransitionTime: at},
		{Type: RolloutDegraded, Status: "True", Reason: "BlocksPromotion", Message: "Rollout chat: too slow. Look.", ObservedGeneration: 7, LastTransitionTime: at},
	}
	if diff := cmp.Diff(want, first.Conditions); diff != "" {
		t.Error(diff)
	}
	then, err := ProjectFleet(first, v, []Condition{advice}, 8, noon.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if c := then.Conditions; len(c) != 2 || c[0].Status != "True" || !c[0].LastTransitionTime.Time.Equal(noon.Add(time.Hour)) || !c[1].LastTransitionTime.Time.Equal(noon) {
		t.Errorf("then %+v", then.Conditions)
	}
}
