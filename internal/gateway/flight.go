package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"os"

	"google.golang.org/grpc/codes"

	"github.com/greenroom-dev/greenroom/internal/gateway/field"
	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
	"github.com/greenroom-dev/greenroom/internal/route"
)

// Flight is one call from the decision where it goes to its end: what it is
// counted as, what is changed in its headers, what its line says, and what is
// answered when nobody else can. Both paths, net/http's and the fast one, take
// a call through it in this order:
//
//	Find, Begin, (Rewrite, Inform, Answered), Settle, End
//
// or Find, Begin, Refused. One goroutine owns it. It can be used again after
// End or Refused, for another Find.
type Flight struct {
	Call
	gateway *Gateway
	to      route.Route[*forward.Pool]
	known   bool
	line    Line
	view    *viewFlow
	flow    *flow
	way     *trail // nil: none is collected here

	settled bool
	streams bool // the answer is a stream
	result  forward.Result
	grpc    codes.Code // of a gRPC answer that came whole
	err     error
}

// Find looks up where a call goes. Nothing is counted yet.
func (g *Gateway) Find(f *Flight, c Call) {
	*f = Flight{Call: c, gateway: g}
	f.to, f.known = c.Snapshot.Table.Lookup(c.Service, c.Stamp, c.Caller)
}

// Pool returns where the call goes, nil for nowhere.
func (f *Flight) Pool() *forward.Pool {
	if !f.known {
		return nil
	}
	return f.to.Target
}

// Over is closed when streams of the call's view must end.
func (f *Flight) Over() <-chan struct{} { return f.view.end.c }

// Begin counts the call as under way, and nil means that End must be called.
// Otherwise the call may not go on: the Problem is what to answer, and then
// Refused must be called.
func (f *Flight) Begin(r *Request) *Problem {
	g := f.gateway
	if f.to.Reason != route.Honoured && f.Caller != "" {
		g.outside(f.Snapshot, &f.Call, f.to.Reason)
	}
	f.startLine(r)
	if !f.known {
		under := ""
		if f.knows() {
			under = " under " + f.to.Stamp
		}
		return f.refuse(CodeNoService, fmt.Sprintf(
			"Service %s is not part of what serves%s. Look at `greenroom status`, and open a release that adds it.", f.Service, under))
	}
	if f.Caller != "" && !f.Snapshot.mayCall(serviceOf(f.Caller), f.Service) {
		return f.refuse(CodeCallNotAllowed, fmt.Sprintf(
			"Service %s may not call %s. Add %s to `calls` of %s in the Fleet and run `greenroom fleet apply`.",
			serviceOf(f.Caller), f.Service, f.Service, serviceOf(f.Caller)))
	}
	f.view = g.flows.view(f.to.Stamp)
	f.flow = f.view.service(f.Service, g.metrics)
	f.view.seen(f.Began)
	f.flow.inFlight.Add(1)
	f.flow.metrics.Began()
	if f.Caller != "" {
		if id := baggageMember(r.Header, trailMember); id != "" {
			g.trails.get(id).add(f.to.Version)
		}
	} else if f.Trail {
		if f.way = g.trails.begin(); f.way != nil {
			f.way.add(f.to.Version)
		}
	}
	return nil
}

func (f *Flight) refuse(code Code, detail string) *Problem {
	f.line.Error, f.line.Status = code, code.Status()
	return f.problem(code, detail)
}

// problem is an answer of greenroom's own, which names its release to whom the
// service's would.
func (f *Flight) problem(code Code, detail string) *Problem {
	p := &Problem{Code: code, Detail: detail}
	if f.Trail {
		p.Release = f.to.Stamp
		if f.way != nil {
			p.Trail = f.way.String()
		}
	}
	return p
}

// knows reports whether whoever gets the answer may hear of versions: services,
// and outside those to whom answers name their release.
func (f *Flight) knows() bool { return f.Caller != "" || f.Trail }

// Refused writes the line of a call that Begin refused, once it is answered.
func (f *Flight) Refused() { f.gateway.Written(&f.line) }

// Rewrite makes h, from which hop-by-hop fields are gone, the header that the
// service gets.
func (f *Flight) Rewrite(h field.Header) {
	if f.Side != nil {
		f.Side.Rewrite(h)
	}
	switch {
	case f.Caller != "":
		f.Snapshot.restoreStamp(h, f.view)
	case f.way != nil:
		f.Snapshot.setStamp(h, f.view, f.way.id)
	default:
		f.Snapshot.setStamp(h, f.view, "")
	}
}

