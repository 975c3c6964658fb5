package gateway

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
	"github.com/greenroom-dev/greenroom/internal/route"
)

// statusClientGone is what logs and metrics say of a client that did not wait.
const statusClientGone = 499

// Call is one request as the edge or the mesh understood it.
type Call struct {
	Snapshot *Snapshot
	Service  string        // where it goes
	Stamp    string        // what it carries; at the edge what the edge decided
	Caller   string        // version ID of who makes it; "" at the edge
	ID       string        // of the request, for logs and problems; may be empty
	Client   string        // address, for the access log
	Timeout  time.Duration // to the answer's header; 0: none
	Trail    bool          // collect and answer which versions it went through (edge)

	// Rewrite, if set, has a look at the header to send before the stamp is
	// set in it.
	Rewrite func(h http.Header)
	// Stalled, if set, reports that the request's body was given up on since
	// nothing more of it came.
	Stalled func() bool
	// Inform, if set, has a look at the header of each informational answer, in a
	// goroutine of its own.
	Inform func(h http.Header)
	// Answer, if set, has the last word on the header of the service's answer,
	// from which greenroom's own fields are gone by then.
	Answer func(status int, h http.Header)
}

func (c *Call) hop() Hop {
	if c.Caller == "" {
		return Edge
	}
	return Mesh
}

// Forward has a call answered by the version that the call's view says, or
// answers with a Problem. It panics with http.ErrAbortHandler when an answer
// broke off half-way, since HTTP/2 knows no other way to say so.
func (g *Gateway) Forward(w http.ResponseWriter, r *http.Request, c *Call) {
	began := g.now()
	to, known := c.Snapshot.Table.Lookup(c.Service, c.Stamp, c.Caller)
	if to.Reason != route.Honoured && c.Caller != "" {
		g.outside(c.Snapshot, c, to.Reason)
	}
	line := g.line(r, c, to, began)
	if !known {
		g.Refuse(w, r, line, Problem{Code: CodeNoService, Detail: fmt.Sprintf(
			"Service %s is not part of what serves under %s. Look at `greenroom status`, and open a release that adds it.", c.Service, to.Stamp)})
		return
	}
	if c.Caller != "" && !c.Snapshot.mayCall(serviceOf(c.Caller), c.Service) {
		g.Refuse(w, r, line, Problem{Code: CodeCallNotAllowed, Detail: fmt.Sprintf(
			"Service %s may not call %s. Add %s to `calls` of %s in the Fleet and run `greenroom fleet apply`.",
			serviceOf(c.Caller), c.Service, c.Service, serviceOf(c.Caller))})
		return
	}
	view := g.flows.view(to.Stamp)
	f := view.service(c.Service, g.metrics)
	view.seen(began)
	f.inFlight.Add(1)
	f.metrics.Began()
	var res forward.Result
	var err error
	done := false
	defer func() {
		now := g.now()
		if !done { // a panic of somebody else's
			err = forward.ErrBroken
		}
		f.requests.Add(1)
		if failed(res, err) {
			f.errors.Add(1)
		}
		f.metrics.Ended(c.hop(), statusOf(res, err), duration(res, now.Sub(began)))
		view.seen(now)
		f.inFlight.Add(-1)
		line.ended(res, err, now)
		g.access.write(line)
	}()
	res, err = g.exchange(w, r, c, to, view)
	if errors.Is(err, forward.ErrClientGone) && c.Stalled != nil && c.Stalled() {
		err = errors.Join(err, os.ErrDeadlineExceeded)
	}
	done = true
	g.settle(w, r, c, to, line, err)
}

// exchange forwards a call whose way is known.
func (g *Gateway) exchange(w http.ResponseWriter, r *http.Request, c *Call, to route.Route[*forward.Pool], view *viewFlow) (forward.Result, error) {
	s := c.Snapshot
	var way *trail
	if c.Caller != "" {
		if id := baggageMember(r.Header, trailMember); id != "" {
			g.trails.get(id).add(to.Version)
		}
	} else if c.Trail {
		if way = g.trails.begin(); way != nil {
			defer g.trails.end(way)
			way.add(to.Version)
		}
	}
	res, err := g.forwarder.Forward(w, r, forward.Exchange{
		Pool:    to.Target,
		Timeout: c.Timeout,
		End:     view.end.c,
		Rewrite: func(h http.Header) {
			if c.Rewrite != nil {
				c.Rewrite(h)
			}
			switch {
			case c.Caller != "":
				restoreStamp(h, s.StampHeader, to.Stamp)
			case way != nil:
				setStamp(h, s.StampHeader, to.Stamp, way.id)
			default:
				setStamp(h, s.StampHeader, to.Stamp, "")
			}
		},
		Inform: func(h http.Header) {
			stripAnswer(h, s.StampHeader)
			if c.Inform != nil {
				c.Inform(h)
			}
		},
		Answer: func(status int, h http.Header) {
			stripAnswer(h, s.StampHeader)
			if c.Trail {
				h.Set(ReleaseHeader, to.Stamp)
				if way != nil {
					h.Set(TrailHeader, way.String())
				}
			}
			if c.Answer != nil {
				c.Answer(status, h)
			}
		},
	})
	if err == nil {
		stripTrailers(w.Header(), s.StampHeader)
	}
	return res, err
}

