// Package edge is where outside traffic enters a fleet. It owns the listeners
// and their limits, who a request comes from (a pass, a browser session, a
// trusted proxy), what is taken out of a request before a service sees it, and
// greenroom's own pages below /.greenroom/.
//
// What a request means once it is known whose it is, is gateway's: this package
// hands every request over as a gateway.Call. It must not import anything that
// changes a fleet.
//
// Start at Handler.ServeHTTP; Server puts it behind listeners.
package edge

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/fast"
	"github.com/greenroom-dev/greenroom/internal/gateway/field"
	"github.com/greenroom-dev/greenroom/internal/pass"
	"github.com/greenroom-dev/greenroom/internal/passpage"
)

// Options are limits towards slow or hostile clients. A zero field has its
// default.
type Options struct {
	HeaderTimeout time.Duration // for a request's header; 10 s
	IdleTimeout   time.Duration // of a connection between requests; 3 min
	BodyStall     time.Duration // between two pieces of a request's body, until the answer begins, and for the rest of one that is refused; 60 s
	WriteStall    time.Duration // for a client to take what it is sent; 2 min
	MaxHeader     int           // bytes of a request's header; 64 KiB
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.HeaderTimeout, 10 * time.Second},
		{&o.IdleTimeout, 3 * time.Minute},
		{&o.BodyStall, time.Minute},
		{&o.WriteStall, 2 * time.Minute},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if o.MaxHeader <= 0 {
		o.MaxHeader = 64 << 10
	}
	return o
}

// Handler serves outside requests. It is safe for concurrent use.
type Handler struct {
	gateway *gateway.Gateway
	options Options
	pages   *passpage.Set

	underWay atomic.Int64 // requests handed over
}

// NewHandler returns a Handler that forwards through g.
func NewHandler(g *gateway.Gateway, o Options) *Handler {
	return &Handler{gateway: g, options: o.withDefaults(), pages: passpage.NewSet()}
}

// request is an outside request with what was found out about it. It is what
// the gateway asks about the headers of its call, too.
type request struct {
	gateway.Request
	handler  *Handler
	snapshot *gateway.Snapshot
	from     origin
	id       string
	began    time.Time
	logged   bool   // its line is written
	path     string // as routes are compared with it
	match    gateway.Match
	who      audience
	raw      *http.Request // nil on the fast path
	guard    *bodyGuard    // nil: none

	untouched bool // the service wants its answer to arrive as it was
}

// way is what decide found out.
type way int

const (
	forward way = iota
	ownPage
	refused // with a problem
	denied  // a pass opens nothing; with a problem
	badged  // to a service, whose page is to have a badge
	held    // it waits, or is turned away
)

// ServeHTTP answers greenroom's own pages and hands everything else over to the
// service that the routes say, under the stamp of the view that its sender
// gets.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := &request{Request: gateway.RequestOf(r), raw: r}
	way, problem := h.decide(q, q.peer(), h.gateway.Now())
	closeUnclear(w, r)
	if r.ProtoMajor >= 2 {
		stream := newStreamWriter(w, h.options.WriteStall)
		defer stream.end()
		w = stream
	}
	if way == refused || way == denied || way == ownPage {
		gateway.BoundBody(w, r, h.options.BodyStall)
	}
	h.answer(w, q, way, problem)
}

// peer is the other end of the connection that net/http read q from.
func (q *request) peer() peer {
	return peerOf(q.raw.RemoteAddr, q.raw.TLS != nil || fast.Encrypted(q.raw.Context()))
}

// answer does what was decided.
func (h *Handler) answer(w http.ResponseWriter, q *request, way way, problem *gateway.Problem) {
	switch way {
	case held:
		h.hold(w, q)
	case ownPage:
		h.serveOwn(w, q, q.path)
	case refused:
		h.refuse(w, q, *problem)
	case denied:
		h.deny(w, q, q.who, *problem)
	case badged:
		h.forward(&badgeWriter{ResponseWriter: w, q: q}, q)
	default:
		h.forward(w, q)
	}
}

// decide finds out what becomes of a request. It changes nothing but q.
func (h *Handler) decide(q *request, from peer, now time.Time) (way, *gateway.Problem) {
	s := h.gateway.Current()
	q.handler, q.snapshot, q.began = h, s, now
	q.id = requestID(q.Header)
	if s == nil {
		return refused, &gateway.Problem{Code: gateway.CodeStarting, Detail: "The fleet's routes are not known yet. Try again in a second."}
	}
	q.from = originOf(s, from, q.Header)
	if problem := q.check(); problem != nil {
		return refused, problem
	}
	if q.path == passpage.Own || strings.HasPrefix(q.path, passpage.Own+"/") {
		return ownPage, nil
	}
	match, ok := s.Match(q.Host, q.path, q.Method)
	if !ok {
		return refused, &gateway.Problem{Code: gateway.CodeNoRoute, Detail: fmt.Sprintf(
			"None of the edge's routes takes %s for this host and path. `greenroom fleet show` lists them.", q.Method)}
	}
	// A service may take the path as it stands. Then a route must not have opened
	// it by where the path leads: /admin/../api is not for whom /api is routed to.
	if q.path != q.URL.Path {
		if literal, _ := s.Match(q.Host, q.URL.Path, q.Method); literal.Service != match.Service {
			return refused, refusedPath()
		}
	}
	q.match = match
	var problem *gateway.Problem
	if q.who, problem = h.audienceOf(q); problem != nil {
		return denied, problem
	}
	if q.heldBy(now) != gateway.GoOn {
		return held, nil
	}
	if q.who.badge != nil {
		return badged, nil
	}
	return forward, nil
}

