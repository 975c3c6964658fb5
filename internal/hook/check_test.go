package hook

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
)

func TestHTTPChecks(t *testing.T) {
	var strangers atomic.Int32
	stranger := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { strangers.Add(1) }))
	defer stranger.Close()
	edge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(PassHeader) != token {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		switch r.URL.Path {
		case "/healthz":
			fmt.Fprintf(w, "%s by %s", r.Method, r.Header.Get(PassHeader))
		case "/broken":
			http.Error(w, "wallet is away", http.StatusInternalServerError)
		case "/nobody":
			w.Header().Set("X-Greenroom-Error", "no-instance")
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/away":
			http.Redirect(w, r, stranger.URL, http.StatusFound)
		case "/cut":
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "begun")
		case "/slow":
			<-r.Context().Done()
		case "/huge":
			fmt.Fprint(w, strings.Repeat("x", 4*MaxOutput))
		}
	}))
	defer edge.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()

	for _, c := range []struct {
		name        string
		check       fleet.HTTPCheck
		url         string
		err, output string // parts; no error: it passes
	}{
		{name: "healthy", check: fleet.HTTPCheck{Path: "/healthz"}, output: "GET /healthz: 200 OK\nGET by [pass]"},
		{name: "another method", check: fleet.HTTPCheck{Path: "/healthz", Method: "POST"}, output: "POST /healthz: 200 OK\nPOST by"},
		{name: "an error that is expected", check: fleet.HTTPCheck{Path: "/broken", Status: 500}, output: "wallet is away"},
		{name: "an error", check: fleet.HTTPCheck{Path: "/broken"}, err: "GET /broken: answered 500 Internal Server Error, expected 2xx", output: "wallet is away"},
		{name: "not the status", check: fleet.HTTPCheck{Path: "/healthz", Status: 204}, err: "GET /healthz: answered 200 OK, expected 204"},
		{name: "the edge's own error", check: fleet.HTTPCheck{Path: "/nobody"}, err: "GET /nobody: the edge answered 503 Service Unavailable itself (no-instance)"},
		{name: "a redirect", check: fleet.HTTPCheck{Path: "/away"}, err: "GET /away: answered 302 Found, expected 2xx"},
		{name: "a cut answer", check: fleet.HTTPCheck{Path: "/cut"}, err: "GET /cut: reading the answer: unexpected EOF", output: "begun"},
		{name: "too slow", check: fleet.HTTPCheck{Path: "/slow"}, err: "GET /slow: it took longer than its timeout of 300ms"},
		{name: "huge", check: fleet.HTTPCheck{Path: "/huge"}, output: "bytes of the output were not kept]"},
		{name: "nobody there", check: fleet.HTTPCheck{Path: "/"}, url: "http://" + closed.Addr().String(), err: "connection refused"},
		{name: "no URL", check: fleet.HTTPCheck{Path: "/"}, url: "http://" + token + ":x", err: "[pass]"},
	} {
		h := fleet.Hook{Name: "smoke", HTTP: &c.check, Timeout: 300 * time.Millisecond}
		if c.name != "too slow" {
			h.Timeout = 2 * time.Minute
		}
		in := testContext()
		if in.EdgeURL = edge.URL; c.url != "" {
			in.EdgeURL = c.url
		}
		res := newRunner(t).Run(context.Background(), h, in)
		if res.Passed != (c.err == "") || !strings.Contains(res.Err, c.err) || !strings.Contains(res.Output, c.output) {
			t.Errorf("%s: passed %v, %s, output %.200q; want %q, output %q", c.name, res.Passed, res.Err, res.Output, c.err, c.output)
		}
		if strings.Contains(res.Err+res.Output, token) {
			t.Errorf("%s: the result holds the pass", c.name)
		}
	}
	if strangers.Load() != 0 {
		t.Error("a redirect took the pass to another host")
	}
}
