package edge

import (
	"net"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/fast"
	"github.com/greenroom-dev/greenroom/internal/gateway/field"
)

// Fast reports whether the fleet's edge wants HTTP/1.1 served the fast way.
func (h *Handler) Fast() bool {
	s := h.gateway.Current()
	return s != nil && s.Edge.HTTP1 == fleet.HTTP1Fast
}

// Session begins deciding about the requests of a connection.
func (h *Handler) Session(c net.Conn, https bool) fast.Session {
	s := &session{handler: h}
	if tcp, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		s.peer = peerAt(tcp.AddrPort().Addr(), https)
	} else {
		s.peer = peerOf(c.RemoteAddr().String(), https)
	}
	return s
}

// session is a connection that the fast path serves.
type session struct {
	handler *Handler
	peer    peer
	q       request // the one under way
}

// Request is where the next request is written to.
func (s *session) Request() *gateway.Request {
	s.q = request{}
	return &s.q.Request
}

// Decide says what becomes of it. Pages, greenroom's own and those that say why
// a pass opens nothing, are net/http's.
func (s *session) Decide() (fast.Way, gateway.Call, *gateway.Problem) {
	switch way, problem := s.handler.decide(&s.q, s.peer, s.handler.gateway.Now()); way {
	case forward:
		return fast.Forward, s.q.call(), nil
	case refused:
		return fast.Refuse, gateway.Call{ID: s.q.id}, problem
	}
	return fast.HandOver, gateway.Call{}, nil
}

// Refused writes the line of a request that was refused.
func (s *session) Refused(p *gateway.Problem) { s.q.written(p.Code.Status(), p.Code) }

// Trailers takes out what no service may see.
func (s *session) Trailers(h field.Header) { stripTrailers(s.q.snapshot, h) }
