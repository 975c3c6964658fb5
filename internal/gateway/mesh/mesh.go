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
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/fast"
)

// Options are what a Mesh works with.
type Options struct {
	// Seed sets this greenroom's addresses apart from another's on the same
	// machine: something that stays, such as the path of its state.
	Seed string
	// Status serves a version's GREENROOM_STATUS_URL; none if nil.
	Status func(version string) http.Handler
	// UnreadBody is how long the rest of a call's body gets to come that nobody
	// reads, since the call is refused. A minute if 0.
	UnreadBody time.Duration
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
	id       string
	fast     *fast.Server
	http     *http.Server
	handover *fast.Handover // from fast to http
	wg       sync.WaitGroup

	addresses Addresses // guarded by Mesh.mu

	mu      sync.RWMutex
	callees map[string]*callee // by local address
}

// callee is where one listener leads to.
type callee struct {
	name  string // a service; statusName for the status listener
	calls atomic.Uint64
}

// New returns a Mesh without listeners.
func New(g *gateway.Gateway, o Options) *Mesh {
	if o.UnreadBody <= 0 {
		o.UnreadBody = time.Minute
	}
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
	m.serve(v, fresh)
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
		v.close()
		v.wg.Wait()
	}
}

func (v *version) close() {
	v.fast.Close()
	v.http.Close()
}

// shutdown waits for calls under way until ctx is done.
func (v *version) shutdown(ctx context.Context) error {
	drained := make(chan error, 1)
	go func() { drained <- v.fast.Shutdown(ctx) }()
	return errors.Join(v.http.Shutdown(ctx), <-drained)
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
			if errs[i] = v.shutdown(ctx); errs[i] != nil {
				v.close()
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
	v := &version{id: id, callees: make(map[string]*callee), handover: fast.NewHandover(nil)}
	v.fast = fast.NewServer(m.gateway, fast.Options{Std: v.handover, UnreadBody: m.options.UnreadBody})
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
			return context.WithValue(fast.ConnContext(ctx, c), calleeKey{}, v.callee(c.LocalAddr()))
		},
		// No timeouts: callers are services of the fleet, and one that reuses
		// a connection must not meet its end.
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			to, _ := r.Context().Value(calleeKey{}).(*callee)
			if to.name == statusName && status != nil {
				status.ServeHTTP(w, r)
				return
			}
			to.calls.Add(1)
			m.serveCall(w, r, id, to.name)
		}),
	}
	v.wg.Go(func() { v.http.Serve(v.handover) }) // ends with http.ErrServerClosed
	return v
}

// calleeKey is where a connection's context has the callee that it leads to.
type calleeKey struct{}

func (v *version) callee(local net.Addr) *callee {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if to := v.callees[local.String()]; to != nil {
		return to
	}
	return &callee{} // no service
}

// serve takes over listeners that were opened.
func (m *Mesh) serve(v *version, fresh opened) {
	v.addresses = fresh.addresses
	to := make(map[string]*callee, len(fresh.listeners))
	v.mu.Lock()
	for name, l := range fresh.listeners {
		to[name] = &callee{name: name}
		v.callees[l.Addr().String()] = to[name]
	}
	v.mu.Unlock()
	for name, l := range fresh.listeners {
		at := &site{mesh: m, caller: v.id, callee: name, to: to[name]}
		v.wg.Go(func() {
			if err := v.fast.Serve(l, at, nil); err != nil {
				m.gateway.Log().Error("a listener of the mesh ended; calls to it fail until greenroom is started again", "caller", v.id, "callee", name, "error", err)
			}
		})
	}
}

// serveCall hands a call over to the gateway.
func (m *Mesh) serveCall(w http.ResponseWriter, r *http.Request, caller, callee string) {
	q := gateway.RequestOf(r)
	if r.ProtoMajor == 1 && len(r.Header["Upgrade"]) > 0 {
		w.Header().Set("Connection", "close") // what follows is not read strictly, unless the protocol changes
	}
	c, problem := m.decide(&q, caller, callee, m.gateway.Now())
	if problem != nil {
		gateway.BoundBody(w, r, m.options.UnreadBody)
		m.gateway.Answer(w, &q, *problem, c.ID)
		m.refused(&q, &c, problem.Code)
		return
	}
	m.gateway.Forward(w, r, c)
}

// refused writes the line of a call that was refused.
func (m *Mesh) refused(q *gateway.Request, c *gateway.Call, code gateway.Code) {
	line := gateway.NewLine(q, c.Snapshot, gateway.Mesh, c.Began)
	line.Service, line.Caller, line.ID, line.Status, line.Error = c.Service, c.Caller, c.ID, code.Status(), code
	m.gateway.Written(&line)
}

// decide finds out what becomes of a call. It changes nothing. A problem is for
// one that is refused.
func (m *Mesh) decide(q *gateway.Request, caller, callee string, now time.Time) (gateway.Call, *gateway.Problem) {
	s := m.gateway.Current()
	c := gateway.Call{Snapshot: s, Service: callee, Caller: caller, Began: now, UnreadBody: m.options.UnreadBody}
	if ids := q.Header.Values("X-Request-Id"); len(ids) > 0 && gateway.ValidID(ids[0]) {
		c.ID = ids[0]
	}
	switch code := gateway.Refusal(q); {
	case s == nil:
		return c, &gateway.Problem{Code: gateway.CodeStarting, Detail: "The fleet's routes are not known yet. Try again in a second."}
	case code == gateway.CodeMethodRefused:
		return c, &gateway.Problem{Code: code, Detail: "Greenroom forwards no CONNECT and no TRACE between services, nor a method that is no token."}
	case code == gateway.CodeUpgradeRefused:
		return c, &gateway.Problem{Code: code, Detail: "Speak HTTP/2 from the start of the connection, or HTTP/1.1: greenroom does not change to h2c on request."}
	case code != "":
		return c, &gateway.Problem{Code: code, Detail: fmt.Sprintf("A call may have at most %d header fields.", gateway.MaxHeaderFields)}
	}
	c.Stamp = gateway.ReadStamp(q.Header, s.StampHeader)
	return c, nil
}
