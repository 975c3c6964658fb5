package job

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	clientset "k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/hook"
	"github.com/greenroom-dev/greenroom/internal/operator/operatortest"
	"github.com/greenroom-dev/greenroom/internal/release"
)

func TestRunner(t *testing.T) {
	cluster := operatortest.Start(t)
	config := cluster.Admin()
	config.QPS = -1
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	pods, err := clientset.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]func(w *world){
		"a Job is made from a template, and passes":      testPasses,
		"what a Job that fails printed is kept":          testFails,
		"a Job is found again after a restart":           testAdopts,
		"the last pod's output counts":                   testLastPod,
		"a Job beyond its deadline":                      testDeadline,
		"a container that never starts":                  testNeverStarts,
		"a Job that somebody deletes":                    testDeleted,
		"what is missing is said":                        testMissing,
		"Jobs of forgotten releases go":                  testSweep,
		"an AnalysisRun passes":                          testAnalysisPasses,
		"an AnalysisRun fails, or takes too long":        testAnalysisFails,
		"a check over HTTP goes to the edge with a pass": testCheck,
	} {
		t.Run(name, func(t *testing.T) {
			test(&world{
				T: t, client: c, pods: pods, node: cluster.Node(t), now: &clock{}, edge: "https://live.example.com",
				fleet:   types.NamespacedName{Namespace: cluster.Namespace(t), Name: "live"},
				hooks:   crd.Hooks{Verify: []crd.Hook{{Name: "smoke", Job: "smoke", Timeout: "5m"}}},
				results: map[string]hook.Result{},
			})
		})
	}
}

func testPasses(w *world) {
	w.cronJob("smoke", nil)
	r, _ := w.runner()
	for range 3 {
		r.Run(w.value(), verify)
	}
	if status := r.Observe()[verify.ID]; !status.Running {
		w.Errorf("observed %+v", status)
	}
	j := w.job()
	secret := w.secret(j.Name)
	if owner := secret.OwnerReferences[0]; owner.UID != j.UID || owner.Kind != "Job" || string(secret.Data["GREENROOM_PASS"]) != theToken {
		w.Errorf("the Secret %v belongs to %v", secret.Data, owner)
	}
	env := map[string]string{}
	for _, e := range j.Spec.Template.Spec.Containers[0].Env {
		env[e.Name] = e.Value
		if e.ValueFrom != nil {
			env[e.Name] = "secret " + e.ValueFrom.SecretKeyRef.Name
		}
	}
	if diff := cmp.Diff(map[string]string{
		"GREENROOM_RELEASE": "r42", "GREENROOM_EDGE_URL": "https://live.example.com", "GREENROOM_HOOK_ID": verify.ID,
		"GREENROOM_PASS": "secret " + j.Name,
	}, env); diff != "" {
		w.Errorf("it is told (-want +got):\n%s", diff)
	}
	w.mu.Lock()
	claims := w.signed[0]
	w.mu.Unlock()
	if claims.Release != "r42" || claims.UID != "uid-42" || claims.ExpiresAt.Sub(claims.IssuedAt) != 6*time.Minute {
		w.Errorf("its pass says %+v", claims)
	}
	p := w.pod(j, running())
	w.node.Print(p, "check", time.Now(), "looking with "+theToken, "all well")
	w.node.End(p, "check")
	w.finish(j, batchv1.JobComplete, "CompletionsReached")
	res := w.result(r, verify.ID)
	if !res.Passed || res.Err != "" || res.Output != "looking with [pass]\nall well\n" || r.Output(verify.ID) != res.Output {
		w.Errorf("got %+v", res)
	}
	r.Run(w.value(), verify)
	if status := r.Observe()[verify.ID]; status.Running || !status.Passed {
		w.Errorf("asked again, it is %+v", status)
	}
}

