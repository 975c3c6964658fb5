package edge

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/field"
)

// bodyGuard gives up on a request's body when nothing more of it comes. Until
// the answer begins, that is: from then on the exchange is a stream, and a
// stream may be silent. There is no bound on the whole, since a large upload
// is not a slow one. What trailers say in greenroom's name is taken out, as it
// is of the header.
type bodyGuard struct {
	io.ReadCloser
	request  *http.Request
	snapshot *gateway.Snapshot

	stall    time.Duration
	patience patience
	timer    *time.Timer // nil: the body may take its time
	free     atomic.Bool // the answer has begun
	over     atomic.Bool // given up
}

// guardBody puts a guard around r's body, in place: the server adds trailers
// to the request that it made. gRPC sets deadlines of its own, and its bodies
// may be silent from the start.
func (h *Handler) guardBody(w http.ResponseWriter, r *http.Request, s *gateway.Snapshot) *bodyGuard {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	g := &bodyGuard{ReadCloser: r.Body, request: r, snapshot: s, stall: h.options.BodyStall}
	g.stripTrailers()
	r.Body = g
	if q := gateway.RequestOf(r); q.IsGRPC() {
		return g
	}
	control := http.NewResponseController(w)
	g.patience.after = func() {
		if g.free.Load() {
			return
		}
		g.over.Store(true)
		control.SetReadDeadline(time.Unix(1, 0)) // wakes the reader up
	}
	g.timer = time.AfterFunc(g.stall, g.patience.lose)
	g.timer.Stop()
	return g
}

func (g *bodyGuard) Read(p []byte) (int, error) {
	n, err := g.read(p)
	if err == io.EOF {
		g.stripTrailers()
	}
	return n, err
}

func (g *bodyGuard) read(p []byte) (int, error) {
	if g.timer == nil || g.free.Load() {
		return g.ReadCloser.Read(p)
	}
	g.timer.Reset(g.stall)
	if g.free.Load() { // the answer began meanwhile, and did not see the timer
		g.timer.Stop()
	}
	n, err := g.ReadCloser.Read(p)
	g.timer.Stop()
	return n, err
}

// stripTrailers is called before anybody reads trailers, those that are
// announced and those that came.
func (g *bodyGuard) stripTrailers() { stripTrailers(g.snapshot, field.Map(g.request.Trailer)) }

// stripTrailers takes out of a request's trailers what is taken out of its
// header.
func stripTrailers(s *gateway.Snapshot, h field.Header) {
	s.StripReserved(h)
	h.DeleteAll(field.Func(forgedByTrailer))
}

func forgedByTrailer(key string) bool {
	return strings.EqualFold(key, "Baggage") || strings.EqualFold(key, "Cookie") || strings.EqualFold(key, "Forwarded") || claimsOrigin(key)
}

// answered lets the body take its time.
func (g *bodyGuard) answered() {
	if g != nil && g.timer != nil {
		g.free.Store(true)
		g.timer.Stop()
	}
}

// end must be called when the handler returns.
func (g *bodyGuard) end() {
	if g != nil {
		g.patience.end()
	}
}

// stalled reports whether the body was given up on.
func (g *bodyGuard) stalled() bool { return g != nil && g.over.Load() }
