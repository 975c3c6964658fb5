package operator

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
)

// abandon takes away what would hold people up once a Fleet is gone, or about
// to go: the guards of templates, and the finalizer of its Releases. Routes and
// Services stay as they are, for requests go by them. Nothing is known here but
// what is in the cluster: the Fleet may have gone while no operator ran.
func (f *Fleets) abandon(ctx context.Context, gone types.NamespacedName) error {
	var fleets crd.FleetList
	if err := f.d.Cache.List(ctx, &fleets, client.InNamespace(gone.Namespace)); err != nil {
		return fmt.Errorf("read the Fleets beside %s: %w", gone, err)
	}
	var others []crd.Fleet
	for _, one := range fleets.Items {
		if one.Name != gone.Name && one.DeletionTimestamp == nil {
			others = append(others, one)
		}
	}
	return errors.Join(f.unguard(ctx, gone.Namespace, others), f.release(ctx, gone, len(others) == 0))
}

// unguard takes the guards of a namespace away, but for what others have.
func (f *Fleets) unguard(ctx context.Context, namespace string, others []crd.Fleet) error {
	kept := map[string]bool{} // by kind and name
	for _, one := range others {
		for _, s := range one.Spec.Services {
			kept["Rollout "+cmp.Or(s.Rollout, s.Name)] = true
		}
	}
	rollouts := &unstructured.UnstructuredList{}
	rollouts.SetGroupVersionKind(kubernetes.RolloutKind())
	var deployments appsv1.DeploymentList
	for _, list := range []client.ObjectList{rollouts, &deployments} {
		if err := f.d.Cache.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return fmt.Errorf("read %T: %w", list, err)
		}
	}
	var errs []error
	for i := range rollouts.Items {
		o := &rollouts.Items[i]
		if !kept["Rollout "+o.GetName()] {
			errs = append(errs, f.removeGuard(ctx, o))
			continue
		}
		ref, _, _ := unstructured.NestedString(o.Object, "spec", "workloadRef", "name") // what is no text is no reference
		kept["Deployment "+ref] = true
	}
	for i := range deployments.Items {
		if !kept["Deployment "+deployments.Items[i].Name] {
			errs = append(errs, f.removeGuard(ctx, &deployments.Items[i]))
		}
	}
	return errors.Join(errs...)
}

func (f *Fleets) removeGuard(ctx context.Context, o client.Object) error {
	if _, guarded := o.GetAnnotations()[kubernetes.GuardAnnotation]; !guarded {
		return nil
	}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"`+kubernetes.GuardAnnotation+`":null}}}`))
	err := f.d.Direct.Patch(ctx, o.DeepCopyObject().(client.Object), patch, client.FieldOwner(kubernetes.FieldManager))
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("remove the guard of %T %s/%s: %w", o, o.GetNamespace(), o.GetName(), err)
	}
	return nil
}

// release removes the finalizer of a Fleet's Releases. only: it was the only
// Fleet, so that those that name none were its own.
func (f *Fleets) release(ctx context.Context, gone types.NamespacedName, only bool) error {
	var list crd.ReleaseList
	if err := f.d.Cache.List(ctx, &list, client.InNamespace(gone.Namespace)); err != nil {
		return fmt.Errorf("read the Releases of %s: %w", gone, err)
	}
	var errs []error
	for i := range list.Items {
		r := &list.Items[i]
		name, next := fleetOf(r), r.DeepCopy()
		if name != gone.Name && (name != "" || !only) || !controllerutil.RemoveFinalizer(next, finalizer) {
			continue
		}
		_, err := mark(ctx, f.d.Direct, r, next) // one that was changed meanwhile comes here again
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