func testFails(w *world) {
	w.cronJob("smoke", nil)
	r, _ := w.runner()
	r.Run(w.value(), verify)
	j := w.job()
	p := w.pod(j, exited(3))
	w.node.Print(p, "check", time.Now(), strings.Repeat("x", 2*hook.MaxOutput), "it is broken")
	w.node.End(p, "check")
	w.finish(j, batchv1.JobFailed, "BackoffLimitExceeded")
	res := w.result(r, verify.ID)
	if res.Passed || !strings.Contains(res.Err, "exit status 3") || !strings.Contains(res.Err, "hook smoke") {
		w.Errorf("got %+v", res.Err)
	}
	if !strings.HasSuffix(res.Output, "\nit is broken\n") || len(res.Output) > hook.MaxOutput+100 {
		w.Errorf("%d bytes of output are kept", len(res.Output))
	}
}

func testAdopts(w *world) {
	w.cronJob("smoke", nil)
	r, kill := w.runner()
	r.Run(w.value(), verify)
	j := w.job()
	w.secret(j.Name)
	p := w.pod(j, running())
	w.node.Print(p, "check", time.Now(), "one")
	kill()
	if len(w.results) > 0 {
		w.Errorf("the operator's end is a result: %+v", w.results)
	}
	w.node.Print(p, "check", time.Now(), "two with "+theToken)
	w.node.End(p, "check")
	again, _ := w.runner()
	again.Run(w.value(), verify)
	w.finish(j, batchv1.JobComplete, "CompletionsReached")
	if res := w.result(again, verify.ID); !res.Passed || res.Output != "one\ntwo with [pass]\n" {
		w.Errorf("got %+v", res)
	}
	if found := w.jobs(); len(found) != 1 || found[0].UID != j.UID {
		w.Errorf("%d Jobs were made, want 1", len(found))
	}
	// The next attempt is another run.
	next := verify
	next.ID = "uid-42.1.verify.0.2"
	again.Run(w.value(), next)
	w.until("no Job is made for the next attempt", func() bool { return len(w.jobs()) == 2 })
}

func testLastPod(w *world) {
	w.cronJob("smoke", func(t *batchv1.JobTemplateSpec) { t.Spec.BackoffLimit = new(int32(1)) })
	r, _ := w.runner()
	r.Run(w.value(), verify)
	j := w.job()
	if *j.Spec.BackoffLimit != 1 {
		w.Errorf("the template's backoffLimit became %d", *j.Spec.BackoffLimit)
	}
	first := w.pod(j, running())
	w.node.Print(first, "check", time.Now(), "first")
	w.state(first, exited(1))
	w.node.End(first, "check")
	next := first.CreationTimestamp.Add(time.Second) // pods are told apart by whole seconds
	w.until("a second passes", func() bool { return time.Now().After(next) })
	second := w.pod(j, running())
	w.node.Print(second, "check", time.Now(), "second")
	w.node.End(second, "check")
	w.finish(j, batchv1.JobComplete, "CompletionsReached")
	if res := w.result(r, verify.ID); !res.Passed || res.Output != "second\n" {
		w.Errorf("got %+v", res)
	}
}

func testDeadline(w *world) {
	w.cronJob("smoke", nil)
	r, _ := w.runner()
	r.Run(w.value(), verify)
	j := w.job()
	if *j.Spec.ActiveDeadlineSeconds != 300 {
		w.Errorf("its deadline is %d s", *j.Spec.ActiveDeadlineSeconds)
	}
	p := w.pod(j, running())
	w.node.Print(p, "check", time.Now(), "still at it")
	w.node.Await(w, p, "check")                                                           // else there is nothing to keep
	if err := w.client.Delete(w.Context(), p, client.GracePeriodSeconds(0)); err != nil { // as the controller does
		w.Fatal(err)
	}
	w.node.End(p, "check")
	w.finish(j, batchv1.JobFailed, batchv1.JobReasonDeadlineExceeded)
	res := w.result(r, verify.ID)
	if res.Passed || !strings.Contains(res.Err, "longer than its timeout of 5m0s") || res.Output != "still at it\n" {
		w.Errorf("got %+v", res)
	}
}

