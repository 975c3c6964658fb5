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

type flowIn struct {
	Points int `query:"points" minimum:"1" maximum:"150" default:"150" doc:"How many of the last points"`
}

type logsIn struct {
	Service string `path:"service" maxLength:"100"`
	Release string `query:"release" maxLength:"100" doc:"The version that this release brings"`
	Tail    int    `query:"tail" minimum:"0" maximum:"100000" default:"100" doc:"Lines of each version to begin with; on Kubernetes of each pod"`
	Follow  bool   `query:"follow" doc:"Go on with new lines"`
}

func (s *Server) streamRoutes(o Operations) {
	s.eventRoutes()
	stream(s, Look, "/v1/status/stream", "The status whenever it changes, as server-sent events named status", func(ctx context.Context, _ *none, send sender) error {
		return s.followStatus(ctx, send)
	})
	get(s, Look, "/v1/flow", "What goes through the fleet, and went in the last minutes", func(ctx context.Context, in *flowIn) (client.Flow, error) {
		return o.Flow(ctx, in.Points)
	})
	stream(s, Look, "/v1/flow/stream", "What goes through the fleet, point by point, as server-sent events named flow", func(ctx context.Context, in *flowIn, send sender) error {
		return s.followFlow(ctx, in.Points, send)
	})
	stream(s, ReadLogs, "/v1/services/{service}/logs", "What a service's instances print, as server-sent events named line", func(ctx context.Context, in *logsIn, send sender) error {
		return o.Logs(ctx, LogQuery{Service: in.Service, Release: in.Release, Tail: in.Tail, Follow: in.Follow}, func(line client.LogLine) error {
			return send("line", "", line)
		})
	})
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

func (s *Server) followFlow(ctx context.Context, points int, send sender) error {
	tick := time.NewTicker(s.pace.refresh)
	defer tick.Stop()
	var last time.Time
	for first := true; ; first = false {
		flow, err := s.o.Operations.Flow(ctx, points)
		if err != nil {
			return err
		}
		if first || flow.At.After(last) {
			last, points = flow.At, 1
			if err := send("flow", "", flow); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// sender writes one server-sent event.
type sender func(event, id string, data any) error

// stream registers an operation that answers with server-sent events. An
// error before the first event is a problem; a later one is sent as an event
// named problem.
func stream[I any](s *Server, action Action, path, summary string, do func(context.Context, *I, sender) error) {
	op := s.operation(action, http.MethodGet, path, summary)
	op.Responses["200"] = &huma.Response{
		Description: "A stream of server-sent events",
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: "string"}}},
	}
	huma.Register(s.api, op, func(_ context.Context, in *I) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			r, w := humago.Unwrap(hc)
			s.serveStream(w, r.WithContext(hc.Context()), func(ctx context.Context, send sender) error { return do(ctx, in, send) })
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
	var denied *DeniedError // the stream was ended for it
	switch {
	case errors.As(err, &denied) && out.began:
		_ = out.event("problem", "", (*client.Error)(s.problem(err)))
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
