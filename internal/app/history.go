package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/controller"
	"github.com/greenroom-dev/greenroom/internal/hook"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/release"
	"github.com/greenroom-dev/greenroom/internal/store"
)

// records is the controller's Store over a store file.
type records struct{ store *store.Store }

func (r records) Load() (uint64, json.RawMessage, bool, error) {
	rec, ok, err := r.store.Load()
	return rec.Revision, rec.Data, ok, err
}

func (r records) Save(revision uint64, data json.RawMessage, events []release.Event) error {
	kept := make([]store.Event, 0, len(events))
	for _, e := range events {
		kept = append(kept, store.Event{
			Time: e.Time, Type: e.Type, Release: e.Release, Who: e.Who, Why: e.Why, Message: e.Message,
		})
	}
	return r.store.Save(store.Record{Revision: revision, Data: data}, kept)
}

// loadRecord reads the last Record, if there is one.
func loadRecord(s *store.Store) (controller.Record, bool, error) {
	stored, ok, err := s.Load()
	if err != nil || !ok {
		return controller.Record{}, false, err
	}
	var rec controller.Record
	if err := json.Unmarshal(stored.Data, &rec); err != nil {
		return controller.Record{}, false, fmt.Errorf("read the state of revision %d: %w", stored.Revision, err)
	}
	return rec, true, nil
}

// recordHook keeps what a hook printed with the event of its end.
func (a *App) recordHook(ask release.RunHook, result hook.Result) {
	e := a.event("HookEnded", ask.Release, "greenroom", "", fmt.Sprintf("%s hook %s: %s", ask.Moment, ask.ID, outcome(result)))
	data, err := json.Marshal(result)
	if err == nil {
		e.Data = data
		err = a.store.Append(e)
	}
	if err != nil {
		a.o.Log.Warn("the output of a hook is not in the event log", "hook", ask.ID, "error", err)
	}
}

func outcome(r hook.Result) string {
	if r.Passed {
		return "passed"
	}
	return r.Err
}

func (a *App) event(kind, release, who, why, message string) store.Event {
	return store.Event{Time: a.now(), Type: kind, Release: release, Who: who, Why: why, Message: message}
}

// Events returns what happened, in order.
func (a *App) Events(_ context.Context, q httpapi.EventQuery) ([]client.Event, error) {
	filter := store.Filter{Release: q.Release, Limit: q.Limit}
	var found []store.Event
	var err error
	if q.Tail {
		found, err = a.store.EventsBefore(0, filter)
	} else {
		found, err = a.store.EventsAfter(q.After, filter)
	}
	if err != nil {
		return nil, fmt.Errorf("read the event log: %w", err)
	}
	out := make([]client.Event, 0, len(found))
	for _, e := range found {
		out = append(out, client.Event{
			Seq: e.Seq, Time: e.Time, Type: e.Type, Release: e.Release, Who: e.Who, Why: e.Why, Message: e.Message,
		})
	}
	return out, nil
}

// Logs gives the lines that a service's versions printed.
func (a *App) Logs(ctx context.Context, q httpapi.LogQuery, each func(client.LogLine) error) error {
	versions, err := a.versionsOf(q)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex // one line at a time
	var work sync.WaitGroup
	errs := make([]error, len(versions))
	for i, version := range versions {
		work.Go(func() {
			errs[i] = a.local.Logs(ctx, version, q.Follow, q.Tail, func(instance, stream, line string, at time.Time) error {
				mu.Lock()
				defer mu.Unlock()
				return each(client.LogLine{Time: at, Version: version, Instance: instance, Stream: stream, Line: line})
			})
			if errs[i] != nil {
				cancel()
			}
		})
	}
	work.Wait()
	for i, err := range errs {
		if errors.Is(err, context.Canceled) {
			errs[i] = nil
		}
	}
	return errors.Join(errs...)
}

func (a *App) versionsOf(q httpapi.LogQuery) ([]string, error) {
	rec := a.controller.Record()
	if _, ok := rec.Fleet.Service(q.Service); !ok {
		return nil, &httpapi.InputError{Problem: fmt.Sprintf("the fleet has no service %q", q.Service), Remedy: "greenroom status lists them"}
	}
	if q.Release != "" && q.Release != release.Baseline {
		r, ok := rec.State.Releases[q.Release]
		if !ok {
			return nil, fmt.Errorf("%w: %s", release.ErrUnknown, q.Release)
		}
		version, brings := r.Versions[q.Service]
		if !brings {
			return nil, &httpapi.InputError{Problem: fmt.Sprintf("%s brings no version of %s", q.Release, q.Service), Remedy: "leave --release out"}
		}
		return []string{version}, nil
	}
	var out []string
	for _, version := range slices.Sorted(maps.Keys(a.local.Observe())) {
		if service(version) == q.Service {
			out = append(out, version)
		}
	}
	return out, nil
}
