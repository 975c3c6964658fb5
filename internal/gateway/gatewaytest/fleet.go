// Package gatewaytest runs whole gateways for tests: an edge and a mesh on
// loopback sockets, in front of real HTTP servers that stand for versions. It
// owns nothing but what a test asks it to start, and ends it with the test. It
// is imported by tests alone.
//
// Start at New.
package gatewaytest

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/edge"
	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
	"github.com/greenroom-dev/greenroom/internal/gateway/mesh"
	"github.com/greenroom-dev/greenroom/internal/pass"
	"github.com/greenroom-dev/greenroom/internal/route"
)

// path is how HTTP/1.1 is served where a test does not say.
var path = fleet.HTTP1Std

// Path is how HTTP/1.1 is to be served where a test does not say, for tests that
// put their gateway together themselves.
func Path() fleet.HTTP1 { return path }

// Both runs a package's tests over both ways to serve HTTP/1.1, one after the
// other, and returns the code to exit with. It is for TestMain. Benchmarks and
// fuzzing say themselves what they run over, and run once.
func Both(m *testing.M) int {
	if !flag.Parsed() {
		flag.Parse()
	}
	for _, name := range []string{"test.bench", "test.fuzz", "test.list"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return m.Run()
		}
	}
	for _, path = range []fleet.HTTP1{fleet.HTTP1Std, fleet.HTTP1Fast} {
		if code := m.Run(); code != 0 {
			fmt.Printf("the path was %s\n", path)
			return code
		}
	}
	return 0
}

// Config is what a test may set. The zero value is good for use.
type Config struct {
	Edge      fleet.Edge // Listen and Routes have defaults: any port; everything to web
	Options   edge.Options
	Metrics   gateway.Metrics
	AccessLog io.Writer
	Log       *slog.Logger
	Status    func(version string) http.Handler
	Callbacks gateway.CallbackUses // none if nil

	UnreadBody time.Duration // in the mesh; its default if 0
}

// Fleet is a gateway with what stands behind it. Fields may be changed between
// two calls of Publish.
type Fleet struct {
	Gateway *gateway.Gateway
	Edge    *edge.Server
	Mesh    *mesh.Mesh
	Keys    *pass.Keys
	URL     string // of the edge, cleartext; no slash at its end
	TLSURL  string // of the edge, "" without TLS

	Settings fleet.Edge
	Stamp    string // header
	Services []fleet.Service
	Passes   map[string]gateway.PassRule
	Revoked  map[string]struct{}
	Pins     []gateway.Pin
	Hold     *gateway.Hold

	Callbacks []gateway.Callback

	t     testing.TB
	views []route.View
	pools map[string]*forward.Pool

	now atomic.Pointer[time.Time] // nil: the real clock
}

// New starts an edge and a mesh.
func New(t testing.TB, c Config) *Fleet {
	t.Helper()
	keys, err := pass.OpenKeys(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Edge.Listen == "" && c.Edge.TLS == nil {
		c.Edge.Listen = "127.0.0.1:0"
	}
	if c.Edge.Routes == nil {
		c.Edge.Routes = []fleet.Route{{Service: "web"}}
	}
	if c.Edge.HTTP1 == "" {
		c.Edge.HTTP1 = path
	}
	f := &Fleet{Keys: keys, Settings: c.Edge, t: t, pools: make(map[string]*forward.Pool), Passes: make(map[string]gateway.PassRule)}
	f.Gateway = gateway.New(gateway.Options{Passes: keys, Callbacks: c.Callbacks, Metrics: c.Metrics, AccessLog: c.AccessLog, Log: c.Log, Now: f.Now})
	f.Mesh = mesh.New(f.Gateway, mesh.Options{Seed: t.Name() + t.TempDir(), Status: c.Status, UnreadBody: c.UnreadBody})
	f.Edge, err = edge.Open(f.Gateway, c.Edge, edge.Listeners{}, c.Options)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- f.Edge.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		f.Gateway.EndStreams()
		http.DefaultClient.CloseIdleConnections() // servers wait for connections that were never used
		f.Edge.Shutdown(ctx)
		if err := <-ended; err != nil {
			t.Errorf("the edge ended: %v", err)
		}
		f.Mesh.Shutdown(ctx)
		for _, p := range f.pools {
			p.Close()
		}
		f.Gateway.Close()
	})
	if a := f.Edge.Addr(); a != nil {
		f.URL = "http://" + a.String()
	}
	if a := f.Edge.TLSAddr(); a != nil {
		f.TLSURL = "https://" + a.String()
	}
	return f
}

