package forward

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"runtime/debug"
	"sync"
)

// informational passes 1xx answers on to the client. The transport reports them
// from a goroutine of its own, possibly after the exchange failed, so the
// ResponseWriter is touched under a lock and only until done.
type informational struct {
	edit func(h http.Header) // nil: none

	mu    sync.Mutex
	w     http.ResponseWriter
	over  bool
	fault any // what passing one on panicked with; nil: nothing
}

// watch returns a context that makes the transport report informational answers.
func (i *informational) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: i.got})
}

// errFault ends an exchange of which an informational answer, or the body, met a
// fault of ours.
var errFault = errors.New("a fault of greenroom's")

// got writes one answer. 100 is left out: the server says it by itself once
// somebody reads the request's body, which is when the service has said it. A
// panic would end the process here: it is kept for done.
func (i *informational) got(status int, header textproto.MIMEHeader) (err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.over || status == http.StatusContinue {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			i.over, err = true, errFault
			i.fault = fmt.Sprintf("%v, met at:\n%s", p, debug.Stack())
		}
	}()
	h := i.w.Header()
	before := maps.Clone(h)
	clear(h)
	maps.Copy(h, http.Header(header))
	stripHopByHop(h)
	if i.edit != nil {
		i.edit(h)
	}
	i.w.WriteHeader(status)
	clear(h) // WriteHeader leaves it for the final answer
	maps.Copy(h, before)
	return nil
}

// done ends it: from here on the ResponseWriter belongs to the handler alone. It
// panics with what passing an answer on has panicked with.
func (i *informational) done() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.over = true
	if i.fault != nil {
		panic(i.fault)
	}
}
