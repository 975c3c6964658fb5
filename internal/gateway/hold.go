package gateway

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway/field"
	"github.com/greenroom-dev/greenroom/internal/gateway/hold"
)

// Hold is what the edge keeps waiting or turns away. It is part of a Snapshot,
// so that whoever has a Snapshot knows with one look whether there is one: nil
// stands for none. Holders of a pass, and what is under way, are not its
// business, and nothing is held in the mesh.
type Hold struct {
	Mode     HoldMode
	Until    time.Time     // zero: until it is taken out of the Snapshot
	Routes   []fleet.Route // hosts and paths that it is for; none: every request
	Settings fleet.Hold    // how many wait, and what is said to those turned away

	compiled []compiledRoute
	reads    []string
}

// HoldMode is what becomes of requests.
type HoldMode int

// The modes.
const (
	HoldWait   HoldMode = iota // they wait
	HoldWrites                 // writes are turned away
	HoldPage                   // all are turned away
)

// Verdict is what becomes of one request.
type Verdict int

// The verdicts.
const (
	GoOn Verdict = iota
	WaitFirst
	TurnedAway
)

func (h *Hold) compile() {
	if h == nil || h.compiled != nil || h.reads != nil {
		return
	}
	for _, r := range h.Routes {
		h.compiled = append(h.compiled, compileRoute(r))
	}
	for _, path := range h.Settings.Reads {
		h.reads = append(h.reads, strings.TrimRight(path, "/"))
	}
}

// on reports whether the hold is there at a time.
func (h *Hold) on(now time.Time) bool {
	return h != nil && (h.Until.IsZero() || now.Before(h.Until))
}

// Held is what a hold looks at of a request: the host as it was asked for, and
// the path as CanonicalPath returns it.
type Held struct {
	Host, Path, Method string
}

// Judge says what becomes of a request at a time.
func (h *Hold) Judge(r Held, now time.Time) Verdict {
	switch {
	case !h.on(now) || !h.covers(r):
		return GoOn
	case h.Mode == HoldWait:
		return WaitFirst
	case h.Mode == HoldWrites && h.isRead(r):
		return GoOn
	}
	return TurnedAway
}

func (h *Hold) covers(r Held) bool {
	if len(h.compiled) == 0 {
		return true
	}
	host := bareHost(r.Host)
	return slices.ContainsFunc(h.compiled, func(c compiledRoute) bool { return c.match(host, r.Path, r.Method) })
}

// isRead reports whether a request changes nothing: by its method, as RFC 9110
// has it, or since the fleet says so of its path.
func (h *Hold) isRead(r Held) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	return slices.ContainsFunc(h.reads, func(prefix string) bool { return underPrefix(r.Path, prefix) })
}

func (h *Hold) limits() hold.Limits {
	s := h.Settings
	return hold.Limits{Requests: s.MaxRequests, Bytes: s.MaxBytes, Wait: s.MaxWait, Pace: s.ResumeRate}
}

// RetryAfter is when somebody who was turned away should try again.
func (h *Hold) RetryAfter(now time.Time) time.Duration {
	if h.Until.IsZero() {
		return max(time.Second, h.Settings.RetryAfter)
	}
	return max(time.Second, h.Until.Sub(now))
}

// Queue is where requests wait.
func (g *Gateway) Queue() *hold.Queue { return &g.queue }

// Kept is what is known of requests while there is a hold.
type Kept struct {
	Waiting  int   // requests
	Bytes    int64 // that they keep
	UnderWay int64 // calls at the edge and between services that are not answered yet, streams left out
}

// Kept returns what waits and what is under way.
func (g *Gateway) Kept() Kept {
	var k Kept
	k.Waiting, k.Bytes = g.queue.Waiting()
	for _, v := range g.flows.load() {
		k.UnderWay += v.sum()
	}
	k.UnderWay = max(0, k.UnderWay-g.streams.Load())
	return k
}

// beginHold makes requests wait that meet s from now on. It comes before s is
// published: whoever joins the queue has seen a Snapshot with a hold in it.
func (g *Gateway) beginHold(s *Snapshot) {
	s.Hold.compile()
	if now := g.now(); s.Hold.on(now) && s.Hold.Mode == HoldWait {
		g.queue.Begin(s.Hold.limits(), s.Hold.Until, now)
	}
}

// followHold resumes what does not wait any more by s. It comes after s is
// published: whoever is resumed gets the view that s says.
func (g *Gateway) followHold(s *Snapshot) {
	now := g.now()
	if !s.Hold.on(now) || s.Hold.Mode != HoldWait {
		g.queue.End()
		return
	}
	g.queue.Keep(func(what any) bool {
		r, ok := what.(Held)
		return ok && s.Hold.Judge(r, now) == WaitFirst
	})
}

// Stream notes that the call's answer goes on for as long as it likes.
func (f *Flight) Stream() {
	if !f.streams {
		f.streams = true
		f.gateway.streams.Add(1)
	}
}

func isEventStream(h field.Header) bool {
	return strings.HasPrefix(field.First(h, "Content-Type"), "text/event-stream")
}