// Now is the gateway's clock. It takes no lock: benchmarks look for those.
func (f *Fleet) Now() time.Time {
	if now := f.now.Load(); now != nil {
		return *now
	}
	return time.Now()
}

// SetNow stops the gateway's clock at a time.
func (f *Fleet) SetNow(t time.Time) { f.now.Store(&t) }

// Run starts a server that stands for a version's one instance.
func (f *Fleet) Run(version string, h http.Handler) {
	f.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s := &http.Server{Handler: h, Protocols: protocols}
	go s.Serve(l)
	f.t.Cleanup(func() { s.Close() })
	f.Endpoint(version, l.Addr().String())
}

// Endpoint makes what listens at addr a version's one instance.
func (f *Fleet) Endpoint(version, addr string) {
	f.Pool(version).Set([]forward.Instance{{ID: version + "-1", Addr: addr}})
}

// Pool returns a version's pool, which has no instance before Run.
func (f *Fleet) Pool(version string) *forward.Pool {
	p, ok := f.pools[version]
	if !ok {
		service, name, _ := strings.Cut(version, "@")
		p = forward.NewPool(service, name, forward.HTTP)
		f.pools[version] = p
	}
	return p
}

// GRPC makes the pool of a version one that speaks HTTP/2. It must come before
// Run.
func (f *Fleet) GRPC(version string) {
	service, name, _ := strings.Cut(version, "@")
	f.pools[version] = forward.NewPool(service, name, forward.GRPC)
}

// View adds a view of version IDs, or replaces the one of that stamp.
func (f *Fleet) View(stamp string, versions ...string) {
	v := route.View{Stamp: stamp, Versions: make(map[string]string)}
	for _, id := range versions {
		service, _, _ := strings.Cut(id, "@")
		v.Versions[service] = id
	}
	f.DropView(stamp)
	f.views = append(f.views, v)
}

// DropView takes a view out.
func (f *Fleet) DropView(stamp string) {
	for i, v := range f.views {
		if v.Stamp == stamp {
			f.views = append(f.views[:i:i], f.views[i+1:]...)
			return
		}
	}
}

// Snapshot builds a snapshot of what the fields say.
func (f *Fleet) Snapshot(def string) *gateway.Snapshot {
	f.t.Helper()
	table, err := route.Build(route.Config{Default: def, Views: f.views}, f.Pool)
	if err != nil {
		f.t.Fatal(err)
	}
	return &gateway.Snapshot{
		Table:       table,
		Edge:        f.Settings,
		StampHeader: f.Stamp,
		Services:    f.Services,
		Passes:      f.Passes,
		Revoked:     f.Revoked,
		Pins:        f.Pins,
		Hold:        f.Hold,
		Callbacks:   gateway.NewCallbacks(f.Callbacks),
	}
}

// Publish publishes what the fields say, under a default.
func (f *Fleet) Publish(def string) {
	f.t.Helper()
	f.Gateway.Publish(f.Snapshot(def))
}

// Calls opens the mesh listeners of a version and returns the URLs of the
// services that it may call.
func (f *Fleet) Calls(version string, callees ...string) map[string]string {
	f.t.Helper()
	a, err := f.Mesh.Listen(version, callees, mesh.Addresses{})
	if err != nil {
		f.t.Fatal(err)
	}
	urls := make(map[string]string)
	for _, callee := range callees {
		urls[callee] = a.Env("")["GREENROOM_URL_"+strings.ToUpper(callee)]
	}
	return urls
}

// Pass mints a pass that holds for an hour by the gateway's clock.
func (f *Fleet) Pass(release, uid string) string {
	f.t.Helper()
	return f.PassOf(pass.Claims{ID: "p-" + release, Release: release, UID: uid, Subject: "tester", IssuedAt: f.Now(), ExpiresAt: f.Now().Add(time.Hour)})
}

// PassOf mints a pass.
func (f *Fleet) PassOf(c pass.Claims) string {
	f.t.Helper()
	token, err := f.Keys.Mint(c)
	if err != nil {
		f.t.Fatal(err)
	}
	return token
}

// Seen is what an Echo got.
type Seen struct {
	Version string
	Method  string
	URI     string
	Host    string
	Header  http.Header
	Body    string
}

// Echo answers with what it gets, as JSON of Seen. Set fields of the query's
// "answer" values ("Name: value") in its answer's header.
func Echo(version string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		for _, field := range r.URL.Query()["answer"] {
			name, value, _ := strings.Cut(field, ": ")
			w.Header().Add(name, value)
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(Seen{version, r.Method, r.RequestURI, r.Host, r.Header, string(body)})
	})
}
