package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
)

// errStale says that an object is not what a deed was decided on any more. The
// next round, which that change brings, decides anew.
var errStale = errors.New("it has changed meanwhile")

// formerImagePath is where kubernetes.FormerImageAnnotation stands, as JSON
// Patch names it.
const formerImagePath = "/metadata/annotations/greenroom.dev~1former-image"

// followArgo carries out what has to be done so that Argo follows the state.
// What fails is told, and tried again with the next round.
func (e *Engine) followArgo(ctx context.Context, v kubernetes.Value, w *world) {
	for _, d := range kubernetes.Follow(w.fleet, v, w.releases, w.seen) {
		e.do(ctx, w, d)
	}
}

func (e *Engine) do(ctx context.Context, w *world, d kubernetes.Deed) {
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	var err error
	var rollout string
	switch d := d.(type) {
	case kubernetes.PromoteRollout:
		rollout = d.Rollout
		err = e.patch(ctx, kubernetes.RolloutKind(), rollout, map[string]any{
			"metadata": map[string]any{"resourceVersion": d.ResourceVersion}, // else it could promote what came meanwhile
			"status":   map[string]any{"pauseConditions": nil},
		}, "status")
	case kubernetes.Guard:
		rollout = d.Rollout
		err = e.guard(ctx, w, d)
	case kubernetes.SetImage:
		rollout = d.Rollout
		err = e.setImage(ctx, w, d)
	case kubernetes.ForgetImage:
		rollout = d.Rollout
		err = e.forgetImage(ctx, w, d)
	}
	if apierrors.IsConflict(err) || errors.Is(err, errStale) {
		e.log.Info("a Rollout has changed since it was looked at; it is decided on anew", "rollout", rollout, "deed", fmt.Sprintf("%T", d), "error", err)
		return
	}
	if err != nil && ctx.Err() == nil {
		e.log.Error("a Rollout does not follow yet; it is tried again", "rollout", rollout, "error", err)
		e.trouble("Rollout "+rollout, kubernetes.NotApplied, err.Error()+".", "It is tried again; look at the operator's rights.")
	}
}

// holder is what has the template of a Rollout: itself, or the Deployment that
// it refers to.
func holder(w *world, rollout string) (schema.GroupVersionKind, string) {
	for _, s := range w.seen {
		if s.Rollout.Metadata.Name != rollout {
			continue
		}
		if ref := s.Rollout.Spec.WorkloadRef; ref != nil {
			gv, _ := schema.ParseGroupVersion(ref.APIVersion)
			return gv.WithKind(ref.Kind), ref.Name
		}
	}
	return kubernetes.RolloutKind(), rollout
}

// guard marks a Rollout, and what has its template, as not to be changed.
func (e *Engine) guard(ctx context.Context, w *world, d kubernetes.Guard) error {
	var value any // null removes
	if d.Release != "" {
		value = d.Release
	}
	mark := map[string]any{"metadata": map[string]any{"annotations": map[string]any{kubernetes.GuardAnnotation: value}}}
	kind, name := holder(w, d.Rollout)
	if kind != kubernetes.RolloutKind() {
		if err := e.patch(ctx, kind, name, mark); err != nil {
			return err
		}
	}
	return e.patch(ctx, kubernetes.RolloutKind(), d.Rollout, mark)
}

