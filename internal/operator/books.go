package operator

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	api "github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/hook"
	"github.com/greenroom-dev/greenroom/internal/operator/job"
	"github.com/greenroom-dev/greenroom/internal/operator/journal"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// bookkeeping is how often keys and lists are tended when nothing changes.
const bookkeeping = time.Minute

// keepBooks brings the event log and the copy of the state up to date after
// every change, and tends the passes.
func (e *Engine) keepBooks(ctx context.Context) {
	tick := time.NewTicker(bookkeeping)
	defer tick.Stop()
	for {
		changed := e.controller.Changed()
		e.writeBooks(ctx)
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-tick.C:
			if err := e.book.Sync(ctx, e.d.Now()); err != nil && ctx.Err() == nil {
				e.log.Error("the passes could not be tended; it is tried again", "error", err)
			}
		}
	}
}

func (e *Engine) writeBooks(ctx context.Context) {
	fleet := e.status.object()
	var events []journal.Event
	revision := uint64(0)
	logged := e.journal.Revision()
	var failed error
	flush := func() {
		if len(events) > 0 && failed == nil { // what comes later would make the log pass over these
			failed = e.journal.Append(ctx, revision, events...)
		}
	}
	for _, one := range fleet.Status.Events {
		if uint64(one.Revision) <= logged {
			continue
		}
		if uint64(one.Revision) != revision {
			flush()
			events, revision = nil, uint64(one.Revision)
		}
		events = append(events, journal.Event{Event: showEvent(one)})
	}
	flush()
	if failed != nil && ctx.Err() == nil {
		e.log.Error("events are not in the log yet; it is tried again", "error", failed)
	}
	if err := e.writeCopy(ctx, fleet); err != nil && ctx.Err() == nil {
		e.log.Error("there is no fresh copy of the state; it is tried again", "error", err)
	}
}

func showEvent(e crd.Event) api.Event {
	return api.Event{Time: e.Time.Time, Type: e.Type, Release: e.Release, Who: e.Who, Why: e.Why, Message: e.Message}
}

// note adds an event that came with no change of the state.
func (e *Engine) note(ctx context.Context, event api.Event) {
	event.Time = e.d.Now()
	if err := e.journal.Note(ctx, journal.Event{Event: event}); err != nil {
		e.log.Warn("an event is not in the log", "event", event.Type, "who", event.Who, "error", err)
	}
}

// recordHook keeps what a hook printed with the event of its end.
func (e *Engine) recordHook(ctx context.Context, ask release.RunHook, result hook.Result) {
	outcome := "passed"
	if !result.Passed {
		outcome = result.Err
	}
	one := journal.Event{Event: api.Event{Time: e.d.Now(), Type: "HookEnded", Release: ask.Release, Who: "greenroom",
		Message: fmt.Sprintf("%s hook %s: %s", ask.Moment, ask.ID, outcome)}}
	data, err := json.Marshal(result)
	if err == nil {
		one.Data = data
		err = e.journal.Note(ctx, one)
	}
	if err != nil {
		e.log.Warn("the output of a hook is not in the event log", "hook", ask.ID, "error", err)
	}
}

func (e *Engine) newJobs(ctx context.Context) *job.Runner {
	return job.New(ctx, job.Options{
		Client: e.d.Direct, Pods: e.d.Pods, Fleet: e.key,
		Hooks: func(name string) (crd.Hooks, bool) {
			r, ok := e.releaseObject(name)
			if !ok {
				return crd.Hooks{}, false
			}
			return r.Spec.Hooks, true
		},
		EdgeURL: e.edgeURL, Sign: e.book.Sign, Log: e.log, Now: e.d.Now,
		Record: func(ask release.RunHook, result hook.Result) { e.recordHook(ctx, ask, result) },
		Done:   func() { e.controller.Kick() },
	})
}
