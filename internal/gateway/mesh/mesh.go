// Package mesh is where the services of a fleet call each other. Every version
// has listeners of its own, one per service that it may call, and that is how
// a caller is known: nothing a service says about itself is needed.
//
// It owns these listeners and their addresses, and the reading of a call's
// stamp. Which version a call gets, and everything after that, is gateway's.
// It must not import anything that starts processes: it is told versions, and
// tells addresses.
//
// Start at Mesh.Listen, and at Mesh.ServeHTTP for a call.
package mesh

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"

	"github.com/greenroom-dev/greenroom/internal/gateway"
)

// Options are what a Mesh works with.
type Options struct {
	// Seed sets this greenroom's addresses apart from another's on the same
	// machine: something that stays, such as the path of its state.
	Seed string
	// Status serves a version's GREENROOM_STATUS_URL; none if nil.
	Status func(version string) http.Handler
}

// Mesh serves the calls between services. It is safe for concurrent use.
type Mesh struct {
	gateway *gateway.Gateway
	options Options

	mu       sync.Mutex
	ports    *ports
	versions map[string]*version
	closed   bool
}

// version is one calling version with its listeners.
type version struct {
	id   string
	http *http.Server
	wg   sync.WaitGroup

	addresses Addresses // guarded by Mesh.mu

	mu      sync.RWMutex
	callees map[string]string // by local address; statusName for the status listener
}

// New returns a Mesh without listeners.
func New(g *gateway.Gateway, o Options) *Mesh {
	return &Mesh{
		gateway:  g,
		options:  o,
		ports:    newPorts(o.Seed),
		versions: make(map[string]*version),
	}
}

// Listen opens the listeners of a calling version, by its ID, and serves them.
// Addresses that it was told before, as prior, are opened as they were, also
// for services that are not among callees any more: processes learn addresses
// at their start. It fails when one of these cannot be had, and opens nothing
// then. The result must be kept before a process that is told it starts.
//
// Listen on a version that listens already does what Add does for each callee.
func (m *Mesh) Listen(id string, callees []string, prior Addresses) (Addresses, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return Addresses{}, fmt.Errorf("opening listeners for %s: %w", id, net.ErrClosed)
	}
	wanted := sorted(callees)
	if m.options.Status != nil {
		wanted = append(wanted, statusName)
	}
	v, known := m.versions[id]
	if !known {
		v = m.newVersion(id)
		v.addresses = prior
	}
	fresh, err := m.ports.open(id, v.addresses, !known, wanted)
	if err != nil {
		return Addresses{}, fmt.Errorf("opening listeners for the calls of %s: %w", id, err)
	}
	m.versions[id] = v
	v.serve(fresh)
	return fresh.addresses.clone(), nil
}

// Add opens a listener for one more callee of a version that listens, while it
// runs. Adding one again changes nothing.
func (m *Mesh) Add(id, callee string) (Addresses, error) {
	m.mu.Lock()
	_, known := m.versions[id]
	m.mu.Unlock()
	if !known {
		return Addresses{}, fmt.Errorf("opening a listener for the calls of %s to %s: the version does not listen", id, callee)
	}
	return m.Listen(id, []string{callee}, Addresses{})
}

// Close ends a version's listeners and breaks off what comes through them. It
// is for versions whose processes are gone, and does nothing for others.
func (m *Mesh) Close(id string) {
	m.mu.Lock()
	v := m.versions[id]
	delete(m.versions, id)
	m.mu.Unlock()
	if v != nil {
		v.http.Close()
		v.wg.Wait()
	}
}

// Shutdown takes no more calls and waits for those under way, until ctx is
// done; then it breaks them off. The Mesh cannot be used again.
func (m *Mesh) Shutdown(ctx context.Context) error {
	m.mu.Lock()
	m.closed = true
	all := make([]*version, 0, len(m.versions))
	for _, v := range m.versions {
		all = append(all, v)
	}
	clear(m.versions)
	m.mu.Unlock()
	var wg sync.WaitGroup
	errs := make([]error, len(all))
	for i, v := range all {
		wg.Go(func() {
			if errs[i] = v.http.Shutdown(ctx); errs[i] != nil {
				v.http.Close()
			}
			v.wg.Wait()
		})
	}
	wg.Wait()
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return fmt.Errorf("waiting for calls of %s: %w", all[i].id, errs[i])
	}
	return nil
}

func (m *Mesh) newVersion(id string) *version {
	v := &version{id: id, callees: make(map[string]string)}
	var status http.Handler
	if m.options.Status != nil {
		status = m.options.Status(id)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	v.http = &http.Server{
		Protocols:                    protocols,
		DisableGeneralOptionsHandler: true,
		MaxHeaderBytes:               1 << 20,
		ErrorLog:                     slog.NewLogLogger(m.gateway.Log().Handler(), slog.LevelDebug),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 10_000,
			// Callers have one connection for all their calls. A call whose callee
			// does not read must not hold up the others, so that its share is small.
			MaxReceiveBufferPerStream:     128 << 10,
			MaxReceiveBufferPerConnection: 256 << 20,
		},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, calleeKey{}, v.callee(c.LocalAddr()))
		},
		// No timeouts: callers are services of the fleet, and one that reuses
		// a connection must not meet its end.
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			callee, _ := r.Context().Value(calleeKey{}).(string)
			if callee == statusName && status != nil {
				status.ServeHTTP(w, r)
				return
			}
			m.serveCall(w, r, id, callee)
		}),
	}
	return v
}

// calleeKey is where a connection's context has the service that it leads to,
// or statusName.
type calleeKey struct{}

func (v *version) callee(local net.Addr) string {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.callees[local.String()]
}

// serve takes over listeners that were opened.
func (v *version) serve(fresh opened) {
	v.addresses = fresh.addresses
	v.mu.Lock()
	for name, l := range fresh.listeners {
		v.callees[l.Addr().String()] = name
	}
	v.mu.Unlock()
	for _, l := range fresh.listeners {
		v.wg.Go(func() { v.http.Serve(l) }) // ends with http.ErrServerClosed
	}
}

// serveCall hands a call over to the gateway.
func (m *Mesh) serveCall(w http.ResponseWriter, r *http.Request, caller, callee string) {
	s := m.gateway.Current()
	c := &gateway.Call{Snapshot: s, Service: callee, Caller: caller}
	if ids := r.Header["X-Request-Id"]; len(ids) > 0 && gateway.ValidID(ids[0]) {
		c.ID = ids[0]
	}
	refuse := func(code gateway.Code, detail string) {
		line := gateway.NewLine(r, s, gateway.Mesh, m.gateway.Now())
		line.Service, line.Caller, line.ID = callee, caller, c.ID
		m.gateway.Refuse(w, r, line, gateway.Problem{Code: code, Detail: detail})
	}
	switch code := gateway.Refusal(r); {
	case s == nil:
		refuse(gateway.CodeStarting, "The fleet's routes are not known yet. Try again in a second.")
		return
	case code == gateway.CodeMethodRefused:
		refuse(code, "Greenroom forwards no CONNECT and no TRACE between services, nor a method that is no token.")
		return
	case code == gateway.CodeUpgradeRefused:
		refuse(code, "Speak HTTP/2 from the start of the connection, or HTTP/1.1: greenroom does not change to h2c on request.")
		return
	case code != "":
		refuse(code, fmt.Sprintf("A call may have at most %d header fields.", gateway.MaxHeaderFields))
		return
	}
	c.Stamp = gateway.ReadStamp(r.Header, s.StampHeader)
	m.gateway.Forward(w, r, c)
}
