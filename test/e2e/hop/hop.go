// Package hop is a service of the end-to-end stories: it says who it is and
// what reached it, calls the next services, and hands on what they said.
//
// It owns the form of that answer, which the tests read, and the ways in which
// services pass the stamp on: with package propagate, with nothing but
// OpenTelemetry's baggage, not at all, or as it stands. It knows nothing of clusters.
package hop

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"

	"github.com/greenroom-dev/greenroom/propagate"
)

// Answer is what a service says to a request.
type Answer struct {
	Service string            `json:"service"`
	Version string            `json:"version"`
	Got     map[string]string `json:"got,omitempty"` // by name, those of watched that it got; several lines are joined by " | "
	Calls   []Answer          `json:"calls,omitempty"`
}

// watched are the headers that an Answer tells of.
var watched = []string{"X-Greenroom-Release", "Baggage", "Greenroom-Pass", "Authorization", "Cookie", "X-Forwarded-For"}

// All returns the answer and those below it, in the order of the calls.
func (a Answer) All() []Answer {
	out := []Answer{a}
	for _, c := range a.Calls {
		out = append(out, c.All()...)
	}
	return out
}

// String is the path that a request took: "api=v1 chat=v1 gift=v1".
func (a Answer) String() string {
	var out []string
	for _, one := range a.All() {
		out = append(out, one.Service+"="+one.Version)
	}
	return strings.Join(out, " ")
}

// Passing is how a service passes the stamp on.
type Passing string

// The ways.
const (
	Header  Passing = "header"  // package propagate: header and baggage
	Baggage Passing = "baggage" // OpenTelemetry alone: what baggage there is
	Nothing Passing = "nothing"
	// Verbatim copies the two headers byte by byte, so that a test can say
	// exactly what a call between services carries.
	Verbatim Passing = "verbatim"
)

// Service is one service in one version.
type Service struct {
	Name, Version string
	Next          []string // names of the services that it calls for every request, in turn
	Passing       Passing
}

// callTimeout bounds one call to the next service.
const callTimeout = 10 * time.Second

// slowAnswer is longer than a client waits that means to hang up.
const slowAnswer = 10 * time.Second

// Handler answers the service's requests; /healthz says that it is there, /fail
// is answered with 500, and /slow not for slowAnswer. The error names a Passing
// that there is not.
func (s Service) Handler() (http.Handler, error) {
	client := &http.Client{Timeout: callTimeout}
	var handler http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, client) })
	switch s.Passing {
	case Nothing, Verbatim:
	case Header:
		p := propagate.New(propagate.WithFleetHosts(s.Next...))
		client = p.Client(client)
		handler = p.Middleware(handler)
	case Baggage:
		only := otelhttp.WithPropagators(propagation.Baggage{})
		client.Transport = otelhttp.NewTransport(http.DefaultTransport, only)
		handler = otelhttp.NewHandler(handler, s.Name, only)
	default:
		return nil, fmt.Errorf("there is no way %q to pass the stamp on: header, baggage, nothing or verbatim", s.Passing)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/fail", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "as was asked for", http.StatusInternalServerError)
	})
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(slowAnswer):
		case <-r.Context().Done():
		}
	})
	mux.Handle("/", handler)
	return mux, nil
}

func (s Service) answer(w http.ResponseWriter, r *http.Request, client *http.Client) {
	a := Answer{Service: s.Name, Version: s.Version, Got: map[string]string{}}
	for _, name := range watched {
		if lines := r.Header.Values(name); len(lines) > 0 {
			a.Got[name] = strings.Join(lines, " | ")
		}
	}
	for _, next := range s.Next {
		below, err := s.call(r, client, "http://"+next+r.URL.Path)
		if err != nil {
			http.Error(w, fmt.Sprintf("%s=%s calls %s: %v", s.Name, s.Version, next, err), http.StatusBadGateway)
			return
		}
		a.Calls = append(a.Calls, below)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=60") // what only some may see must not stay so
	json.NewEncoder(w).Encode(a)                          // the client is gone if it fails
}

func (s Service) call(r *http.Request, client *http.Client, url string) (Answer, error) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, url, nil)
	if err != nil {
		return Answer{}, err
	}
	if s.Passing == Verbatim {
		for _, name := range []string{propagate.Header, "Baggage"} {
			req.Header[name] = r.Header[name]
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return Answer{}, err
	}
	if resp.StatusCode != http.StatusOK {
		return Answer{}, fmt.Errorf("%s: %.300s", resp.Status, body)
	}
	var a Answer
	return a, json.Unmarshal(body, &a)
}
