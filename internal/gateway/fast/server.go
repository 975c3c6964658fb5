// Package fast serves plain HTTP/1.1: one goroutine a connection, heads read
// where they lie and passed on line by line, connections to instances kept by
// instance. It is the way of most requests where a Fleet says edge.http1: fast,
// and costs less than net/http's; docs/performance.md says how much.
//
// It owns what stands between a listener and net/http: the strict reading of
// requests, which both ways share, and the handing over. What a request means
// is decided where net/http's handlers decide it: by a Session, and by
// gateway.Flight. What this package does not know, it hands over to net/http
// with the bytes that were read, before anything was counted or sent: HTTP/2,
// HTTP/1.0, upgrades, Expect, CONNECT, targets that are no plain path,
// announced trailers, gRPC, greenroom's own pages, refused passes, malformed
// heads. It must not decide anything about views, passes or routes.
//
// It is written on net.Conn rather than on a library, since the cost is in what
// a request is turned into: a library that has a header as a map or as copies,
// and requests and answers as values of its own, spends there what is to be
// saved, and each has its own word on what is well-formed. docs/performance.md
// has the measurements.
//
// Start at Server.Serve; conn.serve is one connection, conn.exchange one
// request.
package fast

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/field"
	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
)

// Way is what becomes of a request.
type Way int

// The ways.
const (
	Forward  Way = iota // to a service
	Refuse              // with a problem
	HandOver            // to net/http
)

// Session decides about the requests of one connection, one at a time.
type Session interface {
	// Request is where the request that Decide is about is written to.
	Request() *gateway.Request
	// Decide says what becomes of it. It counts nothing. The Call is for Forward,
	// the Problem for Refuse.
	Decide() (Way, gateway.Call, *gateway.Problem)
	// Refused writes the line of a request that was refused.
	Refused(p *gateway.Problem)
	// Trailers takes out of the request's trailers what no service may see.
	Trailers(h field.Header)
}

// Site is where connections come in.
type Site interface {
	// Fast reports whether requests are served by this package at present.
	Fast() bool
	// Session begins one for a connection; https says that it is encrypted.
	Session(c net.Conn, https bool) Session
}

// Options are limits towards clients. Durations of 0 set none.
type Options struct {
	MaxHeader     int           // bytes of a request's head; 1 MiB if 0
	HeaderTimeout time.Duration // for a request's head, and for a TLS handshake
	IdleTimeout   time.Duration // between requests
	BodyStall     time.Duration // between two pieces of a request's body, until the answer begins
	UnreadBody    time.Duration // for the rest of a request's body that nobody reads, since the request is refused
	WriteStall    time.Duration // for a client to take what it is sent; kept to an eighth

	// Wrap is what a connection is wrapped in before net/http gets it. It may be
	// nil.
	Wrap func(net.Conn) net.Conn
	// Done is told what became of each exchange with a service, before its caller
	// can know. It may be nil.
	Done func(forward.Result, error)
	// Std gets connections that are net/http's from now on. It must not be nil.
	Std *Handover
}

// Server serves connections. It is safe for concurrent use.
type Server struct {
	gateway *gateway.Gateway
	options Options

	draining atomic.Bool
	mu       sync.Mutex
	conns    map[*conn]struct{}
	open     map[net.Listener]struct{}
	closed   bool
	running  sync.WaitGroup // connections
}

// NewServer returns a Server without listeners.
func NewServer(g *gateway.Gateway, o Options) *Server {
	if o.MaxHeader <= 0 {
		o.MaxHeader = 1 << 20
	}
	if o.Wrap == nil {
		o.Wrap = func(c net.Conn) net.Conn { return c }
	}
	return &Server{gateway: g, options: o, conns: make(map[*conn]struct{}), open: make(map[net.Listener]struct{})}
}

// Serve serves what l accepts until Shutdown or Close, and then returns nil, or
// until l fails. With a TLS configuration, connections are encrypted.
func (s *Server) Serve(l net.Listener, site Site, config *tls.Config) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		l.Close()
		return nil
	}
	s.open[l] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.open, l)
		s.mu.Unlock()
		l.Close()
	}()
	pause := time.Duration(0)
	for {
		c, err := l.Accept()
		if err != nil {
			if s.isClosed() {
				return nil
			}
			if !passing(err) {
				return err
			}
			if pause = min(max(2*pause, 5*time.Millisecond), time.Second); !s.wait(pause) {
				return nil
			}
			continue
		}
		pause = 0
		s.take(c, site, config)
	}
}

// passing reports whether accepting may go well again: a client that left
// meanwhile, or no descriptors, of which connections that end give some back.
func passing(err error) bool {
	for _, one := range []error{syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EINTR} {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *Server) wait(d time.Duration) bool {
	time.Sleep(d)
	return !s.isClosed()
}

// take gives a connection that was accepted its way.
func (s *Server) take(c net.Conn, site Site, config *tls.Config) {
	if config == nil && !site.Fast() {
		s.options.Std.give(s.guarded(s.options.Wrap(c), nil, false, false))
		return
	}
	one := newConn(s, site, c)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		c.Close()
		return
	}
	s.conns[one] = struct{}{}
	s.running.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.running.Done()
		defer func() {
			s.mu.Lock()
			delete(s.conns, one)
			s.mu.Unlock()
		}()
		if config == nil || one.handshake(config) {
			one.serve()
		}
	}()
}

// guarded is a connection as net/http gets it. prefix was read from it, behind
// an empty line if blank.
func (s *Server) guarded(c net.Conn, prefix []byte, https, blank bool) net.Conn {
	g := &guard{Conn: c, https: https, maxHeader: s.options.MaxHeader, buf: prefix, blank: blank}
	g.look()
	return g
}

// Shutdown takes no more connections, ends those that are idle and waits for
// requests under way. When ctx is done first, it breaks off what is left and
// returns ctx's error. What was handed over is not waited for.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	for _, c := range s.stop() {
		c.wakeIdle()
	}
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.Close()
		<-done
		return ctx.Err()
	}
}

// Close breaks off everything.
func (s *Server) Close() {
	s.draining.Store(true)
	for _, c := range s.stop() {
		c.breakOff()
	}
}

// stop closes the listeners, and returns the connections that are open.
func (s *Server) stop() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for l := range s.open {
		l.Close()
	}
	all := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	return all
}

// Handover is the listener through which net/http gets its connections.
type Handover struct {
	addr  net.Addr
	conns chan net.Conn
	over  chan struct{}
	once  sync.Once
}

// NewHandover returns one; addr is what it says its address is.
func NewHandover(addr net.Addr) *Handover {
	return &Handover{addr: addr, conns: make(chan net.Conn), over: make(chan struct{})}
}

func (h *Handover) give(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.over:
		c.Close()
	}
}

// Accept returns the next connection.
func (h *Handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.over:
		return nil, net.ErrClosed
	}
}

// Close lets nothing more be handed over.
func (h *Handover) Close() error {
	h.once.Do(func() { close(h.over) })
	return nil
}

// Addr returns the address.
func (h *Handover) Addr() net.Addr { return h.addr }
