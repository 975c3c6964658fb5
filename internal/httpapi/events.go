package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// batch is how many events are read at once.
const batch = 500

// EventFilter chooses events, whatever their numbers. It is exported for the
// framework that reads requests.
type EventFilter struct {
	Release string    `query:"release" maxLength:"100" doc:"Only those of this release"`
	Kind    []string  `query:"kind,explode" maxItems:"50" doc:"Only those of these types, as ReleasePromoted"`
	Who     string    `query:"who" maxLength:"200" doc:"Only those by this person"`
	Since   time.Time `query:"since" doc:"Only those at that time or later"`
	Until   time.Time `query:"until" doc:"Only those before that time"`
}

// takes reports whether the filter chooses an event.
func (f EventFilter) takes(e client.Event) bool {
	return (f.Release == "" || e.Release == f.Release) && (f.Who == "" || e.Who == f.Who) &&
		(len(f.Kind) == 0 || slices.Contains(f.Kind, e.Type)) &&
		!e.Time.Before(f.Since) && (f.Until.IsZero() || e.Time.Before(f.Until))
}

type eventsIn struct {
	EventFilter
	After uint64 `query:"after" doc:"Only events with a higher number"`
	Last  int    `query:"last" minimum:"0" maximum:"1000" doc:"Begin with so many of the last ones instead"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type followIn struct {
	EventFilter
	After  uint64 `query:"after" doc:"Only events with a higher number"`
	Last   int    `query:"last" minimum:"0" maximum:"1000" doc:"Begin with so many of the last ones instead"`
	Resume uint64 `header:"Last-Event-ID" doc:"Number of the last event that came; goes before the others"`
}

func (s *Server) eventRoutes() {
	get(s, Look, "/v1/events", "What happened, in order", func(ctx context.Context, in *eventsIn) ([]client.Event, error) {
		if in.Last > 0 {
			out, err := s.lastEvents(ctx, in.EventFilter, in.Last)
			if err == nil && len(out) == 0 {
				err = s.knows(ctx, in.Release)
			}
			return out, err
		}
		out := []client.Event{}
		err := s.eachEvent(ctx, in.EventFilter, in.After, func(e client.Event) (bool, error) {
			out = append(out, e)
			return len(out) < in.Limit, nil
		})
		if err == nil && len(out) == 0 {
			err = s.knows(ctx, in.Release)
		}
		return out, err
	})
	stream(s, Look, "/v1/events/stream", "What happens, as server-sent events named event", func(ctx context.Context, in *followIn, send sender) error {
		return s.followEvents(ctx, in, send)
	})
	s.exportRoute()
}

// knows returns a problem for the name of a release of which no event
// tells: nobody would ever hear of it. Any other name, and none, is all right.
func (s *Server) knows(ctx context.Context, name string) error {
	o := s.o.Operations
	if name == "" {
		return nil
	}
	if last, err := o.Events(ctx, EventQuery{Tail: true, Limit: 1, Release: name}); err != nil || len(last) > 0 {
		return err
	}
	if _, err := o.Release(ctx, name); !errors.Is(err, release.ErrUnknown) {
		return err
	}
	return notFound("there is no release "+name, "greenroom release list shows those there are")
}

// eachEvent gives each the events after a number that a filter chooses, until
// it has had enough.
func (s *Server) eachEvent(ctx context.Context, f EventFilter, after uint64, each func(client.Event) (more bool, _ error)) error {
	for {
		events, err := s.o.Operations.Events(ctx, EventQuery{After: after, Limit: batch, Release: f.Release})
		if err != nil {
			return err
		}
		for _, e := range events {
			after = e.Seq
			if !f.takes(e) {
				continue
			}
			if more, err := each(e); err != nil || !more {
				return err
			}
		}
		if len(events) < batch {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// lastEvents are the last n that a filter chooses.
func (s *Server) lastEvents(ctx context.Context, f EventFilter, n int) ([]client.Event, error) {
	out := []client.Event{} // the last one first
	for before := uint64(0); len(out) < n; {
		events, err := s.o.Operations.Events(ctx, EventQuery{Tail: true, Before: before, Limit: batch, Release: f.Release})
		if err != nil {
			return nil, err
		}
		for _, e := range slices.Backward(events) {
			before = e.Seq
			if f.takes(e) && len(out) < n {
				out = append(out, e)
			}
		}
		if len(events) < batch || before <= 1 {
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	slices.Reverse(out)
	return out, nil
}

func (s *Server) followEvents(ctx context.Context, in *followIn, send sender) error {
	o, after := s.o.Operations, cmp.Or(in.Resume, in.After)
	if err := s.knows(ctx, in.Release); err != nil {
		return err
	}
	told := func(e client.Event) error { return send("event", fmt.Sprint(e.Seq), e) }
	if in.Last > 0 && in.Resume == 0 {
		events, err := s.lastEvents(ctx, in.EventFilter, in.Last)
		if err != nil {
			return err
		}
		for _, e := range events {
			after = e.Seq
			if err := told(e); err != nil {
				return err
			}
		}
	}
	tick := time.NewTicker(s.pace.refresh) // passes and tokens make events without a change of state
	defer tick.Stop()
	for {
		changed := o.Changed()
		events, err := o.Events(ctx, EventQuery{After: after, Limit: batch, Release: in.Release})
		if err != nil {
			return err
		}
		for _, e := range events {
			after = e.Seq
			if !in.takes(e) {
				continue
			}
			if err := told(e); err != nil {
				return err
			}
		}
		if len(events) == batch {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-tick.C:
		}
	}
}