// settle says what went wrong to whoever can still hear it.
func (g *Gateway) settle(w http.ResponseWriter, r *http.Request, c *Call, to route.Route[*forward.Pool], line *Line, err error) {
	who := fmt.Sprintf("%s of service %s", to.Version, c.Service)
	if pool := to.Target; pool != nil {
		who = fmt.Sprintf("Version %s of service %s", pool.Version(), pool.Service())
	}
	var p Problem
	switch {
	case err == nil:
		return
	case errors.Is(err, forward.ErrBroken):
		panic(http.ErrAbortHandler)
	case errors.Is(err, forward.ErrClientGone) && errors.Is(err, os.ErrDeadlineExceeded):
		p = Problem{Code: CodeBodyStalled, Detail: "Nothing more of the request's body came for too long. Send it again, without pauses."}
		w.Header().Set("Connection", "close")
	case errors.Is(err, forward.ErrClientGone):
		line.Error = codeClientGone
		panic(http.ErrAbortHandler)
	case errors.Is(err, forward.ErrNoInstance):
		p = Problem{Code: CodeNoInstance, Detail: who + " has no ready instance. The request was not sent; try again, and see `greenroom status` and `greenroom logs " + c.Service + "`."}
	case errors.Is(err, forward.ErrRefused):
		p = Problem{Code: CodeRefused, Detail: who + " does not take connections. The request was not sent; see `greenroom logs " + c.Service + "`."}
	case errors.Is(err, forward.ErrTimeout):
		p = Problem{Code: CodeTimeout, Detail: fmt.Sprintf("%s sent no answer within %v. The request may have been carried out; look before trying again.", who, c.Timeout)}
	case errors.Is(err, forward.ErrBadAnswer):
		p = Problem{Code: CodeBadAnswer, Detail: who + " broke off, or answered with something that is not HTTP. The request may have been carried out; see `greenroom logs " + c.Service + "`."}
		g.log.Warn("a service gave no valid answer", "service", c.Service, "version", to.Version, "request", c.ID, "error", err)
	default:
		p = Problem{Code: CodeInternal, Detail: "This is a fault of greenroom; its log says more under this request's id."}
		g.log.Error("forwarding failed", "service", c.Service, "version", to.Version, "request", c.ID, "error", err)
	}
	line.Error = p.Code
	line.Status = p.Code.Status()
	g.Answer(w, r, p, c.ID)
}

// Refuse answers with a problem and writes the request's line.
func (g *Gateway) Refuse(w http.ResponseWriter, r *http.Request, line *Line, p Problem) {
	line.Error, line.Status = p.Code, p.Code.Status()
	g.Answer(w, r, p, line.ID)
	g.Written(line)
}

// statusOf is what metrics and logs say of an exchange; 0 for one that broke
// off.
func statusOf(res forward.Result, err error) int {
	switch {
	case err == nil:
		return res.Status
	case errors.Is(err, forward.ErrClientGone) && errors.Is(err, os.ErrDeadlineExceeded):
		return CodeBodyStalled.Status()
	case errors.Is(err, forward.ErrClientGone):
		return statusClientGone
	case errors.Is(err, forward.ErrBroken):
		return 0
	case errors.Is(err, forward.ErrNoInstance):
		return CodeNoInstance.Status()
	case errors.Is(err, forward.ErrTimeout):
		return CodeTimeout.Status()
	case errors.Is(err, forward.ErrRefused), errors.Is(err, forward.ErrBadAnswer):
		return http.StatusBadGateway
	}
	return http.StatusInternalServerError
}

// failed reports whether an exchange went wrong for reasons that are not the
// client's.
func failed(res forward.Result, err error) bool {
	status := statusOf(res, err)
	return status == 0 && !res.Ended || status >= http.StatusInternalServerError
}

// duration is what metrics take for a latency.
func duration(res forward.Result, took time.Duration) time.Duration {
	if res.Upgraded {
		return -1
	}
	return took
}

// NewID returns a random request id.
func NewID() string { return rand.Text() }

// ValidID reports whether s can be a request's id: 1 to 128 bytes of letters,
// digits and what UUIDs, trace ids and Base64 need besides.
func ValidID(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '_', c == '.', c == ':', c == '/', c == '+', c == '=', c == '@', c == '~':
		default:
			return false
		}
	}
	return true
}
