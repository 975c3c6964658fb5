package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// maxTries is how many instances are tried for one request.
const maxTries = 3

// Options are the settings of a Forwarder. The zero value is good for use.
type Options struct {
	// CloseGrace is how long a stream that must end gets to come to a boundary
	// (of a frame, of an event) and to say goodbye. The default is 2 seconds.
	CloseGrace time.Duration
}

// Exchange is what the caller decides about one request.
type Exchange struct {
	// Pool is where the request goes. It must not be nil.
	Pool *Pool

	// Rewrite, if set, has the last word on the outgoing header; hop-by-hop
	// fields are gone by then. It is called once, before the first try.
	Rewrite func(h http.Header)

	// Answer, if set, is called with the header of the final answer before it is
	// written to the client; of informational answers only 101 is a final one.
	// What the ResponseWriter's header held before is part of h.
	Answer func(status int, h http.Header)

	// Inform, if set, does for informational answers but 101 what Answer does for
	// the final one, without what the ResponseWriter held before. It may be called
	// by another goroutine, one at a time, until Answer is called or Forward
	// returns.
	Inform func(h http.Header)

	// Timeout bounds the time to the answer's header, all tries together; 0 sets
	// no bound.
	Timeout time.Duration

	// End, if set, is closed when streams of this exchange must end: upgraded
	// connections, and answers whose length is not known. Other answers are left
	// alone. A WebSocket is told with a Close frame of code 1012, an event stream
	// with a last event, a gRPC call over HTTP/2 with status UNAVAILABLE;
	// everything else is broken off.
	End <-chan struct{}
}

// Result is what became of an exchange. It is meaningful with an error, too.
type Result struct {
	Instance string // ID of the instance that answered, or that was tried last
	Status   int    // of the final answer; 0 when there was none
	Sent     int64  // bytes of the answer's body written to the client
	Received int64  // bytes of the request's body read from the client
	Upgraded bool   // the connection changed to another protocol
	Ended    bool   // Exchange.End ended it
	Retries  int    // tries beyond the first that were ours; the transport repeats some unseen
}

// Forwarder forwards requests. It is safe for concurrent use.
type Forwarder struct {
	opts Options
}

// New returns a Forwarder.
func New(opts Options) *Forwarder {
	if opts.CloseGrace <= 0 {
		opts.CloseGrace = 2 * time.Second
	}
	return &Forwarder{opts: opts}
}

// Forward sends r to an instance and writes the answer to w. It returns when the
// exchange is over, which for streams and upgraded connections is when they end.
//
// On an error before the answer's header was written, nothing has been written
// but informational answers, and the caller answers, leaving a "Connection: close"
// that it finds in w's header; the error is one of those documented in this
// package. On ErrBroken the caller must panic with
// http.ErrAbortHandler. An upgraded connection ends without an error, however it
// ends.
func (f *Forwarder) Forward(w http.ResponseWriter, r *http.Request, x Exchange) (Result, error) {
	x.Pool.inFlight.Add(1)
	defer x.Pool.inFlight.Add(-1)

	e := &exchange{Exchange: x, w: w, r: r, control: http.NewResponseController(w), grace: f.opts.CloseGrace}
	err := e.run()
	if e.body != nil {
		e.res.Received = e.body.received.Load()
	}
	return e.res, err
}

// exchange is one request under way. One goroutine owns it.
type exchange struct {
	Exchange
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
	grace   time.Duration

	ctx    context.Context // of the outgoing request
	cancel context.CancelCauseFunc
	body   *body // nil when the request has none
	res    Result
}

func (e *exchange) run() error {
	e.ctx, e.cancel = context.WithCancelCause(e.r.Context())
	defer e.cancel(nil)

	ctx := e.ctx
	var infos informational
	if e.Pool.protocol == HTTP && e.r.ProtoAtLeast(1, 1) {
		infos.w, infos.edit = e.w, e.Inform
		ctx = infos.watch(ctx)
	}
	out, body := outgoing(ctx, e.r, e.Exchange)
	e.body = body
	if body != nil {
		// The transports do not look at the context while they wait for the body.
		defer context.AfterFunc(e.ctx, body.interrupt)()
	}

	resp, i, err := e.send(out)
	// An HTTP/2 body is closed only when nobody sends the request any more.
	defer func() {
		body.finish(e.control)
		e.cancel(nil)
		if err == nil {
			resp.Body.Close()
			i.release()
		}
	}()
	infos.done()
	body.check()
	e.enableDuplex()
	if err != nil {
		return err
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return e.upgrade(resp, out.Header.Get("Upgrade"))
	}
	if resp.StatusCode < 200 {
		return fmt.Errorf("%s: %w: its status is %d", e.name(), ErrBadAnswer, resp.StatusCode)
	}
	return e.answer(resp)
}

