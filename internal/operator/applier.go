package operator

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
)

const (
	// lingering is how long a destination stays after the last route to it was
	// taken away: every proxy must have heard of it.
	lingering = time.Minute
	// applyTimeout bounds the write of one object.
	applyTimeout = 10 * time.Second
	// writers is how many objects are written at once.
	writers = 8
	// tries is how often an object is written that others write as well.
	tries = 5
)

// applier makes a fleet's objects be in the cluster. A pass writes what has to
// be there and deletes what does not; a switch of the edge does not wait for
// one. Of two writes of one object the later state wins: mu is held from
// looking at the latest state to the end of the write.
//
// Objects are written with the resourceVersion that this operator's last write
// left. Where it is another one, and before anything is deleted, the state in
// the cluster has to be this operator's still: so one that led before, and does
// not know that it does not any more, puts nothing back and takes nothing away.
// What it makes anew has no version; the one that leads repairs that.
type applier struct {
	client client.Client
	edges  client.Client // for the edges, which a switch writes: it never waits its turn
	log    *slog.Logger
	now    func() time.Time
	holds  func(context.Context) error // ErrOvertaken where the state in the cluster is not this operator's any more
	clear  func(context.Context)       // returns when no switch is on its way; nil: none ever is

	mu      sync.Mutex
	latest  kubernetes.Value    // what the edges have to follow
	written map[string]*written // by name: what was written last

	// Used by pass alone, and between two of them.
	unwanted map[string]time.Time // by object: since when
	wanted   map[string]bool      // by name: what the last complete pass saw to
	due      time.Time            // when the first of those that linger is to go; zero: none does
}

func newApplier(c client.Client, log *slog.Logger, now func() time.Time, holds func(context.Context) error) *applier {
	return &applier{client: c, edges: c, log: log, now: now, holds: holds, written: map[string]*written{}, unwanted: map[string]time.Time{}}
}

// follow makes v the latest state. With edges it is a switch, and they are
// written before it returns; it reports whether all of them are, and the next pass
// mends what could not be.
func (a *applier) follow(ctx context.Context, v kubernetes.Value, edges []*networkingv1.VirtualService) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.latest = v
	all := true
	for _, vs := range edges {
		encoded, err := new(kubernetes.Encoder).Encode(vs)
		if err == nil {
			err = a.putEdge(ctx, vs, encoded)
		}
		if err != nil {
			a.log.Error("the edge could not be switched; it is tried again", "object", vs.Namespace+"/"+vs.Name, "error", err)
			all = false
		}
	}
	return all
}

func (a *applier) value() kubernetes.Value {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.latest
}

// stands reports whether all that the last complete pass saw to is as it was
// left.
func (a *applier) stands(w *world) bool {
	there := byName(w)
	a.mu.Lock()
	defer a.mu.Unlock()
	for name := range a.wanted {
		if one, ok := a.written[name]; !ok || !one.stands(there[name], a.now()) {
			return false
		}
	}
	return a.wanted != nil
}

func byName(w *world) map[string]kubernetes.Object {
	there := make(map[string]kubernetes.Object, len(w.ours))
	for _, o := range w.ours {
		there[objectName(o)] = o
	}
	return there
}

// pass writes objects, which follow from v, in their order, and deletes those
// of the fleet that are not among them. It is given up, with ErrOvertaken, as
// soon as another state is the latest: the edges must not go back.
func (a *applier) pass(ctx context.Context, v kubernetes.Value, w *world, objects kubernetes.Objects) error {
	there := byName(w)
	a.wanted = nil
	holds := sync.OnceValue(func() error { return a.holds(ctx) }) // after w was read
	if err := a.switchFirst(ctx, v, there, objects); err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, o := range objects.All() {
		wanted[objectName(o)] = true
	}
	rest, edges := groups(objects), objects.Edges
	encoder, err := kubernetes.NewEncoder(objects)
	if err != nil {
		return err
	}
	objects = kubernetes.Objects{} // each lets go of one after the other
	for _, group := range rest {
		err := a.each(ctx, group, func(ctx context.Context, o kubernetes.Object) error {
			if err := a.letPass(ctx, v); err != nil {
				return err
			}
			return a.mend(ctx, encoder, there[objectName(o)], o, holds)
		})
		if err != nil {
			return err
		}
	}
	for _, vs := range edges {
		if err := a.mendEdge(ctx, v, there[objectName(vs)], vs); err != nil {
			return err
		}
	}
	a.wanted = wanted
	return a.prune(ctx, v, w)
}

