package forward

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// maxKept bounds how much of a request's body is kept for sending it again, in
// bytes.
const maxKept = 64 << 10

// maxReplays bounds how often a kept body is sent again. A burst of calls finds
// out how few a new connection takes only when the service refuses the rest, which
// go on to the next connection.
const maxReplays = 64

var (
	errBodyOver    = errors.New("the exchange is over")
	errNotReplayed = errors.New("the request's body is not kept any more")
)

// body is the client's request body on its way to an instance.
//
// It outlives tries: each has a reader of its own. The first bytes can be kept,
// so that a call that a service verifiably never processed (HTTP/2 says so with
// GOAWAY and REFUSED_STREAM) can be sent again. And closing a reader ends its
// Read at once, however long the client is silent: the transports count on it,
// and do not report a broken connection before. So the client's body is read by
// a goroutine that runs only while a reader waits.
type body struct {
	request  *http.Request // the client's
	trailer  http.Header   // of the outgoing request; filled in when the body ends
	received atomic.Int64  // bytes
	started  atomic.Bool   // somebody began to read
	whole    atomic.Bool   // it was read to its end
	keep     atomic.Bool   // what is read is kept

	mu      sync.Mutex
	change  sync.Cond // of anything below
	held    []byte    // read, and not yet taken or kept
	base    int64     // offset of held in the body
	end     error     // what the body ended with
	reading bool      // read runs
	fault   any       // what read panicked with; nil: nothing
	over    bool      // nobody may read any more
	replays int
}

func newBody(r *http.Request) *body {
	b := &body{request: r}
	b.change.L = &b.mu
	return b
}

// reader returns the body from its beginning. It is valid as long as replayable
// returns true.
func (b *body) reader() *bodyReader { return &bodyReader{body: b} }

// replayable reports whether another try can send the body.
func (b *body) replayable() bool { return b == nil || !b.started.Load() || b.keep.Load() }

// again is what http.Request.GetBody wants.
func (b *body) again() (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.replays >= maxReplays || !b.replayable() {
		return nil, errNotReplayed
	}
	b.replays++
	return b.reader(), nil
}

// failed returns why the client's body could not be read to its end, or nil.
func (b *body) failed() error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.end == io.EOF {
		return nil
	}
	return b.end
}

// complete reports whether the client's body has been read to its end.
func (b *body) complete() bool { return b.whole.Load() }

// finish ends all reading, for the handler returns. What an HTTP/1 client has not
// sent by now, net/http would wait for, before it closes the connection: of that
// nothing can be read any more. A read that is under way ends before, since the
// server, which ends one otherwise, lets others wait for ever then.
func (b *body) finish(control *http.ResponseController) {
	if b == nil {
		return
	}
	b.interrupt()
	switch {
	case b.request.ProtoMajor >= 2:
		b.request.Body.Close()
	case !b.complete():
		if control.SetReadDeadline(time.Unix(1, 0)) != nil {
			return // it is no connection's
		}
		b.mu.Lock()
		for b.reading {
			b.change.Wait()
		}
		b.mu.Unlock()
	}
}

// interrupt makes readers fail, now and from now on.
func (b *body) interrupt() {
	b.mu.Lock()
	b.over = true
	b.change.Broadcast()
	b.mu.Unlock()
}

// read reads once from the client.
func (b *body) read() {
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	n, fault, err := b.readOnce(buf[:])
	b.received.Add(int64(n))

	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault = fault
	b.held = append(b.held, buf[:n]...)
	if b.base+int64(len(b.held)) > maxKept {
		b.keep.Store(false)
	}
	if err != nil && !b.over {
		b.end = err
		b.whole.Store(err == io.EOF)
	}
	b.reading = false
	b.change.Broadcast()
}

// readOnce makes an error of a panic, which would end the process here.
func (b *body) readOnce(p []byte) (n int, fault any, err error) {
	defer func() {
		if p := recover(); p != nil {
			n, fault, err = 0, fmt.Sprintf("%v, met at:\n%s", p, debug.Stack()), errFault
		}
	}()
	n, err = b.request.Body.Read(p)
	return n, nil, err
}

// check panics with what reading has panicked with.
func (b *body) check() {
	if b == nil {
		return
	}
	b.mu.Lock()
	fault := b.fault
	b.mu.Unlock()
	if fault != nil {
		panic(fault)
	}
}

// bodyReader is the body as one try sends it.
type bodyReader struct {
	body   *body
	at     int64 // offset in the body
	closed bool
}

func (r *bodyReader) Read(p []byte) (int, error) {
	b := r.body
	b.started.Store(true)
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		held := b.base + int64(len(b.held))
		switch {
		case r.closed || b.over:
			return 0, errBodyOver
		case r.at < held:
			n := copy(p, b.held[r.at-b.base:])
			r.at += int64(n)
			if r.at < held {
				return n, nil
			}
			if !b.keep.Load() {
				b.base, b.held = r.at, b.held[:0]
			}
			return n, r.ended()
		case b.end != nil:
			return 0, r.ended()
		case !b.reading:
			b.reading = true
			go b.read()
		}
		b.change.Wait()
	}
}

// ended returns what the body ended with, nil if it has not. The trailers are
// there when the reader learns of the end.
func (r *bodyReader) ended() error {
	b := r.body
	if b.end == io.EOF && b.trailer != nil {
		for name, values := range b.request.Trailer {
			if len(values) > 0 && trailerAllowed(name) {
				b.trailer[name] = values
			}
		}
	}
	return b.end
}

func (r *bodyReader) Close() error {
	r.body.mu.Lock()
	r.closed = true
	r.body.change.Broadcast()
	r.body.mu.Unlock()
	return nil
}
