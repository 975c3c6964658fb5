package operator

import (
	"context"
	"maps"
	"time"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
)

// gather is how long changes are gathered before a fleet is looked at: pods
// that start bring many at once.
const gather = 50 * time.Millisecond

// repairAfter is how long changes of what greenroom makes are gathered: nearly
// all of them are its own.
const repairAfter = 500 * time.Millisecond

// cacheOptions keep of the cluster what the operator looks at, and no more: its
// memory grows with that.
func cacheOptions() cache.Options {
	ofRollouts, _ := labels.NewRequirement(kubernetes.HashLabel, selection.Exists, nil) // a constant, and good
	hashed := labels.NewSelector().Add(*ofRollouts)
	ofOthers, _ := labels.NewRequirement(kubernetes.LabelManaged, selection.NotEquals, []string{kubernetes.ManagedBy}) // as good
	whole := func(o any) (any, error) { return o, nil }
	others := labels.NewSelector().Add(*ofOthers)
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		// A world holds what the cache holds, and changes none of it: copies of
		// all pods and routes for each look would be most of what is in memory.
		DefaultUnsafeDisableDeepCopy: new(true),
		ByObject: map[client.Object]cache.ByObject{
			&crd.Release{}:                  {Transform: whole}, // who wrote it is told
			&corev1.Pod{}:                   {Label: hashed, Transform: lean},
			replicaSets():                   {Label: hashed, Transform: lean},
			rollouts():                      {Transform: lean},
			&appsv1.Deployment{}:            {Transform: lean},
			&networkingv1.VirtualService{}:  {Label: others, Transform: lean},
			&networkingv1.DestinationRule{}: {Label: others},
		},
	}
}

// ourCacheOptions keep of what greenroom has made the metadata alone: the
// routes are by far the most of a fleet's objects, and that somebody has changed
// one is told by its generation.
func ourCacheOptions(scheme *runtime.Scheme, mapper meta.RESTMapper) cache.Options {
	return cache.Options{
		Scheme: scheme, Mapper: mapper, DefaultUnsafeDisableDeepCopy: new(true),
		DefaultTransform:     cache.TransformStripManagedFields(),
		DefaultLabelSelector: labels.SelectorFromSet(labels.Set{kubernetes.LabelManaged: kubernetes.ManagedBy}),
	}
}

// ourCache is a cache that a manager starts before what reads it.
type ourCache struct{ cache.Cache }

// GetCache returns the cache.
func (c ourCache) GetCache() cache.Cache { return c.Cache }

func rollouts() *unstructured.Unstructured {
	out := &unstructured.Unstructured{}
	out.SetGroupVersionKind(kubernetes.RolloutKind())
	return out
}

func replicaSets() *metav1.PartialObjectMetadata {
	out := &metav1.PartialObjectMetadata{}
	out.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))
	return out
}

// lean drops what nobody looks at.
func lean(o any) (any, error) {
	switch o := o.(type) {
	case *unstructured.Unstructured:
		leanRollout(o)
	case *metav1.PartialObjectMetadata:
		o.ManagedFields = nil
		maps.DeleteFunc(o.Annotations, func(key, _ string) bool { return key != deadlineAnnotation })
	case *networkingv1.VirtualService:
		o.ManagedFields = nil
		delete(o.Annotations, corev1.LastAppliedConfigAnnotation)
		o.Spec.Http, o.Spec.Tls, o.Spec.Tcp = nil, nil, nil
	case *corev1.Pod:
		o.ManagedFields, o.Annotations = nil, nil
		o.Spec = leanSpec(o.Spec)
	case *appsv1.Deployment:
		o.ManagedFields = nil
		o.Spec.Template.Spec = leanSpec(o.Spec.Template.Spec)
		o.Status = appsv1.DeploymentStatus{}
	}
	return o, nil
}

// leanRollout keeps of a template the names and images of its containers.
func leanRollout(o *unstructured.Unstructured) {
	o.SetManagedFields(nil)
	unstructured.RemoveNestedField(o.Object, "metadata", "annotations", corev1.LastAppliedConfigAnnotation)
	containers, found, err := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
	if !found || err != nil {
		return // whoever reads it complains
	}
	for i, c := range containers {
		if one, ok := c.(map[string]any); ok {
			containers[i] = map[string]any{"name": one["name"], "image": one["image"]}
		}
	}
	_ = unstructured.SetNestedMap(o.Object, map[string]any{"containers": containers}, "spec", "template", "spec") // it is there
}

