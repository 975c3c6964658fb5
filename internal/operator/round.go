package operator

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
	"github.com/greenroom-dev/greenroom/internal/release"
)

const (
	// patience is how long a round that failed waits for the next.
	patience = time.Second
	// resync is how long nothing has to happen before everything is looked at
	// again.
	resync = 30 * time.Second
)

// rounds makes the cluster follow the state, again and again.
func (e *Engine) rounds(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.again:
		case <-e.book.Changed():
		case <-timer.C:
		}
		e.way.await(ctx)
		began := e.d.Now()
		err := e.round(ctx)
		e.meters.looked(e.d.Now().Sub(began))
		wait := e.applier.rest(resync)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrOvertaken):
			e.ask() // a newer state came while an older one was being applied
		case err != nil:
			e.log.Error("the cluster does not follow the state yet; it is tried again", "error", err)
			wait = patience
			select { // whatever asks for the next: what fails now fails then
			case <-ctx.Done():
				return
			case <-time.After(patience):
			}
			e.ask()
		}
		if _, until := e.book.Callbacks(e.d.Now()); !until.IsZero() {
			wait = min(wait, max(until.Sub(e.d.Now()), time.Millisecond))
		}
		timer.Reset(wait)
	}
}

// round takes in what people changed, applies what the state comes to, lets
// Argo follow, and says how things are.
func (e *Engine) round(ctx context.Context) error {
	w := e.world.Load()
	e.forgetTroubles()
	e.telling.follow(e, w.fleet.Spec.Notify)
	if err := e.adjust(ctx, w); err != nil {
		return err
	}
	opening := e.openAll(ctx, w)
	e.lookAtGateways(ctx, w)
	e.lookAtScheme(ctx, w.fleet)
	v := e.applier.value()
	conditions, applied := e.apply(ctx, v, w)
	if applied == nil {
		e.arrivals.note(v.State, e.d.Now())
		e.followArgo(ctx, v, w)
	}
	conditions = slices.Concat(conditions, kubernetes.Inspect(w.fleet, v, w.releases, w.seen), e.notedTroubles(), e.lookForGuard(ctx), e.refusals())
	if applied != nil && !errors.Is(applied, ErrOvertaken) && ctx.Err() == nil {
		conditions = append(conditions, kubernetes.Condition{Type: kubernetes.NotApplied, Object: "Fleet " + e.key.Name, Blocks: true,
			Message: "what its state comes to could not be applied: " + applied.Error() + ".", Remedy: "It is tried again; look at the operator's rights and log."})
	}
	if errors.Is(applied, ErrOvertaken) {
		return applied // what is told must be there
	}
	return errors.Join(applied, e.tell(ctx, w, v, conditions, opening))
}

// plan is what the last round that applied everything applied.
type plan struct {
	print      kubernetes.Digest // of what it follows from
	conditions []kubernetes.Condition
}

// apply makes the objects that a state comes to be in the cluster, and returns
// what is in the way. It looks whether all are as they were left where nothing
// has changed that they follow from. It is used by rounds alone.
func (e *Engine) apply(ctx context.Context, v kubernetes.Value, w *world) ([]kubernetes.Condition, error) {
	in := e.input(v, w)
	in.GatewayPods = e.gatewaySeen.pods
	print, err := in.Print()
	if err != nil {
		return nil, err
	}
	if e.planned != nil && e.planned.print == print && e.applier.stands(w) {
		return slices.Clone(e.planned.conditions), e.applier.prune(ctx, v, w)
	}
	e.planned = nil
	objects, conditions := kubernetes.Translate(in)
	if err := e.applier.pass(ctx, v, w, objects); err != nil {
		return conditions, err
	}
	e.planned = &plan{print: print, conditions: conditions}
	return slices.Clone(conditions), nil
}

// adjust takes what a person changed in the Fleet into the state.
func (e *Engine) adjust(ctx context.Context, w *world) error {
	if err := e.takeBreakGlass(ctx, w); err != nil {
		return err
	}
	adjusted := func(v kubernetes.Value, _ release.Observation, now time.Time) (kubernetes.Value, error) {
		change, templates := kubernetes.Change(w.fleet, v, w.seen)
		next, err := v.State.Apply(change, release.Greenroom(), now)
		if err != nil {
			return v, err
		}
		return v.Opening(next, templates), nil
	}
	v := e.controller.Record()
	next, err := adjusted(v, release.Observation{}, e.d.Now())
	if err == nil && next.State.Revision == v.State.Revision {
		return nil
	}
	_, err = e.controller.Do(ctx, adjusted)
	var refused *release.Refused
	if errors.As(err, &refused) { // what accept let pass was overtaken by a release
		e.trouble("Fleet "+e.key.Name, kubernetes.Refused, refused.Reason+".", refused.Remedy)
		return nil
	}
	return err
}

// trouble notes what could not be done about an object, until the next round.
func (e *Engine) trouble(object, kind, message, remedy string) {
	e.remark(kubernetes.Condition{Type: kind, Object: object, Message: message, Remedy: remedy, Blocks: true})
}

// remark notes what is to be told of an object, until the next round.
func (e *Engine) remark(c kubernetes.Condition) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.troubles[c.Type+c.Object] = c
}

func (e *Engine) forgetTroubles() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.troubles)
}

func (e *Engine) notedTroubles() []kubernetes.Condition {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Collect(maps.Values(e.troubles))
}
