package operator

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	telemetryv1 "istio.io/client-go/pkg/apis/telemetry/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
)

// world is what was read from the cluster of one fleet. It is never changed.
type world struct {
	fleet    *crd.Fleet
	releases []*crd.Release // of this fleet, the oldest first
	seen     map[string]kubernetes.Seen
	pods     map[string][]*corev1.Pod   // by Rollout
	services map[string]*corev1.Service // by the fleet's name for the service
	ours     []kubernetes.Object        // what greenroom has made for the fleet: Services, and of Istio's objects the metadata

	virtualServices        []*networkingv1.VirtualService
	destinationRules       []*networkingv1.DestinationRule
	requestAuthentications []*securityv1.RequestAuthentication
}

// deadlineAnnotation is until when Argo keeps a ReplicaSet that is not active.
const deadlineAnnotation = "scale-down-deadline"

// worlds reads what caches know of a fleet.
type worlds struct {
	all   client.Reader // whole objects; of Istio's those of others alone
	ours  client.Reader // the metadata of what greenroom has made
	known rolloutCache
}

// read reads a fleet's part of the cluster.
func (r *worlds) read(ctx context.Context, key types.NamespacedName) (*world, error) {
	c := r.all
	w := &world{fleet: &crd.Fleet{}, services: map[string]*corev1.Service{}}
	if err := c.Get(ctx, key, w.fleet); err != nil {
		return nil, err
	}
	var fleets crd.FleetList
	var releases crd.ReleaseList
	here := client.InNamespace(key.Namespace)
	if err := c.List(ctx, &fleets, here); err != nil {
		return nil, err
	}
	if err := c.List(ctx, &releases, here); err != nil {
		return nil, err
	}
	for i := range releases.Items {
		r := &releases.Items[i]
		if name := fleetOf(r); name == key.Name || name == "" && len(fleets.Items) == 1 {
			w.releases = append(w.releases, r)
		}
	}
	slices.SortFunc(w.releases, func(a, b *crd.Release) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	if err := w.readMesh(ctx, c, key); err != nil {
		return nil, err
	}
	if err := w.readOurs(ctx, r.ours); err != nil {
		return nil, err
	}
	return w, w.readPods(ctx, c, &r.known, here)
}

// fleetOf is the name of the Fleet that a Release belongs to: as its spec says,
// else as was written down when it was first seen, so that another Fleet beside
// the only one changes nothing. It is empty while neither is there.
func fleetOf(r *crd.Release) string {
	return cmp.Or(r.Spec.Fleet, r.Labels[kubernetes.LabelFleet])
}

func (w *world) readMesh(ctx context.Context, c client.Reader, key types.NamespacedName) error {
	var services corev1.ServiceList
	var virtual networkingv1.VirtualServiceList
	var rules networkingv1.DestinationRuleList
	var authentications securityv1.RequestAuthenticationList
	if err := c.List(ctx, &services, client.InNamespace(key.Namespace)); err != nil {
		return err
	}
	for _, list := range []client.ObjectList{&virtual, &rules, &authentications} {
		if err := c.List(ctx, list); err != nil { // of all namespaces: a gateway's objects lie beside it
			return fmt.Errorf("read %T: %w", list, err)
		}
	}
	w.virtualServices, w.destinationRules = virtual.Items, rules.Items
	w.requestAuthentications = slices.DeleteFunc(authentications.Items, func(r *securityv1.RequestAuthentication) bool { return kubernetes.Owns(w.fleet, r) })
	byName := make(map[string]*corev1.Service, len(services.Items))
	for i := range services.Items {
		w.mine(&services.Items[i])
		byName[services.Items[i].Name] = &services.Items[i]
	}
	for _, s := range w.fleet.Spec.Services {
		if o, ok := byName[cmp.Or(s.Service, s.Name)]; ok {
			w.services[s.Name] = o
		}
	}
	return nil
}

// madeKinds are the kinds of Istio's objects that greenroom makes.
func madeKinds() []schema.GroupVersionKind {
	return []schema.GroupVersionKind{
		networkingv1.SchemeGroupVersion.WithKind("VirtualService"), networkingv1.SchemeGroupVersion.WithKind("DestinationRule"),
		securityv1.SchemeGroupVersion.WithKind("RequestAuthentication"), securityv1.SchemeGroupVersion.WithKind("AuthorizationPolicy"),
		telemetryv1.SchemeGroupVersion.WithKind("Telemetry"),
	}
}

// readOurs reads the metadata of what greenroom has made. What other fleets
// route is told as what others route.
func (w *world) readOurs(ctx context.Context, c client.Reader) error {
	for _, kind := range madeKinds() {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		if err := c.List(ctx, list); err != nil {
			return fmt.Errorf("read the %ss that greenroom made: %w", kind.Kind, err)
		}
		for i := range list.Items {
			o := &list.Items[i] // a copy of what the cache has, as far as TypeMeta goes
			o.SetGroupVersionKind(kind)
			w.mine(o)
			if kind.Kind == "VirtualService" && !kubernetes.Owns(w.fleet, o) {
				w.virtualServices = append(w.virtualServices, kubernetes.RoutedBy(o.ObjectMeta))
			}
		}
	}
	return nil
}

// begun are the names of the fleet's VirtualServices in its namespace.
func (w *world) begun() map[string]bool {
	out := map[string]bool{}
	for _, o := range w.routes() {
		if o.GetNamespace() == w.fleet.Namespace {
			out[o.GetName()] = true
		}
	}
	return out
}

// routes are the VirtualServices that greenroom has made for the fleet.
func (w *world) routes() []*metav1.PartialObjectMetadata {
	var out []*metav1.PartialObjectMetadata
	for _, o := range w.ours {
		if p, ok := o.(*metav1.PartialObjectMetadata); ok && p.Kind == "VirtualService" {
			out = append(out, p)
		}
	}
	return out
}

func (w *world) mine(o kubernetes.Object) {
	if kubernetes.Owns(w.fleet, o) {
		w.ours = append(w.ours, o)
	}
}

func (w *world) readPods(ctx context.Context, c client.Reader, known *rolloutCache, here client.InNamespace) error {
	rollouts := &unstructured.UnstructuredList{}
	rollouts.SetGroupVersionKind(kubernetes.RolloutKind())
	var pods corev1.PodList
	sets := &metav1.PartialObjectMetadataList{}
	sets.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("ReplicaSetList"))
	deployments := appsv1.DeploymentList{}
	for _, list := range []client.ObjectList{rollouts, &pods, sets, &deployments} {
		if err := c.List(ctx, list, here); err != nil {
			return fmt.Errorf("read %T: %w", list, err)
		}
	}
	w.pods = map[string][]*corev1.Pod{}
	owner := owners(sets)
	for i := range pods.Items {
		p := &pods.Items[i]
		if name := owner[controllerOf(p)]; name != "" {
			w.pods[name] = append(w.pods[name], p)
		}
	}
	setsOf := map[string][]*metav1.PartialObjectMetadata{}
	for i := range sets.Items {
		name := owner[sets.Items[i].Name]
		setsOf[name] = append(setsOf[name], &sets.Items[i])
	}
	rolloutOf, deploymentOf := map[string]*unstructured.Unstructured{}, map[string]*appsv1.Deployment{}
	for i := range rollouts.Items {
		rolloutOf[rollouts.Items[i].GetName()] = &rollouts.Items[i]
	}
	for i := range deployments.Items {
		deploymentOf[deployments.Items[i].Name] = &deployments.Items[i]
	}
	w.seen = map[string]kubernetes.Seen{}
	for _, s := range w.fleet.Spec.Services {
		name := cmp.Or(s.Rollout, s.Name)
		u, there := rolloutOf[name]
		if s.Fixed || !there {
			continue
		}
		r, err := known.read(u)
		if err != nil {
			return err
		}
		one := kubernetes.Seen{
			Rollout: r, Template: r.Spec.Template, FormerImage: r.Metadata.Annotations[kubernetes.FormerImageAnnotation],
			Pods: kubernetes.ReadPods(w.pods[name]), Deadline: deadline(setsOf[name], r.Status.BlueGreen.ActiveSelector),
		}
		if ref := r.Spec.WorkloadRef; ref != nil && ref.Kind == "Deployment" {
			if d, there := deploymentOf[ref.Name]; there {
				one.TakeTemplate(d)
			}
		}
		w.seen[s.Name] = one
	}
	return nil
}