func leanSpec(s corev1.PodSpec) corev1.PodSpec {
	return corev1.PodSpec{NodeName: s.NodeName, Containers: leanContainers(s.Containers), InitContainers: leanContainers(s.InitContainers)}
}

func leanContainers(list []corev1.Container) []corev1.Container {
	out := make([]corev1.Container, 0, len(list))
	for _, c := range list {
		out = append(out, corev1.Container{Name: c.Name, Image: c.Image, Ports: c.Ports})
	}
	return out
}

// watch lets fleets be looked at when something changes that they hang on.
func watch(mgr manager.Manager, ours cache.Cache, fleets *Fleets) error {
	c, err := controller.New("fleet", mgr, controller.Options{Reconciler: fleets, SkipNameValidation: new(true)}) // a process may run one after the other
	if err != nil {
		return err
	}
	here := enqueue(func(ctx context.Context, o client.Object) []types.NamespacedName {
		return fleetsIn(ctx, mgr.GetCache(), o.GetNamespace())
	})
	released := enqueue(func(ctx context.Context, o client.Object) []types.NamespacedName {
		out := fleetsIn(ctx, mgr.GetCache(), o.GetNamespace())
		if r, ok := o.(*crd.Release); ok && fleetOf(r) != "" { // its Fleet may be gone, and it must not wait for that
			out = append(out, types.NamespacedName{Namespace: r.Namespace, Name: fleetOf(r)})
		}
		return out
	})
	anywhere := enqueue(func(ctx context.Context, _ client.Object) []types.NamespacedName {
		return fleetsIn(ctx, mgr.GetCache(), "")
	})
	itself := enqueue(func(_ context.Context, o client.Object) []types.NamespacedName {
		return []types.NamespacedName{client.ObjectKeyFromObject(o)}
	})
	its := enqueueAfter(repairAfter, func(_ context.Context, o client.Object) []types.NamespacedName {
		l := o.GetLabels()
		return []types.NamespacedName{{Namespace: l[kubernetes.LabelNamespace], Name: l[kubernetes.LabelFleet]}}
	})
	for _, w := range []struct {
		object  client.Object
		handler handler.EventHandler
	}{
		{&crd.Fleet{}, itself}, {&crd.Release{}, released}, {rollouts(), here}, {&corev1.Pod{}, here}, {replicaSets(), here},
		{&appsv1.Deployment{}, here}, {&corev1.Service{}, here},
		{&networkingv1.VirtualService{}, anywhere}, {&networkingv1.DestinationRule{}, anywhere},
		{&securityv1.RequestAuthentication{}, anywhere},
	} {
		if err := c.Watch(source.Kind(mgr.GetCache(), w.object, w.handler)); err != nil {
			return err
		}
	}
	for _, kind := range madeKinds() {
		o := &metav1.PartialObjectMetadata{}
		o.SetGroupVersionKind(kind)
		if err := c.Watch(source.Kind(ours, client.Object(o), its)); err != nil {
			return err
		}
	}
	return c.Watch(source.Channel(fleets.ended, itself))
}

// enqueue asks for a look at the fleets that a changed object concerns.
func enqueue(fleets func(context.Context, client.Object) []types.NamespacedName) handler.EventHandler {
	return enqueueAfter(gather, fleets)
}

// enqueueAfter is enqueue for changes that are gathered for so long.
func enqueueAfter(gather time.Duration, fleets func(context.Context, client.Object) []types.NamespacedName) handler.EventHandler {
	ask := func(ctx context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request], o client.Object) {
		for _, key := range fleets(ctx, o) {
			q.AddAfter(reconcile.Request{NamespacedName: key}, gather)
		}
	}
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	return handler.Funcs{
		CreateFunc:  func(ctx context.Context, e event.CreateEvent, q queue) { ask(ctx, q, e.Object) },
		UpdateFunc:  func(ctx context.Context, e event.UpdateEvent, q queue) { ask(ctx, q, e.ObjectNew) },
		DeleteFunc:  func(ctx context.Context, e event.DeleteEvent, q queue) { ask(ctx, q, e.Object) },
		GenericFunc: func(ctx context.Context, e event.GenericEvent, q queue) { ask(ctx, q, e.Object) },
	}
}

// fleetsIn are the fleets of a namespace, or of all.
func fleetsIn(ctx context.Context, c client.Reader, namespace string) []types.NamespacedName {
	var list crd.FleetList
	if err := c.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil // the cache has not begun; it tells of every object when it does
	}
	out := make([]types.NamespacedName, 0, len(list.Items))
	for i := range list.Items {
		out = append(out, client.ObjectKeyFromObject(&list.Items[i]))
	}
	return out
}
