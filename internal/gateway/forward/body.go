package forward

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// maxKept bounds how much of a request's body is kept for sending it again, in
// bytes.
const maxKept = 64 << 10

// maxReplays is how often a kept body is sent again.
const maxReplays = 2

var (
	errBodyOver    = errors.New("the exchange is over")
	errNotReplayed = errors.New("the request's body is not kept any more")
)

// body is the client's request body on its way to an instance. It outlives tries:
// each has a reader of its own, and a reader that was closed leaves the client's
// body alone. What the first bytes were can be kept, so that a call that a
// service verifiably never processed (HTTP/2 says so with GOAWAY and
// REFUSED_STREAM) can be sent again.
type body struct {
	request  *http.Request // the client's
	trailer  http.Header   // of the outgoing request; filled in when the body ends
	received atomic.Int64  // bytes
	started  atomic.Bool   // somebody began to read
	keep     atomic.Bool   // what is read is kept
	over     atomic.Bool   // nobody may begin to read
	whole    atomic.Bool   // it was read to its end
	failure  atomic.Pointer[error]

	mu      sync.Mutex // held while reading, which may take long
	kept    []byte
	end     error // what the client's body ended with
	replays int
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
	if err := b.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// complete reports whether the client's body has been read to its end.
func (b *body) complete() bool { return b.whole.Load() }

// finish ends all reading, for the handler returns. A read that is under way on
// an HTTP/1 connection ends with the connection, an HTTP/2 one here.
func (b *body) finish() {
	if b == nil {
		return
	}
	b.over.Store(true)
	b.keep.Store(false)
	if b.request.ProtoMajor >= 2 {
		b.request.Body.Close()
	}
}

// bodyReader is the body as one try sends it.
type bodyReader struct {
	body   *body
	at     int // offset in body.kept
	closed atomic.Bool
}

func (r *bodyReader) Read(p []byte) (int, error) {
	b := r.body
	b.started.Store(true)
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.closed.Load() || b.over.Load() {
		return 0, errBodyOver
	}
	if r.at < len(b.kept) {
		n := copy(p, b.kept[r.at:])
		r.at += n
		return n, nil
	}
	if b.end != nil {
		return 0, b.end
	}
	n, err := b.request.Body.Read(p)
	b.received.Add(int64(n))
	b.retain(p[:n])
	r.at += n
	if err != nil {
		b.ended(err)
	}
	return n, err
}

// retain keeps p, or stops keeping when there is too much of it. A try that is
// dead already may have read p: the next one finds it here.
func (b *body) retain(p []byte) {
	if !b.keep.Load() {
		return
	}
	if len(b.kept)+len(p) > maxKept {
		b.keep.Store(false)
		b.kept = nil
		return
	}
	b.kept = append(b.kept, p...)
}

func (b *body) ended(err error) {
	b.end = err
	if err != io.EOF {
		b.failure.Store(&err)
		return
	}
	b.whole.Store(true)
	for name, values := range b.request.Trailer {
		if b.trailer != nil && len(values) > 0 && trailerAllowed(name) {
			b.trailer[name] = values
		}
	}
}

func (r *bodyReader) Close() error {
	r.closed.Store(true)
	return nil
}