// setImage sets an image, and in the same write notes the one to put back, or
// that there is none any more.
func (e *Engine) setImage(ctx context.Context, w *world, d kubernetes.SetImage) error {
	kind, name := holder(w, d.Rollout)
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(kind)
	if err := e.d.Direct.Get(ctx, types.NamespacedName{Namespace: e.key.Namespace, Name: name}, o); err != nil {
		return fmt.Errorf("read %s %s: %w", kind.Kind, name, err)
	}
	containers, _, err := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
	if err != nil {
		return fmt.Errorf("read the containers of %s %s: %w", kind.Kind, name, err)
	}
	i := slices.IndexFunc(containers, func(c any) bool {
		one, ok := c.(map[string]any)
		return ok && one["name"] == d.Container
	})
	if i < 0 {
		return fmt.Errorf("%s %s has no container %s", kind.Kind, name, d.Container)
	}
	if runs, _, _ := unstructured.NestedString(containers[i].(map[string]any), "image"); runs != d.Was {
		return fmt.Errorf("%w: %s of %s %s has the image %s, not %s", errStale, d.Container, kind.Kind, name, runs, d.Was)
	}
	// The tests make it fail rather than hit another container, or what somebody
	// else has set since it was read.
	at := fmt.Sprintf("/spec/template/spec/containers/%d/", i)
	notes, err := noteFormer(o, d.Noted, d.Notes)
	if err != nil {
		return err
	}
	err = e.amend(ctx, o, append([]map[string]any{
		{"op": "test", "path": at + "name", "value": d.Container},
		{"op": "test", "path": at + "image", "value": d.Was},
		{"op": "replace", "path": at + "image", "value": d.Image},
	}, notes...))
	if err != nil {
		return fmt.Errorf("set the image of %s %s: %w", kind.Kind, name, err)
	}
	return nil
}

// noteFormer is the JSON Patch that changes the note of former images, unless
// it is another one than was judged.
func noteFormer(o *unstructured.Unstructured, noted, notes string) ([]map[string]any, error) {
	annotations := o.GetAnnotations()
	now, there := annotations[kubernetes.FormerImageAnnotation]
	switch {
	case now != noted:
		return nil, fmt.Errorf("%w: %s %s notes %q, not %q", errStale, o.GetKind(), o.GetName(), now, noted)
	case now == notes:
		return nil, nil
	case there && notes == "":
		return []map[string]any{{"op": "test", "path": formerImagePath, "value": noted}, {"op": "remove", "path": formerImagePath}}, nil
	case there:
		return []map[string]any{{"op": "test", "path": formerImagePath, "value": noted}, {"op": "replace", "path": formerImagePath, "value": notes}}, nil
	case annotations == nil:
		return []map[string]any{{"op": "add", "path": "/metadata/annotations", "value": map[string]string{kubernetes.FormerImageAnnotation: notes}}}, nil
	}
	return []map[string]any{{"op": "add", "path": formerImagePath, "value": notes}}, nil
}

// forgetImage takes the note of a former image away, unless another one has
// been written.
func (e *Engine) forgetImage(ctx context.Context, w *world, d kubernetes.ForgetImage) error {
	kind, name := holder(w, d.Rollout)
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(kind)
	if err := e.d.Direct.Get(ctx, types.NamespacedName{Namespace: e.key.Namespace, Name: name}, o); err != nil {
		return fmt.Errorf("read %s %s: %w", kind.Kind, name, err)
	}
	ops, err := noteFormer(o, d.Noted, d.Notes)
	if err != nil || len(ops) == 0 {
		return err
	}
	if err := e.amend(ctx, o, ops); err != nil {
		return fmt.Errorf("forget the former image of %s %s: %w", kind.Kind, name, err)
	}
	return nil
}

// amend changes an object by JSON Patch.
func (e *Engine) amend(ctx context.Context, o *unstructured.Unstructured, ops []map[string]any) error {
	data, err := json.Marshal(ops)
	if err != nil {
		return fmt.Errorf("encode a patch: %w", err)
	}
	return e.d.Direct.Patch(ctx, o, client.RawPatch(types.JSONPatchType, data), client.FieldOwner(kubernetes.FieldManager))
}

// patch merges a change into an object of the fleet's namespace.
func (e *Engine) patch(ctx context.Context, kind schema.GroupVersionKind, name string, change map[string]any, subresource ...string) error {
	data, err := json.Marshal(change)
	if err != nil {
		return fmt.Errorf("encode a patch: %w", err)
	}
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(kind)
	o.SetNamespace(e.key.Namespace)
	o.SetName(name)
	merge := client.RawPatch(types.MergePatchType, data)
	if len(subresource) > 0 {
		err = e.d.Direct.SubResource(subresource[0]).Patch(ctx, o, merge, client.FieldOwner(kubernetes.FieldManager))
	} else {
		err = e.d.Direct.Patch(ctx, o, merge, client.FieldOwner(kubernetes.FieldManager))
	}
	if err != nil {
		return fmt.Errorf("patch %s %s: %w", kind.Kind, name, err)
	}
	return nil
}
