package operator_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
)

// argo does to the Rollouts of a namespace what Argo Rollouts and the kubelet
// would: it makes pods for every template, waits for promotions, and moves the
// active Services' selectors.
type argo struct {
	c         client.Client
	namespace string
	crashing  string // the image whose containers end at once; set before it is anywhere

	steps  sync.Mutex      // held for a step
	pod    map[string]bool // by name: those that are there; read anew with every step
	mu     sync.Mutex
	paused map[string]string // Rollout → hash that it has paused before
}

func runArgo(t *testing.T, c client.Client, namespace string) *argo {
	t.Helper()
	a := &argo{c: c, namespace: namespace, paused: map[string]string{}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond) // every step reads all Rollouts and pods
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if err := a.step(ctx); err != nil && ctx.Err() == nil && !apierrors.IsConflict(err) {
					t.Errorf("argo: %v", err)
				}
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return a
}

func (a *argo) step(ctx context.Context) error {
	a.steps.Lock()
	defer a.steps.Unlock()
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(kubernetes.RolloutKind())
	if err := a.c.List(ctx, list, client.InNamespace(a.namespace)); err != nil {
		return err
	}
	var pods corev1.PodList
	if err := a.c.List(ctx, &pods, client.InNamespace(a.namespace)); err != nil {
		return err
	}
	a.pod = map[string]bool{}
	for _, p := range pods.Items {
		a.pod[p.Name] = true
	}
	var errs []error
	for i := range list.Items {
		errs = append(errs, a.follow(ctx, &list.Items[i]))
	}
	return errors.Join(errs...)
}

// follow brings one Rollout's status up to date with its template.
func (a *argo) follow(ctx context.Context, u *unstructured.Unstructured) error {
	r, err := kubernetes.ReadRollout(u)
	if err != nil {
		return err
	}
	image := r.Spec.Template.Spec.Containers[0].Image
	hash := hashOf(image)
	if err := a.pods(ctx, u, hash, image); err != nil {
		return err
	}
	active, phase := r.Active(), "Healthy"
	pauses := []any{}
	a.mu.Lock()
	switch {
	case active == "" || active == hash:
		active = hash
	case a.paused[u.GetName()] == hash && !r.Waits(): // somebody promoted it
		active = hash
	case a.known(u.GetName(), hash) && a.paused[u.GetName()] != hash && a.wasActive(u, hash): // a template that was active before
		active = hash
	default:
		phase = "Paused"
		pauses = append(pauses, map[string]any{"reason": "BlueGreenPause", "startTime": time.Now().UTC().Format(time.RFC3339)})
	}
	a.mu.Unlock()
	if err := a.report(ctx, u, r, hash, active, phase, pauses); err != nil || phase != "Paused" {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.paused[u.GetName()] = hash // not before it is written: else it would be taken for promoted
	return nil
}

// wasActive reports whether a template was active before, by a label that
// report leaves.
func (a *argo) wasActive(u *unstructured.Unstructured, hash string) bool {
	return u.GetLabels()["was-"+hash] != ""
}

// known reports whether the pod of a template is there.
func (a *argo) known(rollout, hash string) bool { return a.pod[rollout+"-"+hash+"-0"] }

func (a *argo) report(ctx context.Context, u *unstructured.Unstructured, r kubernetes.Rollout, hash, active, phase string, pauses []any) error {
	if r.Observed() && r.Active() == active && r.Status.CurrentPodHash == hash && r.Status.Phase == phase && r.Waits() == (len(pauses) > 0) {
		return nil
	}
	if !a.wasActive(u, active) {
		mark := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"metadata":{"labels":{"was-%s":"1"}}}`, active))
		if err := a.c.Patch(ctx, u, mark); err != nil {
			return err
		}
	}
	for name, selects := range map[string]string{r.Spec.Strategy.BlueGreen.ActiveService: active, r.Spec.Strategy.BlueGreen.PreviewService: hash} {
		if err := a.selects(ctx, name, selects); err != nil {
			return err
		}
	}
	status := map[string]any{
		"observedGeneration": fmt.Sprint(u.GetGeneration()), "phase": phase, "currentPodHash": hash, "stableRS": active,
		"pauseConditions": pauses, "blueGreen": map[string]any{"activeSelector": active, "previewSelector": hash},
	}
	if err := unstructured.SetNestedMap(u.Object, status, "status"); err != nil {
		return err
	}
	return a.c.Status().Update(ctx, u)
}

func (a *argo) selects(ctx context.Context, service, hash string) error {
	var s corev1.Service
	if err := a.c.Get(ctx, client.ObjectKey{Namespace: a.namespace, Name: service}, &s); err != nil {
		return err
	}
	if s.Spec.Selector[kubernetes.HashLabel] == hash {
		return nil
	}
	s.Spec.Selector[kubernetes.HashLabel] = hash
	return a.c.Update(ctx, &s)
}

// pods makes the ReplicaSet and the pod of a template, which is ready at once.
func (a *argo) pods(ctx context.Context, u *unstructured.Unstructured, hash, image string) error {
	rollout := u.GetName()
	if a.known(rollout, hash) {
		return nil
	}
	labels := map[string]string{"app": rollout, kubernetes.HashLabel: hash}
	owned := func(o client.Object, by metav1.Object, kind, version string) {
		yes := true
		o.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: version, Kind: kind, Name: by.GetName(), UID: by.GetUID(), Controller: &yes}})
	}
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: rollout, Image: image}, {Name: "istio-proxy", Image: "proxy"}}}}
	set := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: a.namespace, Name: rollout + "-" + hash, Labels: labels},
		Spec: appsv1.ReplicaSetSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template}}
	owned(set, u, "Rollout", "argoproj.io/v1alpha1")
	if err := a.c.Create(ctx, set); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	if err := a.c.Get(ctx, client.ObjectKeyFromObject(set), set); err != nil {
		return err
	}
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: a.namespace, Name: rollout + "-" + hash + "-0", Labels: labels}, Spec: template.Spec}
	owned(p, set, "ReplicaSet", "apps/v1")
	if err := a.c.Create(ctx, p); err != nil {
		return err
	}
	a.pod[p.Name] = true
	digest := sha256.Sum256([]byte(image))
	p.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "127.0.0.1",
		Conditions:        []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		ContainerStatuses: []corev1.ContainerStatus{{Name: rollout, Ready: true, Image: image, ImageID: "sha256:" + hex.EncodeToString(digest[:])}}}
	if image == a.crashing {
		p.Status.Conditions[0].Status = corev1.ConditionFalse
		p.Status.ContainerStatuses[0].Ready = false
		p.Status.ContainerStatuses[0].State.Waiting = &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off 10s restarting failed container"}
	}
	return a.c.Status().Update(ctx, p)
}

func hashOf(image string) string {
	sum := sha256.Sum256([]byte(image))
	return hex.EncodeToString(sum[:5])
}