func testNeverStarts(w *world) {
	w.cronJob("smoke", nil)
	r, _ := w.runner()
	r.Run(w.value(), verify)
	j := w.job()
	w.pod(j, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such image"}})
	w.finish(j, batchv1.JobFailed, batchv1.JobReasonDeadlineExceeded)
	if res := w.result(r, verify.ID); !strings.Contains(res.Err, "ImagePullBackOff: no such image") {
		w.Errorf("got %+v", res)
	}
	// Without a controller for Jobs nothing would ever end.
	next := verify
	next.ID = "uid-42.1.verify.0.2"
	r.Run(w.value(), next)
	w.until("there is no Job", func() bool { return len(w.jobs()) == 2 })
	w.now.forward(5*time.Minute + overdue + time.Second)
	if res := w.result(r, next.ID); !strings.Contains(res.Err, "does the cluster's controller for Jobs run?") {
		w.Errorf("got %+v", res)
	}
}

func testDeleted(w *world) {
	w.cronJob("smoke", nil)
	r, _ := w.runner()
	r.Run(w.value(), verify)
	if err := w.client.Delete(w.Context(), w.job(), client.PropagationPolicy("Background")); err != nil {
		w.Fatal(err)
	}
	if res := w.result(r, verify.ID); res.Passed || !strings.Contains(res.Err, "somebody deleted it") {
		w.Errorf("got %+v", res)
	}
}

func testMissing(w *world) {
	w.hooks.Verify = append(w.hooks.Verify, crd.Hook{Name: "errors", Analysis: "error-rate"}, crd.Hook{Name: "gone", Job: "smoke"})
	value := w.value()
	w.hooks.Verify = w.hooks.Verify[:2]
	r, _ := w.runner()
	for i, want := range []string{"there is no CronJob " + w.fleet.Namespace + "/smoke", "there is no AnalysisTemplate", `no verify hook "gone" any more`} {
		ask := release.RunHook{ID: fmt.Sprint("id", i), Release: "r42", Moment: release.Verify, Index: i}
		r.Run(value, ask)
		if res := w.result(r, ask.ID); res.Passed || !strings.Contains(res.Err, want) {
			w.Errorf("got %q, want %q", res.Err, want)
		}
	}
	w.analysisTemplate(map[string]any{
		"args":    []any{map[string]any{"name": "threshold"}},
		"metrics": []any{map[string]any{"name": "errors", "provider": map[string]any{"prometheus": map[string]any{"address": "http://p", "query": "1"}}}},
	})
	ask := release.RunHook{ID: "id9", Release: "r42", Moment: release.Verify, Index: 1}
	r.Run(value, ask)
	if res := w.result(r, ask.ID); !strings.Contains(res.Err, `"threshold"`) {
		w.Errorf("got %q", res.Err)
	}
}

func testSweep(w *world) {
	w.cronJob("smoke", nil)
	r, _ := w.runner()
	r.Run(w.value(), verify)
	w.secret(w.job().Name)
	other := &batchv1.Job{}
	other.Name = "somebody-elses"
	other.Spec = w.job().Spec
	other.Spec.Selector, other.Spec.ManualSelector, other.Spec.Template.Labels = nil, nil, nil
	w.create(other)
	if err := r.Sweep(w.Context(), w.value().State); err != nil || len(w.jobs()) != 2 {
		w.Errorf("%d Jobs are left of a release that is known (%v)", len(w.jobs()), err)
	}
	if err := r.Sweep(w.Context(), release.State{}); err != nil {
		w.Fatal(err)
	}
	if found := w.jobs(); len(found) != 1 || found[0].Name != "somebody-elses" {
		w.Errorf("left are %d Jobs", len(found))
	}
}

func testAnalysisPasses(w *world) {
	w.hooks = crd.Hooks{Verify: []crd.Hook{{Name: "errors", Analysis: "error-rate"}}}
	w.analysisTemplate(map[string]any{
		"args": []any{
			map[string]any{"name": "release"}, map[string]any{"name": "edge-url"}, map[string]any{"name": "pass"},
			map[string]any{"name": "threshold", "value": "0.01"},
		},
		"metrics": []any{map[string]any{"name": "errors", "provider": map[string]any{"web": map[string]any{"url": "{{args.edge-url}}/rate"}}}},
	})
	r, _ := w.runner()
	r.Run(w.value(), verify)
	run := w.analysis()
	secret := w.secret(run.GetName())
	if secret.OwnerReferences[0].UID != run.GetUID() || secret.OwnerReferences[0].Kind != "AnalysisRun" {
		w.Errorf("the Secret belongs to %v", secret.OwnerReferences)
	}
	args, _, _ := unstructured.NestedSlice(run.Object, "spec", "args")
	if diff := cmp.Diff([]any{
		map[string]any{"name": "release", "value": "r42"},
		map[string]any{"name": "edge-url", "value": "https://live.example.com"},
		map[string]any{"name": "pass", "valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": run.GetName(), "key": "GREENROOM_PASS"}}},
		map[string]any{"name": "threshold", "value": "0.01"},
	}, args); diff != "" {
		w.Errorf("arguments (-want +got):\n%s", diff)
	}
	w.conclude(w.analysis(), map[string]any{"phase": "Successful", "metricResults": []any{map[string]any{
		"name": "errors", "phase": "Successful", "measurements": []any{map[string]any{"phase": "Successful", "value": "0.001 " + theToken, "finishedAt": "2026-11-23T12:00:00Z"}},
	}}})
	if res := w.result(r, verify.ID); !res.Passed || res.Output != "errors: Successful\n  2026-11-23T12:00:00Z Successful 0.001 [pass]\n" {
		w.Errorf("got %+v", res)
	}
}

