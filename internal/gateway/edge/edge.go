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
)

// Options are limits towards slow or hostile clients. A zero field has its
// default.
type Options struct {
	HeaderTimeout time.Duration // for a request's header; 10 s
	IdleTimeout   time.Duration // of a connection between requests; 3 min
	BodyStall     time.Duration // between two pieces of a request's body, until the answer begins; 60 s
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
	pages   *pages

	underWay atomic.Int64 // requests handed over
}

// NewHandler returns a Handler that forwards through g.
func NewHandler(g *gateway.Gateway, o Options) *Handler {
	return &Handler{gateway: g, options: o.withDefaults(), pages: newPages()}
}

// request is an outside request with what was found out about it.
type request struct {
	*http.Request
	snapshot *gateway.Snapshot
	from     origin
	id       string
	line     *gateway.Line
}

// ServeHTTP answers greenroom's own pages and hands everything else over to the
// service that the routes say, under the stamp of the view that its sender
// gets.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := h.gateway.Current()
	q := &request{Request: r, snapshot: s, id: requestID(r.Header), line: gateway.NewLine(r, s, gateway.Edge, h.gateway.Now())}
	q.line.ID = q.id
	closeUnclear(w, r)
	if r.ProtoMajor >= 2 {
		stream := newStreamWriter(w, h.options.WriteStall)
		defer stream.end()
		w = stream
	}
	if s == nil {
		h.refuse(w, q, gateway.CodeStarting, "The fleet's routes are not known yet. Try again in a second.")
		return
	}
	q.from = originOf(s, r)
	q.line.Client = q.from.client
	path, ok := h.check(w, q)
	if !ok {
		return
	}
	if path == own || strings.HasPrefix(path, own+"/") {
		h.serveOwn(w, q, path)
		return
	}
	match, ok := s.Match(r.Host, path, r.Method)
	if !ok {
		h.refuse(w, q, gateway.CodeNoRoute, fmt.Sprintf(
			"None of the edge's routes takes %s for this host and path. `greenroom fleet show` lists them.", r.Method))
		return
	}
	// A service may take the path as it stands. Then a route must not have opened
	// it by where the path leads: /admin/../api is not for whom /api is routed to.
	if path != r.URL.Path {
		if literal, _ := s.Match(r.Host, r.URL.Path, r.Method); literal.Service != match.Service {
			h.refusePath(w, q)
			return
		}
	}
	who, problem := h.audienceOf(q)
	if problem != nil {
		h.deny(w, q, who, *problem)
		return
	}
	h.forward(w, q, match, who)
}

// check answers what is refused whoever asks, and returns the path that routes
// are compared with.
func (h *Handler) check(w http.ResponseWriter, q *request) (path string, ok bool) {
	switch code := gateway.Refusal(q.Request); code {
	case "":
	case gateway.CodeMethodRefused:
		h.refuse(w, q, code, "Greenroom is no tunnel and no echo: it does not forward CONNECT or TRACE, nor a method that is no token.")
		return "", false
	case gateway.CodeUpgradeRefused:
		h.refuse(w, q, code, "Greenroom does not change to h2c on request. Speak HTTP/2 from the start of the connection, or HTTP/1.1.")
		return "", false
	default:
		h.refuse(w, q, code, fmt.Sprintf("A request may have at most %d header fields.", gateway.MaxHeaderFields))
		return "", false
	}
	if q.Host != "" && !gateway.ValidHost(q.Host) || q.URL.User != nil || q.URL.Scheme != "" && q.URL.Scheme != "http" && q.URL.Scheme != "https" {
		h.refuse(w, q, gateway.CodeHostRefused, "The host must be a name or an address, with or without a port, and the scheme http or https.")
		return "", false
	}
	path, err := gateway.CanonicalPath(q.URL)
	if err != nil {
		h.refusePath(w, q)
		return "", false
	}
	return path, true
}

func (h *Handler) refusePath(w http.ResponseWriter, q *request) {
	h.refuse(w, q, gateway.CodePathRefused, "The path leads above its root or into another route, hides `..`, a backslash step or a NUL in encoded form, or holds a number sign or a space. Send it resolved and encoded.")
}

// forward hands the request over to the gateway's core.
func (h *Handler) forward(w http.ResponseWriter, q *request, match gateway.Match, who audience) {
	h.underWay.Add(1)
	defer h.underWay.Add(-1)
	guard := h.guardBody(w, q.Request, q.snapshot)
	defer guard.end()
	h.gateway.Forward(w, q.Request, &gateway.Call{
		Snapshot: q.snapshot,
		Service:  match.Service,
		Stamp:    who.stamp,
		ID:       q.id,
		Client:   q.from.client,
		Timeout:  match.Timeout,
		Trail:    who.holder || q.snapshot.Edge.ShowRelease,
		Stalled:  guard.stalled,
		Rewrite: func(out http.Header) {
			q.snapshot.StripReserved(out)
			stripCookies(out)
			q.from.rewrite(out, q.Request)
			setRequestID(out, q.id)
		},
		Inform: dropOurCookies,
		Answer: func(_ int, answer http.Header) {
			guard.answered()
			h.finish(answer, q, who)
		},
	})
}

// finish completes the header of a service's answer.
func (h *Handler) finish(answer http.Header, q *request, who audience) {
	dropOurCookies(answer)
	// What a holder gets names the release, also when it is what everybody gets.
	if now := h.gateway.Current(); who.holder || who.stamp != now.Default() {
		forbidCaching(answer)
	}
	shared := sharedCacheable(answer)
	if who.clearPass && !shared {
		answer.Add("Set-Cookie", clearedCookie(passCookie, q.from.https).String())
	}
	if who.pin != "" && !shared {
		answer.Add("Set-Cookie", pinnedCookie(who.pin, q.from.https).String())
	}
}

func (h *Handler) refuse(w http.ResponseWriter, q *request, code gateway.Code, detail string) {
	h.gateway.Refuse(w, q.Request, q.line, gateway.Problem{Code: code, Detail: detail})
}

// closeUnclear ends the connection after requests whose length two servers may
// see differently (RFC 9112, section 6.1): net/http takes "Transfer-Encoding"
// beside "Content-Length", and ignores it in HTTP/1.0, without a word. So
// whatever a proxy before us thinks was part of the body is never read as a
// request.
func closeUnclear(w http.ResponseWriter, r *http.Request) {
	if !r.ProtoAtLeast(1, 1) || r.ProtoMajor == 1 && len(r.TransferEncoding) > 0 {
		w.Header().Set("Connection", "close")
	}
}

// requestID returns the request's own id, if it has exactly one that can be
// one, else a new one.
func requestID(h http.Header) string {
	if ids := h["X-Request-Id"]; len(ids) == 1 && gateway.ValidID(ids[0]) {
		return ids[0]
	}
	return gateway.NewID()
}

func setRequestID(h http.Header, id string) { h["X-Request-Id"] = []string{id} }
