// Package api is the demo fleet's HTTP API. It stays in the version that it has
// when the services around it are released, so requests of both releases cross
// it at the same time.
//
// It has no line of greenroom's: OpenTelemetry passes the request's baggage on,
// and the stamp is in it. It owns nothing but the form of its answers; gift and
// wallet know the rest. Start at Run.
package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"

	"github.com/greenroom-dev/greenroom/examples/live/internal/boot"
	"github.com/greenroom-dev/greenroom/examples/live/internal/trail"
)

// maxUpload is the largest upload, in bytes.
const maxUpload = 64 << 20

// Run serves the API until ctx ends.
func Run(ctx context.Context, p boot.Process) error {
	gift, err := p.Callee("gift")
	if err != nil {
		return err
	}
	propagators, err := propagators(p.Getenv("OTEL_PROPAGATORS"))
	if err != nil {
		return err
	}
	s := &server{
		process:  p,
		gift:     gift,
		stopping: ctx.Done(),
		client: p.Client(func(base http.RoundTripper) http.RoundTripper {
			return otelhttp.NewTransport(base, otelhttp.WithPropagators(propagators))
		}),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/room", s.room)
	mux.HandleFunc("GET /api/path", s.path)
	mux.HandleFunc("POST /api/path", s.path)
	mux.HandleFunc("POST /api/gift", s.sendGift)
	mux.HandleFunc("GET /api/events", s.events)
	mux.HandleFunc("POST /api/upload", s.upload)
	return p.ServeHTTP(ctx, otelhttp.NewHandler(mux, "api", otelhttp.WithPropagators(propagators)), nil)
}

// propagators reads OTEL_PROPAGATORS as OpenTelemetry defines it; "none" makes a
// service that passes nothing on.
func propagators(names string) (propagation.TextMapPropagator, error) {
	if names == "" {
		names = "tracecontext,baggage"
	}
	var all []propagation.TextMapPropagator
	for name := range strings.SplitSeq(names, ",") {
		switch strings.TrimSpace(name) {
		case "tracecontext":
			all = append(all, propagation.TraceContext{})
		case "baggage":
			all = append(all, propagation.Baggage{})
		case "none":
		default:
			return nil, fmt.Errorf("OTEL_PROPAGATORS names %q; api knows tracecontext, baggage and none", name)
		}
	}
	return propagation.NewCompositeTextMapPropagator(all...), nil
}

type server struct {
	process  boot.Process
	gift     string
	client   *http.Client
	stopping <-chan struct{}
}

// Room is what the page is made of.
type Room struct {
	Title    string      `json:"title"`
	Streamer string      `json:"streamer"`
	Viewers  int         `json:"viewers"`
	Balance  int64       `json:"balance"` // of the viewer who asks, in coins
	Path     trail.Trail `json:"path"`
}

func (s *server) room(w http.ResponseWriter, r *http.Request) {
	res, err := trail.Forward(s.client, r, s.gift+"/room")
	if err != nil {
		s.unreachable(w, err)
		return
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		s.relay(w, res)
		return
	}
	room := Room{Title: "Lanterns over the lake", Streamer: "mika", Viewers: viewers(time.Now())}
	room.Path = trail.Of(res.Header).Behind(s.process.Hop())
	if err := json.NewDecoder(res.Body).Decode(&room); err != nil {
		s.unreachable(w, fmt.Errorf("reading gift's answer: %w", err))
		return
	}
	trail.Mark(w.Header(), room.Path, false)
	trail.WriteJSON(w, http.StatusOK, room)
}

func (s *server) path(w http.ResponseWriter, r *http.Request) {
	answer, status := trail.Cross(s.client, r, s.gift+"/path", s.process.Hop())
	answer.Write(w, status)
}

func (s *server) sendGift(w http.ResponseWriter, r *http.Request) {
	res, err := trail.Forward(s.client, r, s.gift+"/gift")
	if err != nil {
		s.unreachable(w, err)
		return
	}
	defer res.Body.Close()
	s.relay(w, res)
}

// relay answers what gift answered, with this hop in the trail.
func (s *server) relay(w http.ResponseWriter, res *http.Response) {
	t := trail.Of(res.Header).Behind(s.process.Hop())
	trail.Mark(w.Header(), t, res.Header.Get(trail.MixedHeader) != "" || t.Mixed())
	w.Header().Set("Content-Type", res.Header.Get("Content-Type"))
	w.WriteHeader(res.StatusCode)
	_, _ = io.Copy(w, res.Body) // a broken copy breaks the client's answer too
}

func (s *server) unreachable(w http.ResponseWriter, err error) {
	trail.Answer{Path: trail.Trail{s.process.Hop()}, Error: err.Error()}.Write(w, http.StatusBadGateway)
}

// upload reads whatever comes, as it comes, and answers its size and digest.
func (s *server) upload(w http.ResponseWriter, r *http.Request) {
	trail.Mark(w.Header(), trail.Trail{s.process.Hop()}, false)
	hash := sha256.New()
	n, err := io.Copy(hash, http.MaxBytesReader(w, r.Body, maxUpload))
	if err != nil {
		trail.WriteJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	trail.WriteJSON(w, http.StatusOK, map[string]any{"bytes": n, "digest": hex.EncodeToString(hash.Sum(nil))})
}