func testAnalysisFails(w *world) {
	w.hooks = crd.Hooks{Verify: []crd.Hook{{Name: "errors", Analysis: "error-rate"}, {Name: "slow", Analysis: "error-rate"}}}
	w.analysisTemplate(map[string]any{
		"metrics": []any{map[string]any{"name": "errors", "provider": map[string]any{"prometheus": map[string]any{"address": "http://p", "query": "1"}}}},
	})
	r, _ := w.runner()
	r.Run(w.value(), verify)
	w.conclude(w.analysis(), map[string]any{"phase": "Failed", "message": "errors assessed Failed"})
	if res := w.result(r, verify.ID); res.Passed || !strings.Contains(res.Err, "Failed: errors assessed Failed") {
		w.Errorf("got %+v", res)
	}
	if err := r.Sweep(w.Context(), release.State{}); err != nil || len(w.analyses()) > 0 {
		w.Errorf("%d are left of a forgotten release (%v)", len(w.analyses()), err)
	}
	slow := release.RunHook{ID: "slow", Release: "r42", Moment: release.Verify, Index: 1}
	r.Run(w.value(), slow)
	w.analysis()
	w.now.forward(time.Minute + 2*time.Second)
	w.until("it is not asked to end", func() bool {
		late, _, _ := unstructured.NestedBool(w.analysis().Object, "spec", "terminate")
		return late
	})
	w.conclude(w.analysis(), map[string]any{"phase": "Successful", "message": "run terminated"})
	if res := w.result(r, "slow"); res.Passed || !strings.Contains(res.Err, "timeout of 1m") {
		w.Errorf("got %+v", res)
	}
}

func testCheck(w *world) {
	edge := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Greenroom-Pass") != theToken || r.URL.Path != "/healthz" {
			rw.WriteHeader(http.StatusForbidden)
		}
		fmt.Fprint(rw, "teapot")
	}))
	defer edge.Close()
	w.edge = edge.URL
	w.hooks = crd.Hooks{Verify: []crd.Hook{{Name: "health", HTTP: &v1alpha1.HTTPCheck{Path: "/healthz"}}}}
	r, _ := w.runner()
	r.Run(w.value(), verify)
	if res := w.result(r, verify.ID); !res.Passed || !strings.Contains(res.Output, "teapot") {
		w.Errorf("got %+v", res)
	}
}
