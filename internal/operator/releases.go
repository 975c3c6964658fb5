package operator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// finalizer keeps a Release until nothing in the cluster hangs on it.
const finalizer = "greenroom.dev/release"

// reasonAnnotation is why somebody opened a Release, in their words.
const reasonAnnotation = "greenroom.dev/reason"

// openAll takes every Release in: opens it, updates it, or lets it go. It
// returns what speaks against each, by name.
func (e *Engine) openAll(ctx context.Context, w *world) map[string][]kubernetes.Condition {
	out := map[string][]kubernetes.Condition{}
	for _, r := range w.releases {
		conditions, err := e.attend(ctx, w, r)
		if err != nil && ctx.Err() == nil {
			conditions = append(conditions, condition("Release "+r.Name, err))
		}
		out[r.Name] = conditions
	}
	return out
}

// condition says why what an object asks for could not be taken in.
func condition(object string, err error) kubernetes.Condition {
	c := kubernetes.Condition{Type: kubernetes.NotApplied, Object: object, Message: err.Error() + ".", Remedy: "It is tried again.", Blocks: true}
	var refused *release.Refused
	if errors.As(err, &refused) {
		c.Type, c.Message, c.Remedy = kubernetes.Refused, refused.Reason+".", refused.Remedy+"."
	}
	return c
}

// attend takes one Release in.
func (e *Engine) attend(ctx context.Context, w *world, r *crd.Release) ([]kubernetes.Condition, error) {
	v := e.controller.Record()
	standing, denied := kubernetes.StandingOf(r, v)
	switch {
	case r.DeletionTimestamp != nil:
		return e.letGo(ctx, w, r, v)
	case standing == kubernetes.Over:
		return nil, nil
	}
	if held, err := e.hold(ctx, r); err != nil || !held {
		return nil, err
	}
	switch standing {
	case kubernetes.Denied:
		return nil, denied
	case kubernetes.Opened:
		return nil, nil
	case kubernetes.Stuck:
		if !kubernetes.PreviewsOther(r, w.fleet, v, w.seen) {
			return nil, nil
		}
	}
	if deeds := kubernetes.Apply(r, w.fleet, v, w.seen); len(deeds) > 0 {
		for _, d := range deeds {
			e.do(ctx, w, d)
		}
		return []kubernetes.Condition{{Type: kubernetes.NoPreview, Object: "Release " + r.Name,
			Message: fmt.Sprintf("the images of %d of its services are being set.", len(deeds)), Remedy: "Wait."}}, nil
	}
	_, conditions, err := e.open(ctx, w, r, release.Actor{Who: writer(r), Why: r.Annotations[reasonAnnotation]}, false)
	return conditions, err
}

// byCommand is the field manager of kubectl greenroom, which says who called it.
const byCommand = "kubectl-greenroom"

// somebody is who did what the API server does not say who did.
const somebody = "somebody"

// writer is who wrote a Release last: who called kubectl greenroom, or asked the
// operator's API, as it says in an annotation that an admission policy holds it to, else the field manager,
// which is all that the API server knows.
func writer(r *crd.Release) string {
	who := lastManager(r)
	if person := r.Annotations[kubernetes.OpenedByAnnotation]; (who == byCommand || who == byAPI) && person != "" {
		return person
	}
	return who
}

// lastManager is the field manager of who wrote a Release last.
func lastManager(r *crd.Release) string {
	who, at := somebody, time.Time{}
	for _, m := range r.ManagedFields {
		if m.Subresource == "" && m.Manager != kubernetes.FieldManager && m.Time != nil && !m.Time.Time.Before(at) {
			who, at = m.Manager, m.Time.Time
		}
	}
	return who
}

// open opens a Release, or updates it, from what its Rollouts preview. With
// dryRun nothing is changed.
func (e *Engine) open(ctx context.Context, w *world, r *crd.Release, by release.Actor, rebase bool) (changed bool, _ []kubernetes.Condition, _ error) {
	opening, templates, conditions := kubernetes.Opening(r, w.fleet, w.seen)
	if len(conditions) > 0 {
		return false, conditions, nil
	}
	opening.HookDigest = digest(r.Spec.Hooks)
	before := e.controller.Record().State.Revision
	after, err := e.controller.Do(ctx, func(v kubernetes.Value, _ release.Observation, now time.Time) (kubernetes.Value, error) {
		open := v.State.Open
		if rebase {
			open = v.State.Rebase
		}
		next, err := open(opening, by, now)
		if err != nil {
			return v, err
		}
		if next.Revision == v.State.Revision && v.Opened[r.Name] != r.Generation {
			next.Revision++ // what is known of the object is kept too
		}
		out := v.Opening(next, templates)
		out.Opened = maps.Clone(v.Opened)
		if out.Opened == nil {
			out.Opened = map[string]int64{}
		}
		out.Opened[r.Name] = r.Generation
		if err := out.Opens(v); err != nil {
			return v, err
		}
		return out, nil
	})
	return after.State.Revision != before, nil, err
}

