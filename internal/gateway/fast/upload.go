package fast

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway/field"
	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
	"github.com/greenroom-dev/greenroom/internal/gateway/http1"
)

// maxSkipped is how much of a body is read that nobody wants, in bytes.
const maxSkipped = 256 << 10

// upload is a request's body on its way to the instance. What came with the
// head is sent with it. The rest, if any, is sent by a goroutine, since the
// service may answer before it has it all.
type upload struct {
	left     int64 // of a body with a length
	chunked  bool
	chunks   http1.Chunks
	received int64     // bytes, decoded
	by       time.Time // when all of it must be there; zero: any time

	running bool
	done    chan struct{}
	fault   any         // what sending it panicked with, once done; nil: nothing
	whole   atomic.Bool // all of it was read, if running
	free    atomic.Bool // the answer has begun: it may take its time
	over    atomic.Bool // it is to end
}

// pending reports whether there is a body of which something was not read.
func (u *upload) pending() bool { return u.left > 0 || u.chunked && !u.chunks.Over() }

// complete reports whether the body was read to its end.
func (u *upload) complete() bool {
	if u.running {
		return u.whole.Load()
	}
	return !u.pending()
}

// takeBody appends what is there of the body, as it is sent on.
func (c *conn) takeBody(b []byte) ([]byte, error) {
	u := &c.up
	if u.chunked {
		return c.takeChunks(b)
	}
	n := int(min(int64(c.w-c.r), u.left))
	b = append(b, c.in[c.r:c.r+n]...)
	c.r += n
	u.left -= int64(n)
	u.received += int64(n)
	return b, nil
}

func (c *conn) takeChunks(b []byte) ([]byte, error) {
	u := &c.up
	for c.r < c.w && !u.chunks.Over() {
		piece, n, err := u.chunks.Next(c.in[c.r:c.w])
		if err != nil {
			return b, fmt.Errorf("%w: %w", forward.ErrMalformed, err)
		}
		c.r += n
		b = http1.AppendChunk(b, piece)
		u.received += int64(len(piece))
	}
	if !u.chunks.Over() {
		return b, nil
	}
	var h http1.List
	if err := u.chunks.Trailers(&h); err != nil {
		return b, fmt.Errorf("%w: %w", forward.ErrMalformed, err)
	}
	h.DeleteAll(field.Func(refusedTrailers))
	c.session.Trailers(&h)
	b = append(b, '0', '\r', '\n')
	b = h.Append(b)
	return append(b, '\r', '\n'), nil
}

// startUpload sends what is to come of the body.
func (c *conn) startUpload(lane *forward.Lane) {
	u := &c.up
	if !u.pending() {
		return
	}
	u.running, u.done = true, make(chan struct{})
	c.x.shared = true
	go func() {
		defer close(u.done)
		defer func() {
			if p := recover(); p != nil { // it would end the process here
				u.fault = fmt.Sprintf("%v, met at:\n%s", p, debug.Stack())
				c.interrupt(errFault)
			}
		}()
		if err := c.sendBody(lane); err != nil {
			c.interrupt(err)
		}
	}()
}

// errFault ends an exchange of which the body met a fault of ours.
var errFault = errors.New("a fault of greenroom's")

// sendBody sends the body from in until it ends, cannot be read, or is not
// taken any more, which is no error: the service may have answered.
func (c *conn) sendBody(lane *forward.Lane) error {
	u := &c.up
	buf := answers.Get().(*[ansRoom]byte)
	defer answers.Put(buf)
	for u.pending() {
		if err := c.readBody(); err != nil {
			return err
		}
		out, err := c.takeBody(buf[:0])
		if err != nil {
			return err
		}
		if len(out) == 0 {
			continue
		}
		// The service may answer before the write returns here.
		u.whole.Store(!u.pending())
		if _, err := lane.Write(out); err != nil {
			return nil
		}
	}
	return nil
}

// readBody reads once from the client.
func (c *conn) readBody() error {
	u := &c.up
	for {
		if c.r == c.w {
			c.r, c.w = 0, 0
		}
		c.makeRoom()
		if err := c.allowBody(); err != nil {
			return err
		}
		n, err := c.nc.Read(c.in[c.w:])
		c.w += n
		switch {
		case n > 0 || err == nil:
			return nil
		case u.over.Load():
			return errBodyOver
		case timeout(err) && u.free.Load():
			continue // it may take its time by now
		case timeout(err):
			return fmt.Errorf("%w: %w", forward.ErrClientGone, os.ErrDeadlineExceeded)
		case err == io.EOF:
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("%w: reading the request: %w", forward.ErrClientGone, err)
	}
}

// allowBody sets how long the next piece of the body may take.
func (c *conn) allowBody() error {
	u := &c.up
	until := u.by
	if d := c.server.options.BodyStall; d > 0 && until.IsZero() && !u.free.Load() {
		until = time.Now().Add(d)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if u.over.Load() {
		return errBodyOver
	}
	if u.free.Load() {
		until = time.Time{}
	}
	c.readUntil = time.Time{} // whoever reads next sets his own
	return c.nc.SetReadDeadline(until)
}

// freely lets the body take its time.
func (u *upload) freely(c *conn) {
	if !u.running {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	u.free.Store(true)
	c.nc.SetReadDeadline(time.Time{})
}

// taken reports whether the lane has the whole body, for which it waits a moment.
func (u *upload) taken() bool {
	if !u.complete() {
		return false
	}
	if !u.running {
		return true
	}
	t := time.NewTimer(takenWithin)
	defer t.Stop()
	select {
	case <-u.done:
		return true
	case <-t.C:
		return false
	}
}

// takenWithin is how long a service that has answered may still take the rest
// of a body before its connection is given up.
const takenWithin = 50 * time.Millisecond

// endUpload ends the goroutine, and gives in back. The lane must be closed
// before, unless it has the whole body.
func (c *conn) endUpload() {
	u := &c.up
	if !u.running {
		return
	}
	if !u.complete() {
		c.mu.Lock()
		u.over.Store(true)
		c.nc.SetReadDeadline(past)
		c.mu.Unlock()
	}
	<-u.done
	c.unbound()
}

// skipBody reads a body that nobody wants to its end, if that is not far.
func (c *conn) skipBody() error {
	u := &c.up
	if d := c.server.options.UnreadBody; d > 0 && u.pending() {
		u.by = time.Now().Add(d)
		defer c.unbound()
	}
	if u.left >= maxSkipped { // as net/http has it
		return io.ErrShortBuffer
	}
	for u.pending() {
		if c.r == c.w {
			if err := c.readBody(); err != nil {
				return err
			}
		}
		if _, err := c.takeBody(nil); err != nil {
			return err
		}
		if u.received > maxSkipped {
			return io.ErrShortBuffer
		}
	}
	return nil
}
