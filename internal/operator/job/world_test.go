package job

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	clientset "k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/hook"
	"github.com/greenroom-dev/greenroom/internal/operator/operatortest"
	"github.com/greenroom-dev/greenroom/internal/pass"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// world is a fleet's namespace in an API server. The test is the controllers of
// Jobs and analyses, and the kubelet.
type world struct {
	*testing.T
	client client.Client
	pods   clientset.Interface
	node   *operatortest.Node
	fleet  types.NamespacedName
	hooks  crd.Hooks
	edge   string
	now    *clock

	mu      sync.Mutex
	results map[string]hook.Result
	signed  []pass.Claims
}

// clock is the time, which the test moves.
type clock struct {
	mu  sync.Mutex
	add time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.add)
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add += d
}

const theToken = "eyJ.a-pass.sig"

// runner starts a Runner, which the returned function ends as a killed operator
// would be.
func (w *world) runner() (*Runner, func()) {
	ctx, cancel := context.WithCancel(w.Context())
	r := New(ctx, Options{
		Client: w.client, Pods: w.pods.CoreV1(), Fleet: w.fleet,
		Hooks:   func(name string) (crd.Hooks, bool) { return w.hooks, name == "r42" },
		EdgeURL: func() string { return w.edge },
		Sign: func(c pass.Claims) (string, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.signed = append(w.signed, c)
			return theToken, nil
		},
		Record: func(ask release.RunHook, result hook.Result) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.results[ask.ID] = result
		},
		Done: func() {}, Log: slog.New(slog.DiscardHandler), Now: w.now.Now, Every: 10 * time.Millisecond,
	})
	end := func() {
		cancel()
		r.Wait()
	}
	w.Cleanup(end)
	return r, end
}

// value is a state in which r42 is open with the world's hooks.
func (w *world) value() kubernetes.Value {
	names := map[release.Moment][]string{}
	for _, m := range []release.Moment{release.Prepare, release.Verify, release.OnSettle} {
		for _, h := range momentOf(w.hooks, m) {
			names[m] = append(names[m], h.Name)
		}
	}
	return kubernetes.Value{State: release.State{Releases: map[string]release.Release{
		"r42": {Name: "r42", UID: "uid-42", Generation: 1, Hooks: names},
	}}}
}

var verify = release.RunHook{ID: "uid-42.1.verify.0.1", Release: "r42", Moment: release.Verify}

// until waits for a condition.
func (w *world) until(what string, met func() bool) {
	w.Helper()
	deadline := time.After(2 * time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !met() {
		select {
		case <-deadline:
			w.Fatalf("timed out: %s", what)
		case <-tick.C:
		}
	}
}

// result waits for a hook's end.
func (w *world) result(r *Runner, id string) hook.Result {
	w.Helper()
	var res hook.Result
	w.until("hook "+id+" has not ended", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		var ok bool
		res, ok = w.results[id]
		return ok
	})
	if status := r.Observe()[id]; status.Running || status.Passed != res.Passed || status.Message != res.Err {
		w.Errorf("observed %+v, recorded %+v", status, res)
	}
	return res
}

func (w *world) create(o client.Object) {
	w.Helper()
	o.SetNamespace(w.fleet.Namespace)
	if err := w.client.Create(w.Context(), o); err != nil {
		w.Fatal(err)
	}
}

// cronJob makes the template of a hook.
func (w *world) cronJob(name string, change func(*batchv1.JobTemplateSpec)) {
	w.Helper()
	yes := true
	c := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: batchv1.CronJobSpec{Schedule: "0 0 1 1 *", Suspend: &yes}}
	c.Spec.JobTemplate.Spec.Template.Spec = corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever,
		Containers:    []corev1.Container{{Name: "check", Image: "registry.example.com/check:1"}},
	}
	if change != nil {
		change(&c.Spec.JobTemplate)
	}
	w.create(c)
}

func (w *world) jobs() []batchv1.Job {
	w.Helper()
	var found batchv1.JobList
	if err := w.client.List(w.Context(), &found, client.InNamespace(w.fleet.Namespace)); err != nil {
		w.Fatal(err)
	}
	return found.Items
}

// job waits for the one Job there is.
func (w *world) job() *batchv1.Job {
	w.Helper()
	var found []batchv1.Job
	w.until("there is no Job", func() bool { found = w.jobs(); return len(found) > 0 })
	if len(found) > 1 {
		w.Fatalf("%d Jobs, want 1", len(found))
	}
	return &found[0]
}

// secret returns the pass's Secret once it belongs to its Job.
func (w *world) secret(name string) *corev1.Secret {
	w.Helper()
	found := &corev1.Secret{}
	w.until("the Secret belongs to nobody", func() bool {
		err := w.client.Get(w.Context(), types.NamespacedName{Namespace: w.fleet.Namespace, Name: name}, found)
		return err == nil && len(found.OwnerReferences) == 1
	})
	return found
}

// pod makes a Job's pod, whose container is in a state.
func (w *world) pod(j *batchv1.Job, state corev1.ContainerState) *corev1.Pod {
	w.Helper()
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: j.Name + "-", Labels: map[string]string{batchv1.JobNameLabel: j.Name}},
		Spec:       j.Spec.Template.Spec,
	}
	p.Spec.NodeName = w.node.Name
	w.create(p)
	w.state(p, state)
	return p
}

func (w *world) state(p *corev1.Pod, state corev1.ContainerState) {
	w.Helper()
	p.Status.ContainerStatuses = nil
	for _, c := range p.Spec.Containers {
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: c.Name, State: state})
	}
	if err := w.client.Status().Update(w.Context(), p); err != nil {
		w.Fatal(err)
	}
}

func running() corev1.ContainerState {
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
}

func exited(code int32) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: "Error"}}
}

// finish ends a Job as its controller does.
func (w *world) finish(j *batchv1.Job, kind batchv1.JobConditionType, reason string) {
	w.Helper()
	now := metav1.Now()
	before := batchv1.JobSuccessCriteriaMet
	j.Status.StartTime = &now
	if kind == batchv1.JobComplete {
		j.Status.CompletionTime = &now
	} else {
		before = batchv1.JobFailureTarget
	}
	for _, one := range []batchv1.JobConditionType{before, kind} {
		j.Status.Conditions = append(j.Status.Conditions, batchv1.JobCondition{
			Type: one, Status: corev1.ConditionTrue, Reason: reason, Message: "as the controller says", LastTransitionTime: now,
		})
	}
	if err := w.client.Status().Update(w.Context(), j); err != nil {
		w.Fatal(err)
	}
}

func (w *world) analysisTemplate(spec map[string]any) {
	w.Helper()
	o := argo(kindTemplate)
	o.SetName("error-rate")
	o.Object["spec"] = spec
	w.create(o)
}

func (w *world) analyses() []unstructured.Unstructured {
	w.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion(argoVersion)
	list.SetKind(kindRun + "List")
	if err := w.client.List(w.Context(), list, client.InNamespace(w.fleet.Namespace)); err != nil {
		w.Fatal(err)
	}
	return list.Items
}

func (w *world) analysis() *unstructured.Unstructured {
	w.Helper()
	var found []unstructured.Unstructured
	w.until("there is no AnalysisRun", func() bool { found = w.analyses(); return len(found) > 0 })
	return &found[0]
}

// conclude ends an AnalysisRun as Argo does.
func (w *world) conclude(run *unstructured.Unstructured, status map[string]any) {
	w.Helper()
	run.Object["status"] = status
	if err := w.client.Update(w.Context(), run); err != nil { // it has no status subresource
		w.Fatal(err)
	}
}
