package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// Options are what a Server serves.
type Options struct {
	Operations Operations
	Access     Access
	Metrics    http.Handler // at /metrics; nil for none
	Pages      http.Handler // what is neither the API's nor /metrics, on TCP; nil for none
	Version    string       // of greenroom
	Log        *slog.Logger
	Now        func() time.Time
}

// Server is the API.
type Server struct {
	o       Options
	pace    pace
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
	bodyTimeout   = time.Minute     // for the request as a whole
	answerTimeout = 5 * time.Minute // to the end of the answer; streams have their own
	maxHeader     = 64 << 10
	maxBody       = 2 << 20 // bytes: a document of 1 MiB as a JSON string
)

// New returns a Server that has not begun to listen.
func New(o Options) *Server {
	s := &Server{o: o, pace: usualPace}
	s.streams, s.end = context.WithCancel(context.Background())
	mux := http.NewServeMux()
	s.api = humago.New(mux, description())
	s.api.UseMiddleware(s.allow, receive)
	s.routes()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	if o.Metrics != nil {
		mux.Handle("GET /metrics", s.viewersOnly(o.Metrics))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if _, socket := r.Context().Value(peerKey{}).(Identity); o.Pages != nil && !socket {
			o.Pages.ServeHTTP(w, r)
			return
		}
		writeProblem(w, notFound("the API has no "+r.Method+" "+r.URL.Path, "GET /openapi.json lists what it has"))
	})
	s.handler = s.survive(s.identify(mux))
	s.socket, s.tcp = NewHTTP(s.handler, o.Log), NewHTTP(s.handler, o.Log)
	s.socket.ConnContext = withPeer
	return s
}

// description is what of the OpenAPI document is not about one operation.
func description() huma.Config {
	config := huma.DefaultConfig("greenroom", apiVersion)
	config.DocsPath, config.SchemasPath = "", ""
	config.CreateHooks = nil
	config.RejectUnknownQueryParameters = true
	config.Transformers = []huma.Transformer{asProblem}
	config.Info.Description = "Releases of a fleet of services: open, preview, promote together, roll back."
	config.Info.License = &huma.License{Name: "Apache-2.0"}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "An API token (greenroom token create). The unix socket needs none: its owner is admin."},
	}
	config.Security = []map[string][]string{{"token": {}}}
	return config
}

// apiVersion is the version of the API, which is not greenroom's.
const apiVersion = "v1"

// survive answers for an operation that panicked, and says so in the log.
func (s *Server) survive(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			what := recover()
			if what == nil {
				return
			}
			if what == http.ErrAbortHandler {
				panic(what) // meant for the server
			}
			s.o.Log.Error("an operation panicked", "method", r.Method, "path", r.URL.Path, "panic", what, "stack", string(debug.Stack()))
			writeProblem(w, newProblem(http.StatusInternalServerError, "failed", "greenroom has a fault; its log has the details", ""))
		}()
		w.Header().Set("Server", "greenroom/"+s.o.Version)
		next.ServeHTTP(w, r)
	})
}

// receive reads a request's body as a whole. Afterwards nothing bounds the
// time that the operation takes but the client, who may go away: a deadline
// for reading that went on would be taken for just that.
func receive(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		writeProblem(w, newProblem(http.StatusRequestEntityTooLarge, "input",
			fmt.Sprintf("the request has more than %d bytes", maxBody), "a document may have 1 MiB"))
		return
	case err != nil:
		writeProblem(w, newProblem(http.StatusRequestTimeout, "timeout", "the request did not come in time", "send it again"))
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // a connection without deadlines never had one
	if len(body) == 0 && r.Method == http.MethodPost {
		body = []byte("{}") // so that curl -X POST is enough where nothing need be said
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	next(ctx)
}

// ServeHTTP answers holders of bearer tokens, where the Server is a part of
// another: below a prefix that was stripped, in an http.Server that NewHTTP
// made. Shutdown ends its streams there too.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// As answers requests of somebody whom another part of the program has made sure
// of: what they may do is asked as ever.
func (s *Server) As(who Identity) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(context.WithValue(r.Context(), peerKey{}, who))
		r.Header.Del("Authorization")
		s.handler.ServeHTTP(w, r)
	})
}

// NewHTTP returns a server with the limits that the API needs.
func NewHTTP(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, WriteTimeout: answerTimeout,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// OpenAPI returns the description of the API as indented JSON.
func (s *Server) OpenAPI() ([]byte, error) {
	text, err := s.api.OpenAPI().MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("describe the API: %w", err)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		return nil, fmt.Errorf("describe the API: %w", err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

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
