package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	api "github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/breakglass"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// takeBreakGlass takes in what somebody did to the gateways without the
// operator. Until the state says the same nothing else is done: the gateways
// must not go back. A note that nobody can read is told and left: nothing is
// known of what was done, and who may annotate a Fleet must not be able to stop
// it.
func (e *Engine) takeBreakGlass(ctx context.Context, w *world) error {
	found := notesIn(w)
	for _, o := range found {
		note, err := breakglass.Decode(o.GetAnnotations())
		if err != nil {
			e.tellDamaged(ctx, o, err)
			continue
		}
		if err := e.rollBackAs(ctx, note); err != nil {
			c := kubernetes.Condition{Type: kubernetes.BreakGlass, Object: "Fleet " + e.key.Name, Blocks: true,
				Message: "somebody rolled back without the operator, and the state cannot follow: " + err.Error() + ". Nothing is changed meanwhile.",
				Remedy:  "Find out what the gateways are to give ordinary requests, then remove the annotation " + breakglass.Annotation + " from the Fleet and its VirtualServices: the operator puts them back to what its state says."}
			return errors.Join(err, e.status.Tell([]kubernetes.Condition{c}, w.fleet.Generation))
		}
		return e.removeNotes(ctx, found, o.GetAnnotations())
	}
	return nil
}

// notesIn are the Fleet, and the VirtualServices of its gateways, as far as
// there are notes on them: the change of any may have become known first.
func notesIn(w *world) []client.Object {
	var out []client.Object
	if w.fleet.Annotations[breakglass.Annotation] != "" {
		out = append(out, w.fleet)
	}
	for _, vs := range w.routes() {
		if vs.Annotations[breakglass.Annotation] != "" {
			out = append(out, vs)
		}
	}
	return out
}

// tellDamaged says that a note cannot be read: as a condition while it is there,
// and once as an event.
func (e *Engine) tellDamaged(ctx context.Context, o client.Object, why error) {
	object := "VirtualService " + o.GetName()
	if _, is := o.(*crd.Fleet); is {
		object = "Fleet " + o.GetName()
	}
	message := why.Error() + ". It is not followed: the gateways give ordinary requests what the state says."
	e.remark(kubernetes.Condition{Type: kubernetes.BreakGlass, Object: object, Message: message,
		Remedy: "If somebody rolled back by hand, roll back again (kubectl greenroom rollback); then remove the annotation " + breakglass.Annotation + "."})
	text := o.GetAnnotations()[breakglass.Annotation] + " " + o.GetAnnotations()[breakglass.ByAnnotation]
	if e.damagedNotes[object] == text {
		return
	}
	e.damagedNotes[object] = text
	e.note(ctx, api.Event{Type: "BreakGlassUnreadable", Who: release.Greenroom().Who, Message: object + ": " + message})
}

// rollBackAs brings the state to where a note says that the gateways are.
func (e *Engine) rollBackAs(ctx context.Context, n breakglass.Note) error {
	_, err := e.controller.Do(ctx, func(v kubernetes.Value, _ release.Observation, now time.Time) (kubernetes.Value, error) {
		if v.State.Default == n.To {
			return v, nil
		}
		if r := v.State.Releases[n.Release]; r.Phase != release.Live || r.Former != n.To {
			return v, fmt.Errorf("%s was rolled back to %s, and the state has it %s over %s", n.Release, n.To, r.Phase, r.Former)
		}
		why := "without the operator (break-glass)"
		if n.Why != "" {
			why += ": " + n.Why
		}
		next, err := v.State.Rollback(n.Release, release.Actor{Who: n.Who, Why: why}, now)
		if err != nil {
			return v, err
		}
		return v.With(next), nil
	})
	return err
}

// removeNotes removes a note that was taken in, and no other.
func (e *Engine) removeNotes(ctx context.Context, found []client.Object, taken map[string]string) error {
	for _, o := range found {
		var patch []map[string]any
		for _, key := range []string{breakglass.Annotation, breakglass.ByAnnotation} {
			if o.GetAnnotations()[key] != taken[key] {
				patch = nil
				break
			}
			path := "/metadata/annotations/" + strings.ReplaceAll(key, "/", "~1")
			patch = append(patch, map[string]any{"op": "test", "path": path, "value": taken[key]}, map[string]any{"op": "remove", "path": path})
		}
		if patch == nil {
			continue
		}
		text, err := json.Marshal(patch)
		if err != nil {
			return fmt.Errorf("encode a patch: %w", err)
		}
		err = e.d.Direct.Patch(ctx, o.DeepCopyObject().(client.Object), client.RawPatch(types.JSONPatchType, text))
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsInvalid(err) { // invalid: it is gone already
			return fmt.Errorf("remove the note of a rollback: %w", err)
		}
	}
	return nil
}
