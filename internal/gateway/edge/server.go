package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/fast"
)

// Listeners are sockets that somebody else opened, such as a service manager.
// A nil one is opened by Open where the Fleet's edge says.
type Listeners struct {
	Cleartext net.Listener
	TLS       net.Listener
}

// Server serves a fleet's edge: HTTP/1.1 and HTTP/2 with prior knowledge in
// cleartext, both by negotiation over TLS.
type Server struct {
	handler   *Handler
	fast      *fast.Server
	http      *http.Server
	handover  *fast.Handover // from fast to http
	config    *tls.Config    // nil: none
	cleartext net.Listener   // nil: none
	tls       net.Listener   // nil: none
}

// Open opens the edge's listeners and reads its certificates. Nothing is
// served before Serve. Its error names the address or the file.
func Open(g *gateway.Gateway, e fleet.Edge, l Listeners, o Options) (*Server, error) {
	o = o.withDefaults()
	h := NewHandler(g, o)
	s := &Server{handler: h, http: newHTTPServer(h, g, o)}
	s.handover = fast.NewHandover(nil)
	s.fast = fast.NewServer(g, fast.Options{
		MaxHeader:     o.MaxHeader,
		HeaderTimeout: o.HeaderTimeout,
		IdleTimeout:   o.IdleTimeout,
		BodyStall:     o.BodyStall,
		UnreadBody:    o.BodyStall,
		WriteStall:    o.WriteStall,
		Wrap:          func(c net.Conn) net.Conn { return &conn{Conn: c, stall: o.WriteStall} },
		Std:           s.handover,
	})
	opened := false
	defer func() {
		if !opened {
			s.closeListeners()
		}
	}()
	var err error
	if l.Cleartext != nil || e.Listen != "" {
		if s.cleartext, err = open(l.Cleartext, e.Listen); err != nil {
			return nil, err
		}
	}
	if e.TLS != nil {
		certs, err := OpenCertificates(e.TLS.Certificates, g.Log())
		if err != nil {
			return nil, err
		}
		s.config = &tls.Config{GetCertificate: certs.Get, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
		if s.tls, err = open(l.TLS, e.TLS.Listen); err != nil {
			return nil, err
		}
	}
	if s.cleartext == nil && s.tls == nil {
		return nil, errors.New("the edge has nowhere to listen: set spec.edge.listen or spec.edge.tls.listen")
	}
	opened = true
	return s, nil
}

func open(given net.Listener, addr string) (net.Listener, error) {
	if given == nil {
		var err error
		if given, err = net.Listen("tcp", addr); err != nil {
			return nil, fmt.Errorf("opening the edge at %s: %w; free the port, or set another address under spec.edge", addr, err)
		}
	}
	return given, nil
}

func newHTTPServer(h *Handler, g *gateway.Gateway, o Options) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:                      h,
		ConnContext:                  fast.ConnContext,
		Protocols:                    protocols,
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            o.HeaderTimeout,
		IdleTimeout:                  o.IdleTimeout,
		MaxHeaderBytes:               o.MaxHeader,
		ErrorLog:                     slog.NewLogLogger(g.Log().Handler(), slog.LevelDebug),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 1000,
			SendPingTimeout:      30 * time.Second,
			WriteByteTimeout:     o.WriteStall,
			// A connection's streams share its buffer: with the defaults, one upload
			// that a service does not read holds up all others.
			MaxReceiveBufferPerStream:     256 << 10,
			MaxReceiveBufferPerConnection: 4<<20 - 1,
		},
	}
}

// Addr returns where cleartext is served, nil for nowhere.
func (s *Server) Addr() net.Addr { return addrOf(s.cleartext) }

// TLSAddr returns where TLS is served, nil for nowhere.
func (s *Server) TLSAddr() net.Addr { return addrOf(s.tls) }

func addrOf(l net.Listener) net.Addr {
	if l == nil {
		return nil
	}
	return l.Addr()
}

// Serve serves until Shutdown, and then returns nil, or until a listener
// fails.
func (s *Server) Serve() error {
	ended := make(chan error, 3)
	n := 1
	go func() {
		err := s.http.Serve(s.handover)
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		ended <- err
	}()
	if s.cleartext != nil {
		n++
		go func() { ended <- s.fast.Serve(s.cleartext, s.handler, nil) }()
	}
	if s.tls != nil {
		n++
		go func() { ended <- s.fast.Serve(s.tls, s.handler, s.config) }()
	}
	for range n {
		if err := <-ended; err != nil {
			return fmt.Errorf("serving the edge: %w", err)
		}
	}
	return nil
}

// Shutdown takes no more connections and waits for requests under way, streams
// and upgraded connections included: EndStreams of the gateway asks these to
// end. When ctx is done first, it breaks off what is left and returns ctx's
// error.
func (s *Server) Shutdown(ctx context.Context) error {
	drained := make(chan error, 1)
	go func() { drained <- s.fast.Shutdown(ctx) }()
	err := s.http.Shutdown(ctx)
	if e := <-drained; err == nil {
		err = e
	}
	if err == nil {
		err = s.handler.idle(ctx) // net/http forgets upgraded connections
	}
	if err != nil {
		s.http.Close()
		return fmt.Errorf("waiting for requests at the edge: %w", err)
	}
	return nil
}

// idle waits until no request is under way, or ctx is done.
func (h *Handler) idle(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for h.underWay.Load() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (s *Server) closeListeners() {
	for _, l := range []net.Listener{s.cleartext, s.tls} {
		if l != nil {
			l.Close()
		}
	}
}

// conn bounds how long one write may take, beside the deadlines that are set
// from outside.
type conn struct {
	net.Conn
	stall time.Duration

	mu       sync.Mutex
	deadline time.Time // for writes, from outside; zero: none
}

func (c *conn) Write(b []byte) (int, error) {
	limit := time.Now().Add(c.stall)
	c.mu.Lock()
	if !c.deadline.IsZero() && c.deadline.Before(limit) {
		limit = c.deadline
	}
	err := c.Conn.SetWriteDeadline(limit)
	c.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return c.Conn.SetWriteDeadline(t)
}

func (c *conn) SetDeadline(t time.Time) error {
	if err := c.SetWriteDeadline(t); err != nil {
		return err
	}
	return c.Conn.SetReadDeadline(t)
}

// SetLinger lets a connection be reset, as net.TCPConn's does.
func (c *conn) SetLinger(seconds int) error {
	if tcp, ok := c.Conn.(interface{ SetLinger(int) error }); ok {
		return tcp.SetLinger(seconds)
	}
	return errors.ErrUnsupported
}

// CloseWrite closes the sending half, for upgraded connections.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