// rolloutCache remembers what was read of Rollouts, which change seldom and are
// looked at often. What it returns is not to be changed.
type rolloutCache struct {
	mu sync.Mutex
	by map[types.UID]kubernetes.Rollout
}

func (c *rolloutCache) read(u *unstructured.Unstructured) (*kubernetes.Rollout, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r, ok := c.by[u.GetUID()]; ok && r.Metadata.ResourceVersion == u.GetResourceVersion() {
		return &r, nil
	}
	r, err := kubernetes.ReadRollout(u)
	if err != nil {
		return nil, err
	}
	if len(c.by) >= maxRollouts { // some are of Rollouts that are gone
		clear(c.by)
	}
	if c.by == nil {
		c.by = map[types.UID]kubernetes.Rollout{}
	}
	c.by[u.GetUID()] = r
	return &r, nil
}

// maxRollouts bounds a rolloutCache.
const maxRollouts = 2000

// controllerOf is the name of what made a pod.
func controllerOf(p *corev1.Pod) string {
	if o := metav1.GetControllerOf(p); o != nil && o.Kind == "ReplicaSet" {
		return o.Name
	}
	return ""
}

// owners are the Rollouts that ReplicaSets belong to.
func owners(sets *metav1.PartialObjectMetadataList) map[string]string {
	out := map[string]string{}
	for i := range sets.Items {
		if o := metav1.GetControllerOf(&sets.Items[i]); o != nil && o.Kind == "Rollout" {
			out[sets.Items[i].Name] = o.Name
		}
	}
	return out
}

// deadline is until when Argo keeps the pods of a Rollout that are not active:
// the first of its ReplicaSets.
func deadline(sets []*metav1.PartialObjectMetadata, active string) time.Time {
	var first time.Time
	for _, s := range sets {
		if s.Labels[kubernetes.HashLabel] == active {
			continue
		}
		at, err := time.Parse(time.RFC3339, s.Annotations[deadlineAnnotation])
		if err == nil && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}
