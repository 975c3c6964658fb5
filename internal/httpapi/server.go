package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// Options are what a Server serves.
type Options struct {
	Operations    Operations
	Authenticator Authenticator
	Metrics       http.Handler // at /metrics
	Version       string       // of greenroom
	Log           *slog.Logger
	Now           func() time.Time
}

// Server is the API.
type Server struct {
	o       Options
	api     huma.API
	handler http.Handler
	socket  *http.Server
	tcp     *http.Server
	streams context.Context // ends the event streams with the server
	end     context.CancelFunc
}

// The server's own limits.
const (
	headerTimeout = 10 * time.Second
	bodyTimeout   = time.Minute
	maxHeader     = 64 << 10
	maxBody       = 2 << 20 // bytes: a document of 1 MiB as a JSON string
)

// New returns a Server that has not begun to listen.
func New(o Options) *Server {
	s := &Server{o: o}
	s.streams, s.end = context.WithCancel(context.Background())
	mux := http.NewServeMux()
	config := huma.DefaultConfig("greenroom", o.Version)
	config.DocsPath, config.SchemasPath = "", ""
	config.CreateHooks = nil
	config.Transformers = []huma.Transformer{asProblem}
	config.Info.Description = "Releases of a fleet of services: open, preview, promote together, roll back."
	config.Info.License = &huma.License{Name: "Apache-2.0"}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "An API token (greenroom token create). The unix socket needs none: its owner is admin."},
	}
	config.Security = []map[string][]string{{"token": {}}}
	s.api = humago.New(mux, config)
	s.api.UseMiddleware(s.allow)
	s.routes()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	if o.Metrics != nil {
		mux.Handle("GET /metrics", s.viewersOnly(o.Metrics))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, notFound("the API has no "+r.Method+" "+r.URL.Path, "GET /openapi.json lists what it has"))
	})
	s.handler = s.identify(http.MaxBytesHandler(mux, maxBody))
	s.socket, s.tcp = s.server(), s.server()
	s.socket.ConnContext = withPeer
	return s
}

func (s *Server) server() *http.Server {
	return &http.Server{
		Handler: s.handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
	}
}

// OpenAPI returns the description of the API as JSON.
func (s *Server) OpenAPI() ([]byte, error) { return s.api.OpenAPI().MarshalJSON() }

// ServeSocket answers the owner of a unix socket, who is admin, until Shutdown.
func (s *Server) ServeSocket(l net.Listener) error { return served(s.socket.Serve(l)) }

// ServeTCP answers holders of API tokens, until Shutdown. The listener brings
// its own TLS.
func (s *Server) ServeTCP(l net.Listener) error { return served(s.tcp.Serve(l)) }

func served(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown ends the event streams, waits for requests under way until ctx is
// done, and then closes what is left.
func (s *Server) Shutdown(ctx context.Context) error {
	s.end()
	err := errors.Join(s.socket.Shutdown(ctx), s.tcp.Shutdown(ctx))
	if err != nil {
		err = errors.Join(s.socket.Close(), s.tcp.Close())
	}
	return err
}
