package load_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/examples/live/internal/livetest"
	"github.com/greenroom-dev/greenroom/examples/live/load"
)

// edge routes as the demo's Fleet does, to whatever fleet is set.
type edge struct {
	url string
	to  atomic.Pointer[func(http.ResponseWriter, *http.Request)]
}

func newEdge(t testing.TB) *edge {
	t.Helper()
	e := &edge{}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*e.to.Load())(w, r) }))
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetHTTP1(true)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	t.Cleanup(srv.Close)
	e.url = srv.URL
	return e
}

func (e *edge) route(t testing.TB, f *livetest.Fleet) {
	t.Helper()
	proxy := func(service string) *httputil.ReverseProxy {
		target, err := url.Parse(f.URL[service])
		if err != nil {
			t.Fatal(err)
		}
		transport := &http.Transport{MaxIdleConnsPerHost: 64}
		if service == "wallet" {
			transport.Protocols = new(http.Protocols)
			transport.Protocols.SetUnencryptedHTTP2(true)
		}
		t.Cleanup(transport.CloseIdleConnections)
		return &httputil.ReverseProxy{
			Transport: transport, FlushInterval: -1,
			Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
		}
	}
	web, api, chat, wallet := proxy("web"), proxy("api"), proxy("chat"), proxy("wallet")
	handle := func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/api/"):
			api.ServeHTTP(w, r)
		case strings.HasPrefix(r.URL.Path, "/chat/"):
			chat.ServeHTTP(w, r)
		case strings.HasPrefix(r.URL.Path, "/live.Wallet/"):
			wallet.ServeHTTP(w, r)
		default:
			web.ServeHTTP(w, r)
		}
	}
	e.to.Store(&handle)
}

func second(services ...string) map[string]string {
	versions := map[string]string{}
	for _, s := range services {
		versions[s] = "v2"
	}
	return versions
}

