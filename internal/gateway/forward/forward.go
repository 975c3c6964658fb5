package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

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

	// Timeout bounds the time to the answer's header, all tries together; 0 sets
	// no bound.
	Timeout time.Duration

	// End, if set, is closed when streams of this exchange must end: upgraded
	// connections, and answers whose length is not known. Other answers are left
	// alone. A WebSocket is told with a Close frame of code 1012, an event stream
	// with a last event; everything else is broken off.
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
	Retries  int    // tries beyond the first
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
// On an error before the answer's header was written, nothing has been written,
// and the caller answers; the error is one of those documented in this package.
// On ErrBroken the caller must panic with http.ErrAbortHandler.
func (f *Forwarder) Forward(w http.ResponseWriter, r *http.Request, x Exchange) (Result, error) {
	x.Pool.inFlight.Add(1)
	defer x.Pool.inFlight.Add(-1)
	var res Result
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	i := x.Pool.acquire(nil)
	if i == nil {
		return res, ErrNoInstance
	}
	defer i.release()
	res.Instance = i.ID
	out := r.Clone(ctx)
	out.RequestURI = ""
	out.URL.Scheme, out.URL.Host = "http", i.Addr
	stripHopByHop(out.Header)
	if x.Rewrite != nil {
		x.Rewrite(out.Header)
	}
	resp, err := i.transport.RoundTrip(out)
	if err != nil {
		if errors.As(err, new(dialError)) {
			return res, fmt.Errorf("%w: %w", ErrRefused, err)
		}
		return res, fmt.Errorf("%w: %w", ErrBadAnswer, err)
	}
	defer resp.Body.Close()
	res.Status = resp.StatusCode
	stripHopByHop(resp.Header)
	for k, v := range resp.Header {
		w.Header()[k] = v
	}
	if x.Answer != nil {
		x.Answer(resp.StatusCode, w.Header())
	}
	w.WriteHeader(resp.StatusCode)
	res.Sent, err = io.Copy(w, resp.Body)
	if err != nil {
		return res, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return res, nil
}
