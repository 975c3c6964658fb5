// Package gateway is the pipeline that every request of a fleet goes through,
// at the edge and between services: it finds the view a request belongs to,
// has it forwarded, counts it, and answers in the service's place when nobody
// else can.
//
// It owns the Snapshot, which is everything a request needs and is swapped as
// one value; what is counted per service and stamp; calls outside the promise;
// the stamp in headers and baggage; greenroom's own errors; the access log. It
// decides nothing about releases and must not import the state machine, the
// controller or a platform. How outside traffic is told apart is in
// gateway/edge, how callers are told apart in gateway/mesh, and the work on
// connections in gateway/forward.
//
// Start at Gateway.Forward; what it decides by is a Snapshot.
package gateway

import (
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
	"github.com/greenroom-dev/greenroom/internal/gateway/hold"
	"github.com/greenroom-dev/greenroom/internal/pass"
)

// Passes verifies passes. Its errors are or wrap pass.ErrExpired and
// pass.ErrForged.
type Passes interface {
	Verify(token string, now time.Time) (pass.Claims, error)
}

// Forwarder carries a request to an instance, under the contract of
// forward.Forwarder.
type Forwarder interface {
	Forward(w http.ResponseWriter, r *http.Request, x forward.Exchange) (forward.Result, error)
}

// Options are what a Gateway works with.
type Options struct {
	Passes    Passes           // required where the edge is served
	Callbacks CallbackUses     // who counts the calls of callbacks; without, those with a count take none
	Forwarder Forwarder        // forward.New(forward.Options{}) if nil
	Metrics   Metrics          // none if nil
	Log       *slog.Logger     // of what an operator should know; discarded if nil
	AccessLog io.Writer        // where request lines go; none if nil
	Now       func() time.Time // time.Now if nil
}

// Gateway forwards requests by the Snapshot published last. It is safe for
// concurrent use.
type Gateway struct {
	passes    Passes
	callbacks CallbackUses
	forwarder Forwarder
	metrics   Metrics
	log       *slog.Logger
	now       func() time.Time

	snapshot atomic.Pointer[Snapshot]
	flows    flows
	drops    drops
	trails   trails
	queue    hold.Queue   // where requests wait at the edge
	streams  atomic.Int64 // calls under way that are answered by streams
	access   *accessLog
}

// New returns a Gateway. Until the first Publish it answers every request with
// CodeStarting. Close ends its access log.
func New(o Options) *Gateway {
	if o.Forwarder == nil {
		o.Forwarder = forward.New(forward.Options{})
	}
	if o.Metrics == nil {
		o.Metrics = noMetrics{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	g := &Gateway{
		passes:    o.Passes,
		callbacks: o.Callbacks,
		forwarder: o.Forwarder,
		metrics:   o.Metrics,
		log:       o.Log,
		now:       o.Now,
		flows:     flows{metrics: o.Metrics},
		access:    newAccessLog(o.AccessLog, o.Log),
	}
	return g
}

// Publish makes s what requests are answered by from now on: those that arrive
// after it returned see s, those under way end on what they began with. It
// costs one store and a look at the stamps in use for a compiled Snapshot;
// another one is compiled first. s must not be changed any more, and Publish
// must not be called by two at a time.
func (g *Gateway) Publish(s *Snapshot) {
	s.Compile()
	g.flows.follow(s.Table.Known)
	g.beginHold(s)
	g.snapshot.Store(s)
	g.followHold(s)
}

// Current returns the Snapshot published last, nil before the first.
func (g *Gateway) Current() *Snapshot { return g.snapshot.Load() }

// Now returns the time by the gateway's clock.
func (g *Gateway) Now() time.Time { return g.now() }

// Verify returns what a pass says, by the gateway's clock.
func (g *Gateway) Verify(token string) (pass.Claims, error) {
	return g.passes.Verify(token, g.now())
}

// Log returns where the gateway's parts say what an operator should know.
func (g *Gateway) Log() *slog.Logger { return g.log }

// EndView tells the streams of a stamp to end and ends them. It does not wait
// for them: Traffic shows when they are gone. Streams of that stamp that begin
// later are ended at once, until a stamp that had left the table comes back. It
// can be called again.
func (g *Gateway) EndView(stamp string) {
	s := g.Current()
	g.flows.end(stamp, s != nil && s.Table.Known(stamp))
}

// EndStreams does what EndView does, for all stamps in use, and turns away what
// waits at the edge: before a shutdown.
func (g *Gateway) EndStreams() {
	g.queue.Close()
	for _, v := range g.flows.load() {
		v.end.close()
	}
}

// Close writes out what the access log holds and ends it. Requests may still
// be under way; their lines are dropped.
func (g *Gateway) Close() { g.access.close() }

// onceChan is a channel that may be closed more than once.
type onceChan struct {
	once sync.Once
	c    chan struct{}
}

func newOnceChan() *onceChan { return &onceChan{c: make(chan struct{})} }

func (o *onceChan) close() { o.once.Do(func() { close(o.c) }) }