// switchFirst writes the edges before everything else where a switch has not
// come to them: the write failed, or an operator ended before it. Whatever they
// lead to has to be there, as it is when all that was switched is the default.
func (a *applier) switchFirst(ctx context.Context, v kubernetes.Value, there map[string]kubernetes.Object, objects kubernetes.Objects) error {
	for _, s := range objects.Services {
		if there[objectName(s)] == nil {
			return nil
		}
	}
	for _, vs := range objects.Edges {
		name := objectName(vs)
		a.mu.Lock()
		_, known := a.written[name]
		a.mu.Unlock()
		if known || there[name] == nil {
			continue // it was written by a switch or a pass
		}
		existing := &networkingv1.VirtualService{}
		err := a.client.Get(ctx, client.ObjectKeyFromObject(vs), existing)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if stamp, known := kubernetes.Served(existing); !known || stamp == v.State.Default {
			continue
		}
		if err := a.mendEdge(ctx, v, there[name], vs); err != nil {
			return err
		}
	}
	return nil
}

// groups are all objects but the edges in the order in which they are written:
// what is in one group does not depend on the rest of it.
func groups(o kubernetes.Objects) [][]kubernetes.Object {
	destinations := kubernetes.Objects{Services: o.Services, DestinationRules: o.DestinationRules}
	mesh := kubernetes.Objects{Mesh: o.Mesh}
	guards := o
	guards.Services, guards.DestinationRules, guards.Mesh, guards.Edges = nil, nil, nil, nil
	return [][]kubernetes.Object{destinations.All(), guards.All(), mesh.All()}
}

// each does something with every object of a group, some at a time, and lets go
// of it: the routes of a large fleet are most of what is in memory meanwhile. Of
// several errors it returns that of the first object, always the same one.
func (a *applier) each(ctx context.Context, group []kubernetes.Object, do func(context.Context, kubernetes.Object) error) error {
	work := make(chan int)
	errs := make([]error, len(group))
	var wg sync.WaitGroup
	for range min(writers, len(group)) {
		wg.Go(func() {
			for i := range work {
				errs[i] = do(ctx, group[i])
				group[i] = nil
			}
		})
	}
	for i := range group {
		work <- i
	}
	close(work)
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// mend writes an object unless it is as it has to be. holds says whether the
// state is this operator's since existing was read.
func (a *applier) mend(ctx context.Context, encoder *kubernetes.Encoder, existing, desired kubernetes.Object, holds func() error) error {
	encoded, err := encoder.Encode(desired)
	if err != nil || a.asItHasToBe(existing, desired, encoded.Digest) {
		return err
	}
	a.mu.Lock()
	version := a.versionLeft(desired)
	a.mu.Unlock()
	if version == "" {
		if err := holds(); err != nil {
			return err
		}
		if existing != nil {
			version = existing.GetResourceVersion()
		}
	}
	left, err := a.fenced(ctx, a.client, desired, encoded, version)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.note(desired, encoded.Digest, left, err)
	return err
}

// mendEdge is mend for what a switch writes too: never from a former state.
func (a *applier) mendEdge(ctx context.Context, v kubernetes.Value, existing kubernetes.Object, desired *networkingv1.VirtualService) error {
	encoded, err := new(kubernetes.Encoder).Encode(desired)
	if err != nil {
		return err
	}
	as := a.asItHasToBe(existing, desired, encoded.Digest)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.latest.State.Revision != v.State.Revision {
		return ErrOvertaken
	}
	if as {
		return nil
	}
	return a.putEdge(ctx, desired, encoded)
}

// asItHasToBe reports whether nothing needs to be written. digest is of desired.
func (a *applier) asItHasToBe(existing, desired kubernetes.Object, digest kubernetes.Digest) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	last, ok := a.written[objectName(desired)]
	return ok && last.digest == digest && last.stands(existing, a.now())
}

// note remembers what was written, or that it is not known. The caller holds
// mu.
func (a *applier) note(o kubernetes.Object, digest kubernetes.Digest, left *metav1.PartialObjectMetadata, err error) {
	if err != nil {
		delete(a.written, objectName(o))
		return
	}
	one := &written{
		digest: digest, at: a.now(), uid: left.UID, generation: left.Generation, version: left.ResourceVersion,
		labels: maps.Clone(o.GetLabels()), annotations: maps.Clone(o.GetAnnotations()),
	}
	one.service, _ = o.(*corev1.Service)
	a.written[objectName(o)] = one
}

// putEdge applies the VirtualService of a Gateway. The caller holds mu.
func (a *applier) putEdge(ctx context.Context, vs *networkingv1.VirtualService, encoded kubernetes.Encoded) (err error) {
	version := a.versionLeft(vs)
	if version == "" {
		version, err = a.versionOf(ctx, vs)
	}
	var left *metav1.PartialObjectMetadata
	if err == nil {
		left, err = a.fenced(ctx, a.edges, vs, encoded, version)
	}
	a.note(vs, encoded.Digest, left, err)
	return err
}

