package edge

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway"
)

// bodyGuard gives up on a request's body when nothing more of it comes. Until
// the answer begins, that is: from then on the exchange is a stream, and a
// stream may be silent. There is no bound on the whole, since a large upload
// is not a slow one.
type bodyGuard struct {
	io.ReadCloser
	stall time.Duration
	timer *time.Timer
	free  atomic.Bool // the answer has begun
	over  atomic.Bool // given up
}

// guardBody returns r with a guarded body. gRPC sets deadlines of its own and
// is left alone.
func (h *Handler) guardBody(w http.ResponseWriter, r *http.Request) (*http.Request, *bodyGuard) {
	if r.Body == nil || r.Body == http.NoBody || gateway.IsGRPC(r) {
		return r, nil
	}
	g := &bodyGuard{ReadCloser: r.Body, stall: h.options.BodyStall}
	control := http.NewResponseController(w)
	g.timer = time.AfterFunc(g.stall, func() {
		if g.free.Load() {
			return
		}
		g.over.Store(true)
		control.SetReadDeadline(time.Unix(1, 0)) // wakes the reader up
	})
	g.timer.Stop()
	guarded := *r
	guarded.Body = g
	return &guarded, g
}

func (g *bodyGuard) Read(p []byte) (int, error) {
	if g.free.Load() {
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

// answered lets the body take its time.
func (g *bodyGuard) answered() {
	if g != nil {
		g.free.Store(true)
		g.timer.Stop()
	}
}

// stalled reports whether the body was given up on.
func (g *bodyGuard) stalled() bool { return g != nil && g.over.Load() }