// Inform makes h the header of an informational answer.
func (f *Flight) Inform(h field.Header) {
	f.Snapshot.stripAnswer(h)
	if f.Side != nil {
		f.Side.Inform(h)
	}
}

// Answered makes h, from which hop-by-hop fields are gone, the header that the
// caller gets.
func (f *Flight) Answered(h field.Header) {
	if isEventStream(h) {
		f.Stream()
	}
	f.Snapshot.stripAnswer(h)
	if f.Trail {
		h.Set(ReleaseHeader, f.to.Stamp)
		if f.way != nil {
			h.Set(TrailHeader, f.way.String())
		}
	}
	if f.Side != nil {
		f.Side.Answer(h)
	}
}

// Trailers takes greenroom's names out of an answer's trailers.
func (f *Flight) Trailers(h field.Header) { f.Snapshot.stripAnswer(h) }

// Settle takes down what became of the exchange. A Problem is what to answer
// still; broken says that the client's connection or stream must be broken off.
// It is called once, before End.
func (f *Flight) Settle(res forward.Result, err error) (p *Problem, broken bool) {
	if errors.Is(err, forward.ErrClientGone) && f.Side != nil && f.Side.Stalled() {
		err = errors.Join(err, os.ErrDeadlineExceeded)
	}
	f.settled, f.result, f.err = true, res, err
	if err == nil {
		return nil, false
	}
	p, broken = f.explain(err)
	if p != nil {
		f.line.Error, f.line.Status = p.Code, p.Code.Status()
	}
	return p, broken
}

// explain says what went wrong to whoever can still hear it.
func (f *Flight) explain(err error) (p *Problem, broken bool) {
	who := "Service " + f.Service
	if pool := f.to.Target; pool != nil && f.knows() {
		who = fmt.Sprintf("Version %s of service %s", pool.Version(), pool.Service())
	}
	log := f.gateway.log
	switch {
	case errors.Is(err, forward.ErrBroken):
		return nil, true
	case errors.Is(err, forward.ErrClientGone) && errors.Is(err, os.ErrDeadlineExceeded):
		return f.problem(CodeBodyStalled, "Nothing more of the request's body came for too long. Send it again, without pauses."), false
	case errors.Is(err, forward.ErrMalformed):
		return f.problem(CodeMalformed, "The chunks of the request's body are not what HTTP/1.1 says they are. The request may have been carried out in part."), false
	case errors.Is(err, forward.ErrClientGone):
		f.line.Error = CodeClientGone
		return nil, true
	case errors.Is(err, forward.ErrNoInstance):
		return f.problem(CodeNoInstance, who+" has no ready instance. The request was not sent; try again, and see `greenroom status` and `greenroom logs "+f.Service+"`."), false
	case errors.Is(err, forward.ErrRefused):
		return f.problem(CodeRefused, who+" does not take connections. The request was not sent; see `greenroom logs "+f.Service+"`."), false
	case errors.Is(err, forward.ErrTimeout):
		return f.problem(CodeTimeout, fmt.Sprintf("%s sent no answer within %v. The request may have been carried out; look before trying again.", who, f.Timeout)), false
	case errors.Is(err, forward.ErrBadAnswer):
		log.Warn("a service gave no valid answer", "service", f.Service, "version", f.to.Version, "request", f.ID, "error", err)
		return f.problem(CodeBadAnswer, who+" broke off, or answered with something that is not HTTP. The request may have been carried out; see `greenroom logs "+f.Service+"`."), false
	}
	log.Error("forwarding failed", "service", f.Service, "version", f.to.Version, "request", f.ID, "error", err)
	return f.problem(CodeInternal, "This is a fault of greenroom; its log says more under this request's id."), false
}

// End ends the call: nothing of it is under way any more. A call that was not
// settled counts as broken off.
func (f *Flight) End() {
	g := f.gateway
	now := g.now()
	if !f.settled { // a panic of somebody else's
		f.err = forward.ErrBroken
	}
	if f.way != nil {
		g.trails.end(f.way)
	}
	if f.streams {
		g.streams.Add(-1)
	}
	f.flow.requests.Add(1)
	status := statusOf(f.result, f.err)
	if f.grpc != codes.OK {
		status = statusOfGRPC(f.grpc)
	}
	if status == 0 && !f.result.Ended || status >= http.StatusInternalServerError { // not the client's fault
		f.flow.errors.Add(1)
	}
	f.flow.metrics.Ended(f.hop(), status, duration(f.result, now.Sub(f.Began)))
	f.view.seen(now)
	f.flow.inFlight.Add(-1)
	f.line.GRPC = f.grpc
	f.line.ended(f.result, f.err, now)
	g.access.write(&f.line)
}