// versionLeft is the resourceVersion that this operator's last write of an
// object left, "" where it is not known. The caller holds mu.
func (a *applier) versionLeft(o kubernetes.Object) string {
	if last, ok := a.written[objectName(o)]; ok {
		return last.version
	}
	return ""
}

// fenced applies an object of a version, "" for none. Where it is of another
// one, or gone, it looks whether the state is this operator's still and tries
// again.
func (a *applier) fenced(ctx context.Context, c client.Client, o kubernetes.Object, encoded kubernetes.Encoded, version string) (left *metav1.PartialObjectMetadata, err error) {
	for range tries {
		if left, err = put(ctx, c, o, encoded, version); err == nil || !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return left, err
		}
		var lost error
		if version, lost = a.versionOf(ctx, o); lost != nil { // somebody else wrote or deleted it
			return nil, lost
		}
	}
	return nil, err
}

// versionOf is the resourceVersion of an object as it is now, "" where there is
// none. It is read before the state is looked at: what an operator that has
// taken over writes after that is another version.
func (a *applier) versionOf(ctx context.Context, o kubernetes.Object) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	now := metadataOf(o)
	err := a.client.Get(ctx, client.ObjectKeyFromObject(o), now)
	if err != nil && !apierrors.IsNotFound(err) {
		return "", fmt.Errorf("read %s: %w", objectName(o), err)
	}
	return now.ResourceVersion, a.holds(ctx)
}

// metadataOf is the name and kind of a desired object.
func metadataOf(o kubernetes.Object) *metav1.PartialObjectMetadata {
	out := &metav1.PartialObjectMetadata{}
	out.SetGroupVersionKind(o.GetObjectKind().GroupVersionKind())
	out.Namespace, out.Name = o.GetNamespace(), o.GetName()
	return out
}

// put applies an object server-side, and returns what the API server made of
// its metadata: nothing else of its answer is of interest.
func put(ctx context.Context, c client.Client, o kubernetes.Object, encoded kubernetes.Encoded, version string) (*metav1.PartialObjectMetadata, error) {
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	data, err := encoded.Manifest(version)
	if err != nil {
		return nil, err
	}
	left := metadataOf(o)
	err = c.Patch(ctx, left, client.RawPatch(types.ApplyPatchType, data), client.FieldOwner(kubernetes.FieldManager), client.ForceOwnership)
	if err != nil {
		return nil, fmt.Errorf("apply %s: %w", objectName(o), err)
	}
	return left, nil
}

// objectName tells objects apart by their kind, which is their Go type's name,
// since what is read from a cache need not name it.
func objectName(o kubernetes.Object) string {
	if p, ok := o.(*metav1.PartialObjectMetadata); ok {
		return p.Kind + " " + p.Namespace + "/" + p.Name
	}
	kind := fmt.Sprintf("%T", o)
	return kind[strings.LastIndexByte(kind, '.')+1:] + " " + o.GetNamespace() + "/" + o.GetName()
}

// prune deletes what greenroom made for the fleet and the last complete pass did
// not see to.
func (a *applier) prune(ctx context.Context, v kubernetes.Value, w *world) error {
	since := map[string]time.Time{}
	a.due = time.Time{}
	holds := sync.OnceValue(func() error { return a.holds(ctx) }) // after w was read
	for _, o := range w.ours {
		name := objectName(o)
		if a.wanted[name] || o.GetDeletionTimestamp() != nil {
			continue
		}
		since[name] = a.now()
		if at, ok := a.unwanted[name]; ok {
			since[name] = at
		}
		if goes := since[name].Add(lingering); destination(o) && a.now().Before(goes) {
			if a.due.IsZero() || goes.Before(a.due) {
				a.due = goes
			}
			continue
		}
		if a.value().State.Revision != v.State.Revision {
			return ErrOvertaken
		}
		if err := holds(); err != nil {
			return err
		}
		uid, version := o.GetUID(), o.GetResourceVersion()
		err := a.client.Delete(ctx, o.DeepCopyObject().(client.Object), client.Preconditions{UID: &uid, ResourceVersion: &version})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("delete %s: %w", name, err)
		}
		a.mu.Lock()
		delete(a.written, name)
		a.mu.Unlock()
	}
	a.unwanted = since
	return nil
}

// rest is how long the next pass has time if nothing happens: until something
// that lingers is to go, and no longer than limit.
func (a *applier) rest(limit time.Duration) time.Duration {
	if a.due.IsZero() {
		return limit
	}
	return max(0, min(limit, a.due.Sub(a.now())))
}

// destination reports whether routes may lead to an object, or hang on it.
func destination(o kubernetes.Object) bool {
	switch o := o.(type) {
	case *corev1.Service:
		return true
	case *metav1.PartialObjectMetadata:
		return o.Kind == "DestinationRule"
	}
	return false
}
