package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/greenroom-dev/greenroom/client"
)

// pace is how often streams do what nothing tells them to.
type pace struct {
	refresh   time.Duration // looks for what no change of state tells: health, counts, passes
	first     time.Duration // begins the answer of a stream that has nothing to say yet
	keepalive time.Duration // a comment says that a silent stream is still there
	stall     time.Duration // a reader that takes nothing for so long is given up
}

var usualPace = pace{refresh: time.Second, first: 500 * time.Millisecond, keepalive: 15 * time.Second, stall: 30 * time.Second}

// batch is how many events are read at once.
const batch = 500

type eventsIn struct {
	After   uint64 `query:"after" doc:"Only events with a higher number"`
	Last    int    `query:"last" minimum:"0" maximum:"1000" doc:"Begin with so many of the last ones instead"`
	Limit   int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Release string `query:"release" maxLength:"100" doc:"Only those of this release"`
}

type followIn struct {
	After   uint64 `query:"after" doc:"Only events with a higher number"`
	Last    int    `query:"last" minimum:"0" maximum:"1000" doc:"Begin with so many of the last ones instead"`
	Release string `query:"release" maxLength:"100" doc:"Only those of this release"`
	Resume  uint64 `header:"Last-Event-ID" doc:"Number of the last event that came; goes before the others"`
}

type logsIn struct {
	Service string `path:"service" maxLength:"100"`
	Release string `query:"release" maxLength:"100" doc:"The version that this release brings"`
	Tail    int    `query:"tail" minimum:"0" maximum:"100000" default:"100" doc:"Lines of each instance to begin with"`
	Follow  bool   `query:"follow" doc:"Go on with new lines"`
}

func (s *Server) streamRoutes(o Operations) {
	get(s, "/v1/events", "What happened, in order", func(ctx context.Context, in *eventsIn) ([]client.Event, error) {
		q := EventQuery{After: in.After, Limit: in.Limit, Release: in.Release}
		if in.Last > 0 {
			q.Tail, q.Limit = true, in.Last
		}
		return o.Events(ctx, q)
	})
	stream(s, "/v1/events/stream", "What happens, as server-sent events named event", func(ctx context.Context, in *followIn, send sender) error {
		return s.followEvents(ctx, in, send)
	})
	stream(s, "/v1/status/stream", "The status whenever it changes, as server-sent events named status", func(ctx context.Context, _ *none, send sender) error {
		return s.followStatus(ctx, send)
	})
	stream(s, "/v1/services/{service}/logs", "What a service's instances print, as server-sent events named line", func(ctx context.Context, in *logsIn, send sender) error {
		return o.Logs(ctx, LogQuery{Service: in.Service, Release: in.Release, Tail: in.Tail, Follow: in.Follow}, func(line client.LogLine) error {
			return send("line", "", line)
		})
	})
}

func (s *Server) followEvents(ctx context.Context, in *followIn, send sender) error {
	o, after := s.o.Operations, cmp.Or(in.Resume, in.After)
	if in.Last > 0 && in.Resume == 0 {
		events, err := o.Events(ctx, EventQuery{Tail: true, Limit: in.Last, Release: in.Release})
		if err != nil {
			return err
		}
		for _, e := range events {
			after = e.Seq
			if err := send("event", fmt.Sprint(e.Seq), e); err != nil {
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
			if err := send("event", fmt.Sprint(e.Seq), e); err != nil {
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

func (s *Server) followStatus(ctx context.Context, send sender) error {
	var last client.Status
	tick := time.NewTicker(s.pace.refresh)
	defer tick.Stop()
	for {
		changed := s.o.Operations.Changed()
		status, err := s.o.Operations.Status(ctx)
		if err != nil {
			return err
		}
		now := status.Now
		status.Now = time.Time{}
		if !reflect.DeepEqual(status, last) {
			last = status
			status.Now = now
			if err := send("status", "", status); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-tick.C:
		}
	}
}

// sender writes one server-sent event.
type sender func(event, id string, data any) error

// stream registers an operation that answers with server-sent events. An
// error before the first event is a problem; a later one is sent as an event
// named problem.
func stream[I any](s *Server, path, summary string, do func(context.Context, *I, sender) error) {
	op := s.operation(Viewer, http.MethodGet, path, summary)
	op.Responses["200"] = &huma.Response{
		Description: "A stream of server-sent events",
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: "string"}}},
	}
	huma.Register(s.api, op, func(_ context.Context, in *I) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			r, w := humago.Unwrap(hc)
			s.serveStream(w, r, func(ctx context.Context, send sender) error { return do(ctx, in, send) })
		}}, nil
	})
}

func (s *Server) serveStream(w http.ResponseWriter, r *http.Request, do func(context.Context, sender) error) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.streams, cancel)()
	out := &eventWriter{w: w, control: http.NewResponseController(w), stall: s.pace.stall}
	alive := time.NewTimer(s.pace.first)
	defer alive.Stop()
	sends := make(chan func() error)
	result := make(chan error, 1)
	go func() {
		result <- do(ctx, func(event, id string, data any) error {
			sent := make(chan error, 1)
			select {
			case sends <- func() error { err := out.event(event, id, data); sent <- err; return err }:
				return <-sent
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	var revoked error
	for {
		select {
		case send := <-sends:
			if send() != nil {
				cancel()
			}
		case <-alive.C:
			alive.Reset(s.pace.keepalive)
			if revoked = s.stillAllowed(ctx); revoked != nil || out.comment() != nil {
				cancel()
			}
		case err := <-result:
			s.endStream(ctx, out, cmp.Or(revoked, err))
			return
		}
	}
}

func (s *Server) endStream(ctx context.Context, out *eventWriter, err error) {
	var told *problem
	switch {
	case errors.As(err, &told) && out.began:
		_ = out.event("problem", "", (*client.Error)(told))
	case ctx.Err() != nil:
	case err != nil && !out.began:
		writeProblem(out.w, s.problem(err))
	case err != nil:
		_ = out.event("problem", "", (*client.Error)(s.problem(err)))
	default:
		_ = out.event("end", "", struct{}{})
	}
}

// eventWriter writes server-sent events. Its first one begins the answer.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
	began   bool
}

// expect gives the reader time to take what is written next.
func (e *eventWriter) expect() {
	_ = e.control.SetWriteDeadline(time.Now().Add(e.stall)) // a connection without deadlines waits
}

func (e *eventWriter) begin() {
	if e.began {
		return
	}
	e.began = true
	h := e.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	e.w.WriteHeader(http.StatusOK)
}

func (e *eventWriter) event(name, id string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encode an event: %w", err)
	}
	e.expect()
	e.begin()
	if id != "" {
		id = "id: " + id + "\n"
	}
	if _, err := fmt.Fprintf(e.w, "event: %s\n%sdata: %s\n\n", name, id, text); err != nil {
		return err
	}
	return e.control.Flush()
}

func (e *eventWriter) comment() error {
	e.expect()
	e.begin()
	if _, err := fmt.Fprint(e.w, ": still here\n\n"); err != nil {
		return err
	}
	return e.control.Flush()
}