// check says what is refused whoever asks, and finds the path that routes are
// compared with.
func (q *request) check() *gateway.Problem {
	switch code := gateway.Refusal(&q.Request); code {
	case "":
	case gateway.CodeMethodRefused:
		return &gateway.Problem{Code: code, Detail: "Greenroom is no tunnel and no echo: it does not forward CONNECT or TRACE, nor a method that is no token."}
	case gateway.CodeUpgradeRefused:
		return &gateway.Problem{Code: code, Detail: "Greenroom does not change to h2c on request. Speak HTTP/2 from the start of the connection, or HTTP/1.1."}
	default:
		return &gateway.Problem{Code: code, Detail: fmt.Sprintf("A request may have at most %d header fields.", gateway.MaxHeaderFields)}
	}
	if q.Host != "" && !gateway.ValidHost(q.Host) || q.URL.User != nil || q.URL.Scheme != "" && q.URL.Scheme != "http" && q.URL.Scheme != "https" {
		return &gateway.Problem{Code: gateway.CodeHostRefused, Detail: "The host must be a name or an address, with or without a port, and the scheme http or https."}
	}
	path, err := gateway.CanonicalPath(&q.URL)
	if err != nil {
		return refusedPath()
	}
	q.path = path
	return nil
}

func refusedPath() *gateway.Problem {
	return &gateway.Problem{Code: gateway.CodePathRefused, Detail: "The path leads above its root or into another route, hides `..`, a backslash step or a NUL in encoded form, or holds a number sign or a space. Send it resolved and encoded."}
}

// call is q as the gateway's core takes it.
func (q *request) call() gateway.Call {
	return gateway.Call{
		Snapshot: q.snapshot,
		Service:  q.match.Service,
		Stamp:    q.who.stamp,
		ID:       q.id,
		Client:   q.from.client,
		Timeout:  q.match.Timeout,
		Began:    q.began,
		Trail:    q.who.holder || q.snapshot.Edge.ShowRelease,
		Side:     q,

		UnreadBody: q.handler.options.BodyStall,
	}
}

// forward hands the request over to the gateway's core.
func (h *Handler) forward(w http.ResponseWriter, q *request) {
	h.underWay.Add(1)
	defer h.underWay.Add(-1)
	q.guard = h.guardBody(w, q.raw, q.snapshot)
	defer q.guard.end()
	h.gateway.Forward(w, q.raw, q.call())
}

// Rewrite takes out what no service is to see, and says whom the edge speaks
// for.
func (q *request) Rewrite(out field.Header) {
	q.snapshot.StripReserved(out)
	if base := q.snapshot.CallbackBase(q.who.stamp, q.began); base != "" {
		out.Set(pass.CallbackHeader, base)
	}
	if q.who.badge != nil {
		out.Set("Accept-Encoding", "identity") // nothing can be put into a compressed page
	}
	stripCookies(out)
	q.from.rewrite(out, q.Host)
	out.Set("X-Request-Id", q.id)
}

// Inform takes our cookies out of an informational answer.
func (q *request) Inform(h field.Header) { dropOurCookies(h) }

// Answer completes the header of a service's answer.
func (q *request) Answer(answer field.Header) {
	q.guard.answered()
	q.untouched = forbidsChange(answer)
	dropOurCookies(answer)
	// What a holder gets names the release, also when it is what everybody gets.
	if now := q.handler.gateway.Current(); q.who.holder || q.who.stamp != now.Default() {
		forbidCaching(answer)
	}
	if q.who.callback {
		guardAddress(answer)
	}
	if !q.who.clearPass && q.who.pin == "" {
		return
	}
	shared := sharedCacheable(answer)
	if q.who.clearPass && !shared {
		answer.Add("Set-Cookie", passpage.ClearedCookie(q.from.https).String())
	}
	if q.who.pin != "" && !shared {
		answer.Add("Set-Cookie", pinnedCookie(q.who.pin, q.from.https).String())
	}
}

// Stalled reports that the request's body was given up on.
func (q *request) Stalled() bool { return q.guard.stalled() }

func (h *Handler) refuse(w http.ResponseWriter, q *request, p gateway.Problem) {
	h.gateway.Answer(w, &q.Request, p, q.id)
	q.written(p.Code.Status(), p.Code)
}

// written writes the line of a request that no service was asked about.
func (q *request) written(status int, code gateway.Code) {
	line := gateway.NewLine(&q.Request, q.snapshot, gateway.Edge, q.began)
	line.ID, line.Client, line.Status, line.Error = q.id, q.from.client, status, code
	q.handler.gateway.Written(&line)
	q.logged = true
}

// closeUnclear ends the connection after requests whose length two servers may
// see differently (RFC 9112, section 6.1): net/http takes "Transfer-Encoding"
// beside "Content-Length", and ignores it in HTTP/1.0, without a word. So
// whatever a proxy before us thinks was part of the body is never read as a
// request. On a connection that is read strictly there are none of these. What
// follows a request that wants another protocol is not read strictly, so that
// one which stays with HTTP is the last on its connection.
func closeUnclear(w http.ResponseWriter, r *http.Request) {
	chunked := r.ProtoMajor == 1 && len(r.TransferEncoding) > 0 && !fast.Guarded(r.Context())
	if !r.ProtoAtLeast(1, 1) || chunked || r.ProtoMajor == 1 && len(r.Header["Upgrade"]) > 0 {
		w.Header().Set("Connection", "close")
	}
}

// requestID returns the request's own id, if it has exactly one that can be
// one, else a new one.
func requestID(h field.Header) string {
	if ids := h.Values("X-Request-Id"); len(ids) == 1 && gateway.ValidID(ids[0]) {
		return ids[0]
	}
	return gateway.NewID()
}