// enableDuplex lets the answer, also one of the caller's, begin before the
// request has ended: otherwise an HTTP/1 server reads the body first. A client
// that still waits to be asked for its body is left to the server, which closes
// the connection behind the answer.
//
// An answer that begins early is the last one on its connection: a server that
// finds the end of a body only after its handler returned panics at the next
// request (net/http: "invalid concurrent Body.Read call").
func (e *exchange) enableDuplex() {
	if e.body == nil || e.r.ProtoMajor != 1 || e.body.complete() {
		return
	}
	e.w.Header().Set("Connection", "close")
	if e.body.started.Load() || e.r.Header.Get("Expect") == "" {
		_ = e.control.EnableFullDuplex() // fails for writers that are no connection's
	}
}

// send tries instances until one answers. The caller must release the instance.
// The timeout is over with it.
func (e *exchange) send(out *http.Request) (*http.Response, *instance, error) {
	var timer *time.Timer
	if e.Timeout > 0 {
		timer = time.AfterFunc(e.Timeout, func() { e.cancel(ErrTimeout) })
	}
	resp, i, err := e.try(out)
	if timer != nil && !timer.Stop() && err == nil {
		resp.Body.Close()
		i.release()
		err = ErrTimeout
	}
	if err != nil {
		return nil, nil, e.explain(err)
	}
	if e.body != nil {
		e.body.keep.Store(false) // it will not be sent again
	}
	return resp, i, nil
}

func (e *exchange) try(out *http.Request) (*http.Response, *instance, error) {
	var tried []*instance
	var err error
	stale := 0
	for len(tried) < maxTries {
		i := e.Pool.acquire(tried)
		if i == nil {
			break
		}
		e.res.Instance = i.ID
		e.res.Retries = len(tried)
		attempt := out.WithContext(out.Context())
		u := *out.URL
		u.Host = i.Addr
		attempt.URL = &u
		var sender *bodyReader
		if e.body != nil {
			sender = e.body.reader()
			attempt.Body = sender
		}
		var used use
		attempt = used.watch(attempt, e.Pool.protocol, sender)
		var resp *http.Response
		resp, err = i.transport.RoundTrip(attempt)
		if err == nil {
			return resp, i, nil
		}
		i.release()
		if e.ctx.Err() != nil || !e.body.replayable() {
			return nil, nil, err
		}
		if used.unsent() && stale < maxStale {
			stale++
			continue
		}
		// Nothing was sent on a connection that was not established: that is the
		// other failure after which the request may be sent again.
		if !errors.As(err, new(dialError)) {
			return nil, nil, err
		}
		if !errors.Is(err, errSpare) {
			tried = append(tried, i)
		}
	}
	if err == nil {
		err = ErrNoInstance
	}
	return nil, nil, err
}

// explain turns an error before the answer's header into one of this package.
func (e *exchange) explain(err error) error {
	kind := ErrBadAnswer
	switch {
	case errors.Is(err, ErrNoInstance):
		return fmt.Errorf("%s: %w", e.name(), err)
	case errors.Is(err, ErrTimeout) || context.Cause(e.ctx) == ErrTimeout:
		return fmt.Errorf("%s: %w: no answer within %s", e.name(), ErrTimeout, e.Timeout)
	case malformed(e.r, e.body.failed()):
		return fmt.Errorf("%s: %w: %w", e.name(), ErrMalformed, e.body.failed())
	case e.body.failed() != nil:
		return fmt.Errorf("%s: %w: reading the request: %w", e.name(), ErrClientGone, e.body.failed())
	case e.r.Context().Err() != nil:
		return fmt.Errorf("%s: %w", e.name(), ErrClientGone)
	case errors.As(err, new(dialError)):
		kind = ErrRefused
	}
	return fmt.Errorf("%s: %w: %w", e.name(), kind, err)
}

// malformed reports whether reading a request's body failed for what came,
// rather than for what did not: net/http has no error for that.
func malformed(r *http.Request, err error) bool {
	if err == nil || r.ProtoMajor != 1 || r.Context().Err() != nil {
		return false
	}
	_, net := errors.AsType[net.Error](err)
	_, size := errors.AsType[*http.MaxBytesError](err)
	return !net && !size && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, http.ErrBodyReadAfterClose)
}

// name says in errors where the request went.
func (e *exchange) name() string {
	name := e.Pool.service + "@" + e.Pool.version
	if e.res.Instance != "" {
		name += " (" + e.res.Instance + ")"
	}
	return name
}
