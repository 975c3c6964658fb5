package kubernetes

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// waiting is a Rollout as Argo writes it while it waits for a promotion.
const waiting = `
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: chat, namespace: shop, generation: 7, resourceVersion: "77"}
spec:
  replicas: 3
  selector: {matchLabels: {app: chat}}
  strategy:
    blueGreen:
      activeService: chat
      previewService: chat-preview
      autoPromotionEnabled: false
      scaleDownDelaySeconds: 3630
  template:
    metadata: {labels: {app: chat}}
    spec:
      containers:
      - {name: chat, image: "registry.example.com:5000/chat:2"}
status:
  observedGeneration: "7"
  phase: Paused
  currentPodHash: bbb
  stableRS: aaa
  pauseConditions: [{reason: BlueGreenPause, startTime: "2026-05-06T12:00:00Z"}]
  blueGreen: {activeSelector: aaa, previewSelector: bbb}
`

// rollout reads waiting after some changes to its text.
func rollout(t *testing.T, oldNew ...string) *Rollout {
	t.Helper()
	u := &unstructured.Unstructured{}
	text := waiting
	for i := 0; i < len(oldNew); i += 2 {
		if !strings.Contains(text, oldNew[i]) {
			t.Fatalf("the Rollout has no %q", oldNew[i])
		}
		text = strings.ReplaceAll(text, oldNew[i], oldNew[i+1])
	}
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	r, err := ReadRollout(u)
	if err != nil {
		t.Fatal(err)
	}
	return &r
}

func TestReadRollout(t *testing.T) {
	r := rollout(t)
	hash, previews := r.Preview()
	if r.Active() != "aaa" || hash != "bbb" || !previews || !r.Waits() || r.Replicas() != 3 || r.Spec.Strategy.BlueGreen.ScaleDownDelay() != 3630*time.Second {
		t.Errorf("got %+v", r)
	}
	for name, changes := range map[string][]string{
		"not observed yet": {`generation: 7`, `generation: 8`},
		"nothing new":      {`currentPodHash: bbb`, `currentPodHash: aaa`},
		"aborted":          {`phase: Paused`, `abort: true`},
		"no status yet":    {`currentPodHash: bbb`, `currentPodHash: ""`},
	} {
		if hash, previews := rollout(t, changes...).Preview(); previews {
			t.Errorf("%s: previews %s", name, hash)
		}
	}
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"replicas": "three"}}}
	if _, err := ReadRollout(u); err == nil {
		t.Error("a Rollout of another form was read")
	}
}

// pod makes a pod of chat.
func pod(hash, digest string, ready bool) *corev1.Pod {
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "chat-" + hash, Labels: map[string]string{HashLabel: hash}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "chat"}, {Name: sidecarName}}},
		Status: corev1.PodStatus{
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: status}},
			ContainerStatuses: []corev1.ContainerStatus{
				{Name: "chat", Image: "registry.example.com:5000/chat:2", ImageID: "registry.example.com:5000/chat@sha256:" + digest},
				{Name: sidecarName, Image: "docker.io/istio/proxyv2:1.31", ImageID: "sha256:ee"},
			},
		},
	}
}

