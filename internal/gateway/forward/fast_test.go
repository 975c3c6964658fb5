package forward_test

import (
	"errors"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	pipeline "github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/fast"
	"github.com/greenroom-dev/greenroom/internal/gateway/field"
	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
	"github.com/greenroom-dev/greenroom/internal/route"
)

// TestMain runs everything over both paths: what a Forwarder promises, the fast
// path owes as well.
func TestMain(m *testing.M) { os.Exit(gatewaytest.Both(m)) }

// overFast reports whether HTTP/1.1 is served by the fast path.
func overFast() bool { return gatewaytest.Path() == fleet.HTTP1Fast }

// stamp is that of the one view that the fast path forwards under.
const stamp = "r1"

// serve has the server that stands before net/http serve l. What is not for the
// fast path comes out of the listener that is returned.
func (g *gateway) serve(t *testing.T, l net.Listener) net.Listener {
	t.Helper()
	id := g.pool.Service() + "@" + g.pool.Version()
	views := []route.View{{Stamp: stamp, Versions: map[string]string{g.pool.Service(): id}}}
	table, err := route.Build(route.Config{Default: stamp, Views: views}, func(string) *forward.Pool { return g.pool })
	if err != nil {
		t.Fatal(err)
	}
	g.core = pipeline.New(pipeline.Options{})
	g.core.Publish(&pipeline.Snapshot{Table: table})
	std := fast.NewHandover(l.Addr())
	server := fast.NewServer(g.core, fast.Options{Std: std, Done: g.ended})
	go server.Serve(l, site{g}, nil)
	t.Cleanup(func() {
		server.Close()
		std.Close()
		g.core.Close()
	})
	return std
}

// site lets everything in, and all of it to the pool.
type site struct{ *gateway }

func (s site) Fast() bool { return overFast() }

func (s site) Session(net.Conn, bool) fast.Session { return &session{gateway: s.gateway} }

type session struct {
	*gateway
	q pipeline.Request
}

func (s *session) Request() *pipeline.Request { return &s.q }

func (s *session) Decide() (fast.Way, pipeline.Call, *pipeline.Problem) {
	x := s.exchange(nil)
	return fast.Forward, pipeline.Call{
		Snapshot: s.core.Current(), Service: s.pool.Service(), Stamp: stamp, Timeout: x.Timeout, Began: s.core.Now(), Side: side{x},
	}, nil
}

func (s *session) Refused(*pipeline.Problem) {}

func (s *session) Trailers(field.Header) {
	if s.bodies != nil {
		s.bodies()
	}
}

// side does what an Exchange wants done with headers.
type side struct{ x forward.Exchange }

func (s side) Rewrite(h field.Header) {
	if s.x.Rewrite != nil {
		apply(h, s.x.Rewrite)
	}
}

func (s side) Inform(h field.Header) {
	if s.x.Inform != nil {
		apply(h, s.x.Inform)
	}
}

func (s side) Answer(h field.Header) {
	if s.x.Answer != nil {
		apply(h, func(m http.Header) { s.x.Answer(0, m) }) // it is not told the status
	}
}

func (s side) Stalled() bool { return false }

// apply does to a list of lines what f does to a map.
func apply(h field.Header, f func(http.Header)) {
	m := make(http.Header)
	h.(interface {
		All(func(name, value string) bool)
	}).All(func(name, value string) bool {
		m.Add(name, value)
		return true
	})
	before := m.Clone()
	f(m)
	for name := range before {
		if !slices.Equal(before[name], m[name]) {
			h.Delete(name)
		}
	}
	for name, values := range m {
		if slices.Equal(before[name], values) {
			continue
		}
		for _, value := range values {
			h.Add(name, value)
		}
	}
}

// message is a message as it is compared, with what is before it: over the fast
// path fields keep the order and the case in which they came, and requests have
// their stamp.
func message(s string) string {
	if !overFast() {
		return s
	}
	head, rest, _ := strings.Cut(s, "\r\n\r\n")
	if strings.HasPrefix(rest, "HTTP/") {
		rest = message(rest)
	}
	lines := strings.Split(head, "\r\n")
	fields := slices.DeleteFunc(lines[1:], func(line string) bool {
		return line == pipeline.ReleaseHeader+": "+stamp || line == "Baggage: greenroom.release="+stamp
	})
	for i, line := range fields {
		name, value, _ := strings.Cut(line, ":")
		fields[i] = textproto.CanonicalMIMEHeaderKey(name) + ":" + value
	}
	slices.Sort(fields)
	return strings.Join(append(lines[:1], fields...), "\r\n") + "\r\n\r\n" + rest
}

// failure is the status that a client gets for an error before the answer: a
// problem says more than the handler of a Forwarder here.
func failure(err error) int {
	switch {
	case overFast() && errors.Is(err, forward.ErrNoInstance):
		return http.StatusServiceUnavailable
	case overFast() && errors.Is(err, forward.ErrTimeout):
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway
}