func TestEveryKindOnOneRelease(t *testing.T) {
	e := newEdge(t)
	e.route(t, livetest.Start(t, second("web", "chat", "gift", "wallet", "worker")))
	var mix load.Mix
	for _, k := range load.Kinds() {
		mix[k] = 1
	}
	var observed atomic.Int64
	r, err := load.Run(t.Context(), load.Options{
		EdgeURL: e.url, MaxRequests: 600, Workers: 4, Mix: mix,
		Observe: func(s load.Sample) {
			if observed.Add(1); s.Path == "" || s.End.Before(s.Start) {
				t.Errorf("observed %+v", s)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	if r.Sent != 600 || observed.Load() != 600 {
		t.Errorf("sent %d, observed %d, want 600", r.Sent, observed.Load())
	}
	for _, k := range load.Kinds() {
		if r.Kinds[k].Sent == 0 {
			t.Errorf("%s was never sent", k)
		}
	}
	if l := r.All(); l.Count != 600 || l.P50 <= 0 || l.P99 < l.P50 || l.Max < l.P99 {
		t.Errorf("latency %+v", l)
	}
	if l := r.Around(r.Begun.Add(r.Duration/2), 2*r.Duration+time.Second); l != r.All() {
		t.Errorf("around the whole run: %+v, want %+v", l, r.All())
	}
	if l := r.Around(r.Begun.Add(time.Hour), time.Second); l.Count != 0 {
		t.Errorf("an hour later: %+v", l)
	}
}

// The detector finds a mixture in every kind that can meet one.
func TestMixtureIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		v2    []string
		kinds []load.Kind
	}{
		"web alone":      {[]string{"web"}, []load.Kind{load.Path, load.Page, load.PostSmall, load.PostLarge}},
		"wallet is left": {[]string{"web", "gift"}, []load.Kind{load.Path, load.Page, load.PostSmall, load.PostLarge, load.API, load.Gift}},
	} {
		e := newEdge(t)
		e.route(t, livetest.Start(t, second(c.v2...)))
		for _, kind := range c.kinds {
			t.Run(fmt.Sprint(name, ", ", kind), func(t *testing.T) {
				var mix load.Mix
				mix[kind] = 1
				r, err := load.Run(t.Context(), load.Options{EdgeURL: e.url, MaxRequests: 4, Workers: 2, Mix: mix})
				if err != nil {
					t.Fatal(err)
				}
				if r.Mixed != 4 || r.Failed != 4 || r.Kinds[kind].Mixed != 4 {
					t.Errorf("mixed %d, failed %d, want 4 and 4", r.Mixed, r.Failed)
				}
				if err := r.Err(); err == nil || !strings.Contains(err.Error(), "4 failed and 4 were mixed") || !strings.Contains(err.Error(), kind.String()) {
					t.Errorf("reported as %v", err)
				}
			})
		}
	}
}

// What fails is counted once, never sent again, and named.
func TestFailureIsCounted(t *testing.T) {
	e := newEdge(t)
	var hits atomic.Int64
	refuse := func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		if r.ProtoMajor == 1 && hits.Load()%2 == 0 {
			panic(http.ErrAbortHandler) // hangs up on a connection that was used before
		}
		w.Header().Set("X-Greenroom-Error", "no-instance")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	e.to.Store(&refuse)
	for _, kind := range load.Kinds() {
		var mix load.Mix
		mix[kind] = 1
		hits.Store(0)
		r, err := load.Run(t.Context(), load.Options{EdgeURL: e.url, MaxRequests: 10, Workers: 1, Mix: mix, Timeout: 2 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if r.Failed != 10 || r.Mixed != 0 || hits.Load() != 10 {
			t.Errorf("%s: failed %d, mixed %d, arrived %d; want 10, 0, 10", kind, r.Failed, r.Mixed, hits.Load())
		}
	}
}

func TestPassIsSent(t *testing.T) {
	e := newEdge(t)
	var mu sync.Mutex
	passes := map[string]int{}
	see := func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		passes[r.Header.Get("Greenroom-Pass")]++
		w.WriteHeader(http.StatusTeapot)
	}
	e.to.Store(&see)
	mix := load.Mix{load.Path: 1, load.Unary: 1, load.Watch: 1, load.Socket: 1}
	if _, err := load.Run(t.Context(), load.Options{EdgeURL: e.url, Pass: "token", MaxRequests: 40, Mix: mix}); err != nil {
		t.Fatal(err)
	}
	if len(passes) != 1 || passes["token"] != 40 {
		t.Errorf("saw passes %v", passes)
	}
}

func TestRateAndEnd(t *testing.T) {
	e := newEdge(t)
	e.route(t, livetest.Start(t, nil))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	r, err := load.Run(ctx, load.Options{EdgeURL: e.url, Rate: 50, Mix: load.Mix{load.Unary: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Err(); err != nil {
		t.Error(err) // the end of ctx lets requests finish
	}
	if r.Sent == 0 || r.Sent > 60 { // a crowded machine sends fewer
		t.Errorf("sent %d in a second at 50 a second", r.Sent)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]load.Options{
		`EdgeURL is ""`:                 {},
		`EdgeURL is "https://x"`:        {EdgeURL: "https://x"},
		"the mix has no requests in it": {EdgeURL: "http://127.0.0.1:1", Mix: load.Mix{load.Path: -1}},
	} {
		if _, err := load.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %q", err, name)
		}
	}
}

// One request of the default mix, with fleet and edge in the same process.
func BenchmarkDefaultMix(b *testing.B) {
	e := newEdge(b)
	e.route(b, livetest.Start(b, nil))
	b.ResetTimer()
	r, err := load.Run(b.Context(), load.Options{EdgeURL: e.url, MaxRequests: int64(b.N)})
	if err != nil {
		b.Fatal(err)
	}
	if err := r.Err(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(r.All().P99.Microseconds()), "p99-µs")
}