func TestReadPods(t *testing.T) {
	leaving := pod("aaa", "11", true)
	leaving.DeletionTimestamp = &metav1.Time{Time: noon}
	leaving.Status.ContainerStatuses[0].State.Terminated = &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 143}
	over := pod("aaa", "11", false)
	over.Status.Phase = corev1.PodSucceeded
	bare := pod("aaa", "12", true)
	bare.Spec.Containers = bare.Spec.Containers[:1]
	stuck := pod("bbb", "22", false)
	stuck.Status.ContainerStatuses[0] = corev1.ContainerStatus{Name: "chat", State: corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such tag"}}}
	initial := pod("ddd", "11", false)
	initial.Status.ContainerStatuses = nil
	initial.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "migrate", State: corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}}}
	again := pod("fff", "11", false)
	again.Status.ContainerStatuses[0].RestartCount = 2
	again.Status.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137}
	later := pod("ddd", "11", false)
	later.Name = "chat-eee"
	later.Status.ContainerStatuses[0].State.Waiting = &corev1.ContainerStateWaiting{Reason: "ErrImagePull"}
	stranger := pod("", "33", true)
	native := pod("ccc", "11", true)
	native.Spec.InitContainers, native.Spec.Containers = native.Spec.Containers[1:], native.Spec.Containers[:1]
	got := ReadPods([]*corev1.Pod{pod("aaa", "11", true), leaving, over, bare, stuck, stranger, native, later, initial, again})
	want := map[string]Pods{
		"aaa": {Total: 3, Ready: 2, Proxied: 2, Images: map[string][]string{
			"chat": {"registry.example.com:5000/chat@sha256:11", "registry.example.com:5000/chat@sha256:12"}}},
		"bbb": {Total: 1, Proxied: 1, Images: map[string][]string{}, Trouble: Trouble{Pod: "chat-bbb", Reason: "ImagePullBackOff", Message: "no such tag"}},
		"ccc": {Total: 1, Ready: 1, Proxied: 1, Images: map[string][]string{"chat": {"registry.example.com:5000/chat@sha256:11"}}},
		"ddd": {Total: 2, Proxied: 2, Images: map[string][]string{"chat": {"registry.example.com:5000/chat@sha256:11"}},
			Trouble: Trouble{Pod: "chat-ddd", Reason: "CrashLoopBackOff", Ran: true}},
		"fff": {Total: 1, Proxied: 1, Images: map[string][]string{"chat": {"registry.example.com:5000/chat@sha256:11"}},
			Trouble: Trouble{Pod: "chat-fff", Reason: "OOMKilled", Message: "exit code 137, restarted 2 times", Ran: true}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestMatch(t *testing.T) {
	const named = "registry.example.com:5000/chat"
	running := ReadPods([]*corev1.Pod{pod("aaa", "11", true), pod("bbb", "22", true)})
	mixed := ReadPods([]*corev1.Pod{pod("bbb", "22", true), pod("bbb", "23", true)})
	for name, c := range map[string]struct {
		want    crd.ReleaseService
		rollout *Rollout
		pods    map[string]Pods
		refused string // type of the condition; empty: bbb matches
	}{
		"whatever it previews":    {crd.ReleaseService{Name: "chat"}, rollout(t), running, ""},
		"the digest that runs":    {crd.ReleaseService{Name: "chat", Image: named + "@sha256:22"}, rollout(t), running, ""},
		"that digest, with a tag": {crd.ReleaseService{Name: "chat", Image: named + ":latest@sha256:22"}, rollout(t), running, ""},
		"another digest":          {crd.ReleaseService{Name: "chat", Image: named + "@sha256:99"}, rollout(t), running, ImageDiffers},
		"another, the tag equal":  {crd.ReleaseService{Name: "chat", Image: named + ":2@sha256:99"}, rollout(t), running, ImageDiffers},
		"the template's tag":      {crd.ReleaseService{Name: "chat", Image: named + ":2"}, rollout(t), running, ""},
		"another tag":             {crd.ReleaseService{Name: "chat", Image: named + ":3"}, rollout(t), running, ImageDiffers},
		"a tag, nothing runs":     {crd.ReleaseService{Name: "chat", Image: named + ":2"}, rollout(t), nil, NoPreview},
		"a tag that was moved":    {crd.ReleaseService{Name: "chat", Image: named + ":2"}, rollout(t), mixed, ImageDiffers},
		"no such container":       {crd.ReleaseService{Name: "chat", Image: named + ":2", Container: "main"}, rollout(t), running, ImageDiffers},
		"no preview":              {crd.ReleaseService{Name: "chat"}, rollout(t, "currentPodHash: bbb", "currentPodHash: aaa"), running, NoPreview},
		"canary strategy":         {crd.ReleaseService{Name: "chat"}, rollout(t, "blueGreen:\n      active", "canary:\n      active"), running, CanaryStrategy},
		"promotes by itself":      {crd.ReleaseService{Name: "chat"}, rollout(t, "autoPromotionEnabled: false", "autoPromotionEnabled: true"), running, AutoPromotion},
		"promotes by default":     {crd.ReleaseService{Name: "chat"}, rollout(t, "autoPromotionEnabled: false\n", "antiAffinity: {}\n"), running, AutoPromotion},
		"a preview of fewer pods": {crd.ReleaseService{Name: "chat"}, rollout(t, "autoPromotionEnabled: false", "autoPromotionEnabled: false\n      previewReplicaCount: 1"), running, PreviewTooSmall},
	} {
		got, c2 := Match(c.want, Seen{Rollout: c.rollout, Template: c.rollout.Spec.Template, Pods: c.pods})
		switch {
		case c.refused == "" && (c2 != nil || got.Hash != "bbb" || got.Images["chat"] != named+"@sha256:22"):
			t.Errorf("%s: got %+v, %+v", name, got, c2)
		case c.refused != "" && (c2 == nil || c2.Type != c.refused || c2.Remedy == "" || !c2.Blocks):
			t.Errorf("%s: got %+v, %+v; want %s", name, got, c2, c.refused)
		}
	}
}

// A preview that cannot start says which pod, why, and what tells more.
func TestMatchTellsWhyAPreviewDoesNotStart(t *testing.T) {
	stuck := pod("bbb", "22", false)
	stuck.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "chat", State: corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such tag"}}}}
	_, c := Match(crd.ReleaseService{Name: "chat"}, Seen{Rollout: rollout(t), Pods: ReadPods([]*corev1.Pod{stuck})})
	if c == nil || c.Type != NoPreview || c.Message != "its preview does not start: pod chat-bbb: ImagePullBackOff: no such tag." ||
		c.Remedy != "kubectl -n shop describe pod chat-bbb says more." {
		t.Errorf("got %+v", c)
	}
}

// released is a fleet of chat alone, with pods aaa that serve and bbb of r42.
func released(t *testing.T) *world {
	w := newWorld(t, "chat")
	w.open("r42", "chat", "2")
	w.in.Value.Templates["chat@1"] = Template{Hash: "aaa", Images: map[string]string{"chat": "registry.example.com:5000/chat@sha256:11"}}
	w.in.Value.Templates["chat@2"] = Template{Hash: "bbb", Images: map[string]string{"chat": "registry.example.com:5000/chat@sha256:22"}}
	return w
}

func TestInspect(t *testing.T) {
	pods := ReadPods([]*corev1.Pod{pod("aaa", "11", true), pod("bbb", "22", true)})
	previewing, live := released(t), released(t)
	live.promote("r42")
	back := released(t)
	back.promote("r42")
	back.must(back.in.Value.State.Rollback("r42", back.alice, back.now))
	mended := released(t)
	mended.promote("r42")
	mended.must(mended.in.Value.State.Rollback("r42", mended.alice, mended.now))
	mended.must(mended.in.Value.State.Rebase(release.Opening{Name: "r42", Description: "mended", Versions: []release.Version{mended.in.Value.State.Versions["chat@2"]}}, mended.alice, mended.now))
	settled := released(t)
	settled.promote("r42")
	settled.later(time.Hour)
	settled.later(time.Hour)
	bare := pod("aaa", "11", true)
	bare.Spec.Containers = bare.Spec.Containers[:1]
	promoted := []string{"activeSelector: aaa", "activeSelector: bbb", "phase: Paused", "phase: Healthy", "BlueGreenPause", "None"}
	for name, c := range map[string]struct {
		w    *world
		seen Seen
		want []string // types
		says string   // part of the message and remedy
	}{
		"all is well in preview":   {previewing, Seen{Rollout: rollout(t), Pods: pods}, nil, ""},
		"no Rollout":               {previewing, Seen{}, []string{RolloutMissing}, "fixed: true"},
		"delay too short":          {previewing, Seen{Rollout: rollout(t, "3630", "600"), Pods: pods}, []string{ScaleDownDelayTooShort}, "scaleDownDelaySeconds: 3630. Until then the rollback window is 9m30s"},
		"paused by hand":           {previewing, Seen{Rollout: rollout(t, "  replicas: 3", "  paused: true"), Pods: pods}, []string{RolloutPaused}, ""},
		"degraded":                 {previewing, Seen{Rollout: rollout(t, "phase: Paused", "phase: Degraded\n  message: too slow"), Pods: pods}, []string{RolloutDegraded}, "too slow"},
		"canary strategy":          {previewing, Seen{Rollout: rollout(t, "blueGreen:\n      active", "canary:\n      active"), Pods: pods}, []string{CanaryStrategy}, ""},
		"no sidecar":               {previewing, Seen{Rollout: rollout(t), Pods: ReadPods([]*corev1.Pod{bare})}, []string{SidecarMissing}, "the pod of aaa has no sidecar"},
		"a newer image in preview": {previewing, Seen{Rollout: rollout(t, "currentPodHash: bbb", "currentPodHash: ccc"), Pods: pods}, []string{TemplateChanged}, "changed to ccc while r42 is in Previewing"},
		"promoted by hand":         {previewing, Seen{Rollout: rollout(t, promoted...), Pods: pods}, []string{PromotedByHand}, "still get aaa"},
		"Argo follows soon":        {live, Seen{Rollout: rollout(t), Pods: pods}, nil, ""},
		"Argo has followed":        {live, Seen{Rollout: rollout(t, promoted...), Pods: pods}, nil, ""},
		"newer before Argo's turn": {live, Seen{Rollout: rollout(t, "currentPodHash: bbb", "currentPodHash: ccc"), Pods: pods}, []string{TemplateChanged}, "scales down after 1h0m30s"},
		"a newer image while live": {live, Seen{Rollout: rollout(t, append([]string{"currentPodHash: bbb", "currentPodHash: ccc"}, promoted...)...), Pods: pods}, nil, ""},
		"rolled back":              {back, Seen{Rollout: rollout(t, promoted...), Pods: pods, Deadline: noon.Add(time.Hour)}, []string{RollbackNeedsRevert}, "until 2026-05-06T13:00:00Z"},
		"rolled back and reverted": {back, Seen{Rollout: rollout(t, "currentPodHash: bbb", "currentPodHash: aaa"), Pods: pods}, []string{NotPreviewed}, "open r42 again, so that Argo previews it"},
		"then the next preview":    {back, Seen{Rollout: rollout(t, "currentPodHash: bbb", "currentPodHash: ccc"), Pods: pods}, []string{NotPreviewed}, "its template is ccc"},
		"then changed and opened":  {mended, Seen{Rollout: rollout(t, "currentPodHash: bbb", "currentPodHash: aaa"), Pods: pods}, []string{TemplateChanged}, "changed to aaa while r42 is in"},
		"settled":                  {settled, Seen{Rollout: rollout(t, promoted...), Pods: pods}, nil, ""},
		"changed beside greenroom": {settled, Seen{Rollout: rollout(t, "activeSelector: aaa", "activeSelector: ccc"), Pods: pods}, []string{ActiveDiffers}, "ordinary requests get bbb"},
	} {
		got := Inspect(c.w.in.Fleet, c.w.in.Value, nil, map[string]Seen{"chat": c.seen})
		for _, one := range got { // it is the way back that blocks nothing: the release may go live again
			if one.Type == RollbackNeedsRevert && one.Blocks {
				t.Errorf("%s: %s speaks against promoting it again", name, one.Type)
			}
			if one.Type == NotPreviewed && (len(Against("r42", got)) != 1 || len(Against("r43", got)) != 0 || Summarise(got)[0].Blocks) {
				t.Errorf("%s: %+v must speak against r42 alone", name, one)
			}
		}
		var types []string
		for _, one := range got {
			types = append(types, one.Type)
			if one.Remedy == "" || !strings.Contains(one.Message+" "+one.Remedy, c.says) {
				t.Errorf("%s: %s says %q, %q; want %q", name, one.Type, one.Message, one.Remedy, c.says)
			}
		}
		if diff := cmp.Diff(c.want, types); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// The operator sets an image again that it has put back: only what another
// release previews meanwhile is in the way.
func TestARolledBackReleaseWhoseImageIsSetAgain(t *testing.T) {
	w := released(t)
	w.promote("r42")
	w.must(w.in.Value.State.Rollback("r42", w.alice, w.now))
	w.in.Value.Opened = map[string]int64{"r42": 1}
	object := &crd.Release{Spec: crd.ReleaseSpec{Services: []crd.ReleaseService{{Name: "chat", Image: "registry.example.com:5000/chat:2", Apply: true}}}}
	object.Name, object.UID, object.Generation = "r42", "uid-r42", 1
	for now, want := range map[string]int{"aaa": 0, "bbb": 0, "ccc": 1} {
		seen := map[string]Seen{"chat": {Rollout: rollout(t, "currentPodHash: bbb", "currentPodHash: "+now)}}
		if got := Inspect(w.in.Fleet, w.in.Value, []*crd.Release{object}, seen); len(got) != want || len(Against("r42", got)) != want {
			t.Errorf("its template is %s: %+v", now, got)
		}
	}
}

func TestARolloutHasOnePreview(t *testing.T) {
	w := newWorld(t, "chat", "web")
	w.in.Fleet.Spec.Services = w.in.Fleet.Spec.Services[:1]
	w.open("r42", "chat", "2")
	w.open("r43", "chat", "3")
	got := Inspect(w.in.Fleet, w.in.Value, nil, map[string]Seen{"chat": {Rollout: rollout(t)}})
	found := false
	for _, c := range got {
		found = found || c.Type == SeveralPreviews && strings.Contains(c.Message, "r42 and r43")
	}
	if !found {
		t.Errorf("got %+v", got)
	}
}

func TestTheWindowIsNoLongerThanArgoKeepsPods(t *testing.T) {
	w := released(t)
	for _, c := range []struct {
		seconds string
		want    time.Duration
	}{{"3630", time.Hour}, {"7200", time.Hour}, {"90", time.Minute}, {"10", 0}} {
		seen := map[string]Seen{"chat": {Rollout: rollout(t, "3630", c.seconds)}}
		if got := Window(w.in.Fleet, time.Hour, []string{"chat"}, seen); got != c.want {
			t.Errorf("%s s: %s, want %s", c.seconds, got, c.want)
		}
	}
}

func TestObserve(t *testing.T) {
	w := released(t)
	both := ReadPods([]*corev1.Pod{pod("aaa", "11", true), pod("bbb", "22", true)})
	observe := func(r *Rollout, pods map[string]Pods) map[string]release.VersionStatus {
		return Observe(w.in.Fleet, w.in.Value, map[string]Seen{"chat": {Rollout: r, Pods: pods}})
	}
	for name, c := range map[string]struct {
		got  map[string]release.VersionStatus
		want release.VersionStatus // of chat@2
	}{
		"ready":             {observe(rollout(t), both), release.VersionStatus{Ready: 1, Replicas: 1}},
		"no pods yet":       {observe(rollout(t), ReadPods([]*corev1.Pod{pod("aaa", "11", true)})), release.VersionStatus{Replicas: 1}},
		"overtaken":         {observe(rollout(t, "currentPodHash: bbb", "currentPodHash: ccc"), ReadPods([]*corev1.Pod{pod("aaa", "11", true)})), release.VersionStatus{Replicas: 1, Failed: "its Rollout has another template now, and its pods are gone"}},
		"its tag was moved": {observe(rollout(t), ReadPods([]*corev1.Pod{pod("bbb", "23", true)})), release.VersionStatus{Replicas: 1}},
	} {
		if diff := cmp.Diff(c.want, c.got["chat@2"]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	w.must(w.in.Value.State.Abort("r42", w.alice, w.now))
	w.later(time.Hour)
	if got := observe(rollout(t), both)["chat@2"]; !got.Stopping || got.Gone {
		t.Errorf("aborted, pods left: %+v", got)
	}
	byHand := map[string]Seen{"chat": {Rollout: rollout(t, "activeSelector: aaa", "activeSelector: bbb"), Pods: both}}
	_, actions := release.Step(w.in.Value.State, release.Observation{Versions: Observe(w.in.Fleet, w.in.Value, byHand)}, w.now)
	if len(actions) > 0 {
		t.Errorf("aborted, and Argo still calls it active: %+v are to be done for ever", actions)
	}
	if got := observe(rollout(t), ReadPods([]*corev1.Pod{pod("aaa", "11", true)}))["chat@2"]; !got.Gone {
		t.Errorf("aborted, no pods left: %+v", got)
	}
}

func TestATemplateOfADeploymentIsKnownWhenArgoHasSeenIt(t *testing.T) {
	d := &appsv1.Deployment{}
	d.Generation = 4
	d.Annotations = map[string]string{FormerImageAnnotation: "chat=registry.example.com/chat:1"}
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "chat", Image: "registry.example.com/chat:3"}}
	for observed, want := range map[string]bool{"4": true, "3": false, "": false} {
		s := Seen{Rollout: rollout(t, "  phase: Paused", "  phase: Paused\n  workloadObservedGeneration: \""+observed+"\"")}
		s.TakeTemplate(d)
		if s.Rollout.Observed() != want || templateImage(s.Template, "chat") != "registry.example.com/chat:3" || s.FormerImage == "" {
			t.Errorf("observed as %q: %t, %+v", observed, s.Rollout.Observed(), s)
		}
	}
}
