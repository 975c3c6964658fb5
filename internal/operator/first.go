package operator

import (
	"context"
	"fmt"
	"slices"
	"time"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// first is the state of a Fleet that has none. Where nothing of greenroom's is
// there yet, what Argo's active Services select is the baseline. Else a state
// was lost: it is taken from its copy if the gateways still say the same as
// that, and otherwise nothing is done at all, for a wrong guess would change
// what ordinary requests get. Its revision is higher than any that the event
// log, which outlives Fleets, has seen: it takes no event of a former one.
func (e *Engine) first(ctx context.Context, w *world, now time.Time) (kubernetes.Value, error) {
	traces := append(routesOf(w), releasedOf(w)...)
	if len(traces) == 0 {
		v, conditions := kubernetes.Begin(w.fleet, w.seen, release.Greenroom(), now)
		if len(v.State.Versions) == 0 {
			return v, &unusable{conditions}
		}
		v.State.Revision = max(v.State.Revision, e.journal.Revision()+1)
		return v, nil
	}
	v, err := e.readCopy(ctx)
	if err == nil {
		err = e.agrees(ctx, w, v)
	}
	if err != nil {
		return v, &unusable{[]kubernetes.Condition{{
			Type: kubernetes.StateMissing, Object: "Fleet " + e.key.Name, Blocks: true,
			Message: fmt.Sprintf("it has no state, and %s exists: the fleet has been kept before. Its copy does not help: %v. Nothing is changed.", traces[0], err),
			Remedy: fmt.Sprintf("Put the Fleet's status or the ConfigMap %s back from a backup; or, to begin anew with what Argo calls active, delete the Fleet's Releases and then the objects labelled %s=%s.",
				copyName(e.key.Name), kubernetes.LabelFleet, e.key.Name),
		}}}
	}
	e.log.Warn("the state was lost, and is taken from its copy", "revision", v.State.Revision)
	v.State.Revision = max(v.State.Revision, e.journal.Revision()) + 1
	return v, nil
}

// routesOf and releasedOf are what shows that a fleet has been kept before.
func routesOf(w *world) []string {
	var out []string
	for _, o := range w.routes() {
		out = append(out, objectName(o))
	}
	slices.Sort(out)
	return out
}

func releasedOf(w *world) []string {
	var out []string
	for _, r := range w.releases {
		if r.Status.Phase != "" {
			out = append(out, "Release "+r.Name+" in phase "+r.Status.Phase)
		}
	}
	return out
}

// agrees compares a copy of the state with what the gateways give ordinary
// requests.
func (e *Engine) agrees(ctx context.Context, w *world, v kubernetes.Value) error {
	for _, o := range w.routes() {
		if o.Labels[kubernetes.LabelService] != "" {
			continue // between services
		}
		vs := &networkingv1.VirtualService{}
		if err := e.d.Direct.Get(ctx, types.NamespacedName{Namespace: o.Namespace, Name: o.Name}, vs); err != nil {
			return fmt.Errorf("read VirtualService %s: %w", o.Name, err)
		}
		if stamp, edge := kubernetes.Served(vs); edge && stamp != v.State.Default {
			return fmt.Errorf("it says that ordinary requests get %s, and %s gives them %s", v.State.Default, vs.Name, stamp)
		}
	}
	return nil
}

func copyName(fleet string) string { return "greenroom." + fleet + ".state" }

// copyField is where the ConfigMap has the state.
const copyField = "state"

func (e *Engine) readCopy(ctx context.Context) (kubernetes.Value, error) {
	var kept corev1.ConfigMap
	err := e.d.Direct.Get(ctx, types.NamespacedName{Namespace: e.key.Namespace, Name: copyName(e.key.Name)}, &kept)
	if apierrors.IsNotFound(err) {
		return kubernetes.Value{}, fmt.Errorf("there is no ConfigMap %s", copyName(e.key.Name))
	}
	if err != nil {
		return kubernetes.Value{}, fmt.Errorf("read the copy of the state: %w", err)
	}
	return kubernetes.DecodeValue(&runtime.RawExtension{Raw: []byte(kept.Data[copyField])})
}

// writeCopy keeps a copy of the state that a Fleet has beside it, since a status
// is lost with its object.
func (e *Engine) writeCopy(ctx context.Context, fleet *crd.Fleet) error {
	kept := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: e.key.Namespace, Name: copyName(e.key.Name), Labels: kubernetes.Labels(fleet)},
		Data:       map[string]string{copyField: string(fleet.Status.State.Raw)},
	}
	err := e.d.Direct.Update(ctx, kept)
	if apierrors.IsNotFound(err) {
		err = e.d.Direct.Create(ctx, kept)
	}
	if err != nil {
		return fmt.Errorf("keep a copy of the state: %w", err)
	}
	return nil
}
