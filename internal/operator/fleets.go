package operator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/greenroom-dev/greenroom/internal/operator/stagedoor"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
)

// Fleets are the Engines of a cluster, one for each Fleet object.
type Fleets struct {
	d      Deps
	worlds *worlds

	mu      sync.Mutex
	engines map[types.NamespacedName]*Engine

	ended chan event.GenericEvent // Engines that have to be replaced
	door  *stagedoor.Door
}

// NewFleets returns Fleets that keep none yet.
func NewFleets(d Deps) *Fleets {
	f := &Fleets{d: d, worlds: &worlds{all: d.Cache, ours: d.Ours}, engines: map[types.NamespacedName]*Engine{}, ended: make(chan event.GenericEvent, 16)}
	f.door = stagedoor.New(doorFleets{f}, d.Now)
	f.d.Asked = f.door.Asked
	f.d.logins = newLogins(d)
	return f
}

// again is how soon a fleet that could not be kept is looked at again.
const again = 5 * time.Second

// Reconcile lets a fleet's Engine see the world as it is now, and starts or
// stops it as the Fleet comes and goes. It is called by one goroutine per fleet
// at a time.
func (f *Fleets) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	w, err := f.worlds.read(ctx, req.NamespacedName)
	if apierrors.IsNotFound(err) || err == nil && w.fleet.DeletionTimestamp != nil {
		f.drop(req.NamespacedName)
		return reconcile.Result{}, f.abandon(ctx, req.NamespacedName)
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	e, ok := f.Engine(req.NamespacedName)
	if ok && e.Ended() {
		f.drop(req.NamespacedName)
		ok = false
	}
	if ok && e.world.Load().fleet.UID != w.fleet.UID { // deleted and made again
		f.drop(req.NamespacedName)
		ok = false
	}
	if ok {
		e.take(w)
		return reconcile.Result{}, nil
	}
	return f.start(ctx, req.NamespacedName, w)
}

func (f *Fleets) start(ctx context.Context, key types.NamespacedName, w *world) (reconcile.Result, error) {
	e, err := StartEngine(ctx, f.d, key, w, func() { f.ended <- event.GenericEvent{Object: w.fleet} })
	var why *unusable
	if errors.As(err, &why) {
		s := &status{put: f.d.Put, live: f.d.Direct, key: key, now: f.d.Now, lost: func() {}, fleet: w.fleet}
		f.d.Log.Error("a fleet is not kept", "fleet", key.String(), "error", why)
		return reconcile.Result{RequeueAfter: again}, s.Tell(why.conditions, w.fleet.Generation)
	}
	if err != nil {
		f.d.Log.Error("a fleet is not kept", "fleet", key.String(), "error", err)
		f.tellFailure(key, w, err)
		return reconcile.Result{RequeueAfter: again}, nil
	}
	f.mu.Lock()
	f.engines[key] = e
	f.mu.Unlock()
	f.d.Log.Info("a fleet is kept", "fleet", key.String(), "serving", e.controller.Record().State.Serving().Release)
	return reconcile.Result{}, nil
}

// tellFailure says in the Fleet why it is not kept. Its state may be what is
// damaged, so that it is left as it is.
func (f *Fleets) tellFailure(key types.NamespacedName, w *world, why error) {
	s := &status{put: f.d.Put, live: f.d.Direct, key: key, now: f.d.Now, lost: func() {}, fleet: w.fleet}
	err := s.Tell([]kubernetes.Condition{{Type: kubernetes.NotApplied, Object: "Fleet " + key.Name, Blocks: true,
		Message: fmt.Sprintf("it is not kept, and nothing of it is changed: %v.", why), Remedy: "It is tried again every few seconds."}}, w.fleet.Generation)
	if err != nil {
		f.d.Log.Error("a fleet's condition could not be written", "fleet", key.String(), "error", err)
	}
}

// Engine returns the one that keeps a fleet.
func (f *Fleets) Engine(key types.NamespacedName) (*Engine, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, ok := f.engines[key]
	return e, ok
}

func (f *Fleets) drop(key types.NamespacedName) {
	f.mu.Lock()
	e, ok := f.engines[key]
	delete(f.engines, key)
	f.mu.Unlock()
	if ok {
		e.Stop()
	}
}

// Stop ends all Engines.
func (f *Fleets) Stop() {
	f.mu.Lock()
	engines := f.engines
	f.engines = map[types.NamespacedName]*Engine{}
	f.mu.Unlock()
	for _, e := range engines {
		e.Stop()
	}
}
