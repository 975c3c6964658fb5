package mesh

import (
	"net"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/fast"
	"github.com/greenroom-dev/greenroom/internal/gateway/field"
)

// site is one listener: of a caller, for a callee.
type site struct {
	mesh           *Mesh
	caller, callee string
	to             *callee
}

// Fast reports whether calls are served the fast way. The status never is.
func (s *site) Fast() bool {
	now := s.mesh.gateway.Current()
	return now != nil && now.Edge.HTTP1 == fleet.HTTP1Fast && s.callee != statusName
}

// Session begins deciding about the calls of a connection.
func (s *site) Session(net.Conn, bool) fast.Session { return &session{site: s} }

// session is a connection that the fast path serves.
type session struct {
	site *site
	q    gateway.Request
	call gateway.Call
}

// Request is where the next call is written to.
func (s *session) Request() *gateway.Request { return &s.q }

// Decide says what becomes of it.
func (s *session) Decide() (fast.Way, gateway.Call, *gateway.Problem) {
	m := s.site.mesh
	s.site.to.calls.Add(1)
	call, problem := m.decide(&s.q, s.site.caller, s.site.callee, m.gateway.Now())
	if problem != nil {
		s.call = call
		return fast.Refuse, call, problem
	}
	return fast.Forward, call, nil
}

// Refused writes the line of a call that was refused.
func (s *session) Refused(p *gateway.Problem) { s.site.mesh.refused(&s.q, &s.call, p.Code) }

// Trailers leaves those of a call as they are.
func (s *session) Trailers(field.Header) {}
