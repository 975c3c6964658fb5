package job

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// prepareSecret makes the Secret with the task's pass, before what reads it is
// made. One that a killed operator left may hold a pass that is over, so it
// gets the new one.
func (r *Runner) prepareSecret(ctx context.Context, t *task) error {
	token, err := r.sign(*t)
	if err != nil {
		return err
	}
	t.token = token
	made := t.secret(r.o.Fleet)
	err = r.o.Client.Create(ctx, made)
	if apierrors.IsAlreadyExists(err) {
		err = r.o.Client.Update(ctx, made) // without a resourceVersion: whatever there is
	}
	if err != nil {
		return fmt.Errorf("writing the Secret %s with its pass: %w", made.Name, err)
	}
	return nil
}

// create makes what reads the task's Secret. The Secret of what cannot be made is
// taken back.
func (r *Runner) create(ctx context.Context, t task, o client.Object) error {
	err := r.o.Client.Create(ctx, o)
	if err != nil && final(err) {
		_ = r.o.Client.Delete(ctx, t.secret(r.o.Fleet))
	}
	return err
}

// ownSecret makes the Secret go with owner, and reads the pass, so that it can
// be masked. A Secret that somebody deleted is missed by the Job, not by us.
func (r *Runner) ownSecret(ctx context.Context, t *task, owner client.Object) error {
	var found corev1.Secret
	key := types.NamespacedName{Namespace: r.o.Fleet.Namespace, Name: t.name()}
	if err := r.o.Client.Get(ctx, key, &found); err != nil {
		return client.IgnoreNotFound(err)
	}
	t.token = string(found.Data[envPass])
	for _, o := range found.OwnerReferences {
		if o.UID == owner.GetUID() {
			return nil
		}
	}
	gvk := owner.GetObjectKind().GroupVersionKind()
	found.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: gvk.GroupVersion().String(), Kind: gvk.Kind, Name: owner.GetName(), UID: owner.GetUID(),
	}}
	if err := r.o.Client.Update(ctx, &found); err != nil {
		return fmt.Errorf("giving the Secret %s to its %s: %w", found.Name, gvk.Kind, err)
	}
	return nil
}