// digest tells hooks of the same names apart by what they do.
func digest(h crd.Hooks) string {
	data, err := json.Marshal(h)
	if err != nil {
		return "" // texts, numbers and maps of texts can always be encoded
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// letGo lets a Release be deleted when it is over, its hooks included, for they
// are read from it. One that only previews is aborted for it; what ordinary
// requests get, or may go back to, is waited for.
func (e *Engine) letGo(ctx context.Context, w *world, r *crd.Release, v kubernetes.Value) ([]kubernetes.Condition, error) {
	known, there := v.State.Releases[r.Name]
	there = there && known.UID == string(r.UID)
	if deeds := kubernetes.PutBack(string(r.UID), v, w.seen); !there && len(deeds) > 0 {
		for _, d := range deeds {
			e.do(ctx, w, d)
		}
		return nil, nil // the next round sees whether they are done
	}
	waits := kubernetes.Condition{Type: kubernetes.DeletionWaits, Object: "Release " + r.Name}
	switch {
	case !there || known.Phase.Ended() && !known.HookDue():
		next := r.DeepCopy()
		if !controllerutil.RemoveFinalizer(next, finalizer) {
			return nil, nil
		}
		_, err := mark(ctx, e.d.Direct, r, next)
		return nil, err
	case known.Phase.Ended():
		waits.Message = "it was deleted, and goes when its hooks have run."
		return []kubernetes.Condition{waits}, nil
	}
	switch known.Phase {
	case release.Preparing, release.Previewing, release.Failed:
		// Who deletes an object stands nowhere in it: who wrote it last may be another.
		_, err := e.controller.Do(ctx, func(v kubernetes.Value, _ release.Observation, now time.Time) (kubernetes.Value, error) {
			next, err := v.State.Abort(r.Name, release.Actor{Who: somebody, Why: "its Release was deleted"}, now)
			if err != nil {
				return v, err
			}
			return v.With(next), nil
		})
		return nil, err
	}
	waits.Message = fmt.Sprintf("it was deleted while it is %s, and goes when it is over.", known.Phase)
	waits.Remedy = deletionRemedy(known)
	return []kubernetes.Condition{waits}, nil
}

// deletionRemedy is what ends a release whose Release was deleted: one that
// settles already can be neither rolled back nor hurried.
func deletionRemedy(r release.Release) string {
	if r.Phase == release.Settling {
		return "Wait: kubectl greenroom status says for what."
	}
	return fmt.Sprintf("Roll it back (kubectl greenroom rollback %s) or settle it (kubectl greenroom release settle %s).", r.Name, r.Name)
}

// hold makes sure that a Release says whose it is, and stays until nothing
// hangs on it. It reports false where a newer one is on its way here.
func (e *Engine) hold(ctx context.Context, r *crd.Release) (bool, error) {
	next := r.DeepCopy()
	if !controllerutil.AddFinalizer(next, finalizer) && r.Labels[kubernetes.LabelFleet] == e.key.Name {
		return true, nil
	}
	if next.Labels == nil {
		next.Labels = map[string]string{}
	}
	next.Labels[kubernetes.LabelFleet] = e.key.Name
	return mark(ctx, e.d.Direct, r, next)
}

// mark changes a Release's metadata. It reports false where somebody else has
// changed the Release since it was read, or deleted it.
func mark(ctx context.Context, c client.Client, r, next *crd.Release) (bool, error) {
	err := c.Patch(ctx, next, client.MergeFromWithOptions(r, client.MergeFromWithOptimisticLock{}))
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("mark Release %s: %w", r.Name, err)
	}
	return true, nil
}

// tell writes how things are into the status of the Fleet and its Releases:
// what v says, whose objects are all there.
func (e *Engine) tell(ctx context.Context, w *world, v kubernetes.Value, conditions []kubernetes.Condition, opening map[string][]kubernetes.Condition) error {
	errs := []error{e.status.Tell(conditions, w.fleet.Generation)}
	o := e.controller.Observe()
	for _, r := range w.releases {
		next := r.DeepCopy()
		next.Status = kubernetes.ProjectRelease(r, v, o.Versions, opening[r.Name], e.d.Now())
		if known := v.State.Releases[r.Name]; known.UID == string(r.UID) {
			next.Status.Reason = tellingReason(known, v, w, next.Status.Reason)
		}
		if equality.Semantic.DeepEqual(next.Status, r.Status) {
			continue
		}
		err := e.d.Direct.Status().Update(ctx, next)
		if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) { // then a newer one is on its way here
			errs = append(errs, fmt.Errorf("write the status of Release %s: %w", r.Name, err))
		}
	}
	return errors.Join(errs...)
}

// tellingReason is what a release waits for, by its state machine's reason and by
// what is seen of its pods.
func tellingReason(r release.Release, v kubernetes.Value, w *world, reason string) string {
	return kubernetes.PreparingReason(r, v, w.seen, kubernetes.SettlingReason(r, v, w.seen, reason))
}

// releaseObject returns the object that a release was opened from.
func (e *Engine) releaseObject(name string) (*crd.Release, bool) {
	list := e.world.Load().releases
	i := slices.IndexFunc(list, func(r *crd.Release) bool { return r.Name == name })
	if i < 0 {
		return nil, false
	}
	return list[i], true
}
