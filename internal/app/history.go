package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/hook"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/platform/local"
	"github.com/greenroom-dev/greenroom/internal/release"
	"github.com/greenroom-dev/greenroom/internal/store"
)

// records is the controller's Store over a store file.
type records struct {
	store *store.Store
	kept  *Kept // as the file holds it; used by the controller alone
	bulk  bulk  // as the file holds it; the same
}

// Load returns the last Record, if there is one.
func (r *records) Load() (Record, bool, error) {
	stored, ok, err := r.store.Load()
	if err != nil || !ok {
		return Record{}, false, err
	}
	rec := Record{Kept: &Kept{}}
	err = errors.Join(json.Unmarshal(stored.State, &rec.State), json.Unmarshal(stored.Kept, rec.Kept))
	if err == nil && stored.Bulk != nil {
		var b bulk
		err = json.Unmarshal(stored.Bulk, &b)
		b.into(&rec.State)
		r.bulk = b
	}
	if err != nil {
		return Record{}, false, fmt.Errorf("read the state of revision %d: %w", stored.Revision, err)
	}
	if rec.State.Revision != stored.Revision {
		return Record{}, false, fmt.Errorf("the state says revision %d, its store %d", rec.State.Revision, stored.Revision)
	}
	r.kept = rec.Kept
	return rec, true, nil
}

// Save writes a Record; of what few changes change only what the file does not
// hold yet.
func (r *records) Save(rec Record, events []release.Event) error {
	out := store.Record{Revision: rec.State.Revision}
	core, b := apart(rec.State)
	var err error
	if out.State, err = json.Marshal(core); err != nil {
		return fmt.Errorf("encode the state: %w", err)
	}
	if !b.equal(r.bulk) {
		if out.Bulk, err = json.Marshal(b); err != nil {
			return fmt.Errorf("encode the bulk of the state: %w", err)
		}
	}
	if rec.Kept != r.kept {
		if out.Kept, err = json.Marshal(rec.Kept); err != nil {
			return fmt.Errorf("encode what is kept beside the state: %w", err)
		}
	}
	kept := make([]store.Event, 0, len(events))
	for _, e := range events {
		kept = append(kept, store.Event{
			Time: e.Time, Type: e.Type, Release: e.Release, Who: e.Who, Why: e.Why, Message: e.Message,
		})
	}
	if err := r.store.Save(out, kept); errors.Is(err, store.ErrStale) {
		return fmt.Errorf("%w: %w", release.ErrStale, err)
	} else if err != nil {
		return err
	}
	r.kept, r.bulk = rec.Kept, b
	return nil
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
		found, err = a.store.EventsBefore(q.Before, filter)
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

// Logs gives the lines that a service's versions printed, in the order of their
// time.
func (a *App) Logs(ctx context.Context, q httpapi.LogQuery, each func(client.LogLine) error) error {
	versions, err := a.versionsOf(q)
	if err != nil {
		return err
	}
	err = a.local.Logs(ctx, versions, q.Follow, q.Tail, func(l local.LogLine) error {
		return each(client.LogLine{Time: l.At, Version: l.Version, Instance: l.Instance, Stream: l.Stream, Line: l.Text})
	})
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
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
