package fast

import (
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/field"
	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
	"github.com/greenroom-dev/greenroom/internal/gateway/http1"
)

var (
	ins     = sync.Pool{New: func() any { return new([inRoom]byte) }}
	outs    = sync.Pool{New: func() any { return new([outRoom]byte) }}
	answers = sync.Pool{New: func() any { return new([ansRoom]byte) }}
)

func canonical(name string) string { return textproto.CanonicalMIMEHeaderKey(name) }

// reason is the phrase that net/http sends for a status.
func reason(status int) string {
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "status code " + strconv.Itoa(status)
}

// dateLine is the Date field of a second.
type dateLine struct {
	second int64
	line   []byte
}

// lastDate is the one that was needed last. Writing one takes longer than
// anything else that is done to an answer's head.
var lastDate atomic.Pointer[dateLine]

// appendDate appends a Date field.
func appendDate(b []byte, now time.Time) []byte {
	d := lastDate.Load()
	if second := now.Unix(); d == nil || d.second != second {
		d = &dateLine{second, now.UTC().AppendFormat([]byte("Date: "), http.TimeFormat+"\r\n")}
		lastDate.Store(d)
	}
	return append(b, d.line...)
}

// answer writes the final answer, whose head is there, to the client.
func (c *conn) answer() error {
	c.x.res.Status = c.ans.Status
	if !c.up.complete() {
		c.close = true // an answer that begins early is the last one
	}
	c.up.freely(c)
	a := &c.ans
	bodyless := c.req.Method == "HEAD" || a.Status == 204 || a.Status == 304
	c.appendHead(bodyless)
	switch {
	case bodyless:
		if c.x.r < c.x.w {
			a.Close = true // nobody asked for what came
		}
		return c.end(c.x.out, 0)
	case a.Length == http1.Chunked:
		return c.copyChunks()
	case a.Length == http1.UntilClose:
		return c.copyUntilClose()
	}
	return c.copyLength(a.Length)
}

// appendHead writes the answer's head to out.
func (c *conn) appendHead(bodyless bool) {
	a := &c.ans
	h := &a.Header
	c.close = c.close || c.server.draining.Load()
	pragma(h)
	h.StripHopByHop()
	switch a.Status { // as net/http has it
	case 304:
		h.Delete("Content-Type")
		fallthrough
	case 204:
		h.Delete("Content-Length")
	}
	trailer := ""
	if c.announces() {
		trailer = announced(a.Trailer)
	}
	c.flight.Answered(h)
	b := appendStatus(c.x.out[:0], a.Status)
	b = h.Append(b)
	if a.Length >= 0 && a.Status != 204 && a.Status != 304 && len(h.Values("Content-Length")) == 0 {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, a.Length, 10)
		b = append(b, '\r', '\n')
	}
	if len(h.Values("Date")) == 0 {
		b = appendDate(b, c.start)
	}
	if trailer != "" {
		b = append(b, "Trailer: "...)
		b = append(b, trailer...)
		b = append(b, '\r', '\n')
	}
	if a.Length < 0 && !bodyless {
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	if c.close {
		b = append(b, "Connection: close\r\n"...)
	}
	c.x.out = append(b, '\r', '\n')
}

// announces reports whether the trailers that the answer announces are announced
// to the client: not where it has no body, as net/http has it, which does not look
// that closely at answers to HEAD.
func (c *conn) announces() bool {
	a := &c.ans
	return a.Length == http1.Chunked && len(a.Header.Values("Content-Length")) == 0 &&
		(c.req.Method == "HEAD" || a.Status != 204 && a.Status != 304)
}

// end keeps b, which is the last of the answer, for when the call has ended.
func (c *conn) end(b []byte, body int) error {
	c.x.last = b
	c.x.res.Sent += int64(body)
	return nil
}

// toClient writes b, of which body bytes are of the answer's body.
func (c *conn) toClient(b []byte, body int) error {
	if err := c.write(b); err != nil {
		return clientError{err}
	}
	c.x.res.Sent += int64(body)
	return nil
}

// inPlace is the length, in bytes, from which a body is not copied behind the
// head that is sent, but the head before the body.
const inPlace = 1 << 10

// headed returns the head that is sent and the n bytes of the body that are
// there behind it, in one piece.
func (x *exchange) headed(n int) []byte {
	from, end := x.r-len(x.out), x.r+n
	x.r = end
	if n < inPlace || from < 0 {
		return append(x.out, x.buf[end-n:end]...)
	}
	copy(x.buf[from:], x.out) // over the head that came
	return x.buf[from:end]
}

// copyLength copies a body of which the length is known.
func (c *conn) copyLength(left int64) error {
	x := &c.x
	have := int(min(int64(x.w-x.r), left))
	if left -= int64(have); left == 0 && x.r+have < x.w {
		c.ans.Close = true // there is more than was said
	}
	b := x.headed(have)
	if left == 0 {
		return c.end(b, have)
	}
	if err := c.toClient(b, have); err != nil {
		return err
	}
	for {
		x.r, x.w = 0, 0
		if err := c.readLane(); err != nil {
			return unexpected(err)
		}
		n := int(min(int64(x.w), left))
		if left -= int64(n); n < x.w {
			c.ans.Close = true
		}
		if left == 0 {
			return c.end(x.buf[:n], n)
		}
		if err := c.toClient(x.buf[:n], n); err != nil {
			return err
		}
	}
}

// unexpected makes an end one that came too early.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// copyChunks copies a body in chunks, each as it comes.
func (c *conn) copyChunks() error {
	chunks := http1.Chunks{Loose: true}
	x := &c.x
	s := c.stream()
	for {
		sent := 0
		for b := x.buf[x.r:x.w]; len(b) > 0 && !chunks.Over(); b = x.buf[x.r:x.w] {
			piece, n, err := chunks.Next(b)
			if err != nil {
				return err
			}
			x.r += n
			if bye := s.take(&x.out, piece); bye {
				return c.sayBye(s, len(piece))
			}
			sent += len(piece)
		}
		if chunks.Over() {
			return c.endChunks(&chunks, sent)
		}
		if len(x.out) > 0 {
			if err := c.toClient(x.out, sent); err != nil {
				return err
			}
			x.out = x.out[:0]
		}
		x.r, x.w = 0, 0
		if err := c.readStream(s); err != nil {
			if err == errEnded && s.mayEnd() {
				return c.sayBye(s, 0)
			}
			return unexpected(err)
		}
	}
}

// endChunks ends the body that is sent, with the service's trailers.
func (c *conn) endChunks(chunks *http1.Chunks, sent int) error {
	x := &c.x
	if x.r < x.w {
		c.ans.Close = true
	}
	h := &c.req.Header // of no use any more
	if err := chunks.Trailers(h); err != nil {
		return err
	}
	h.DeleteAll(field.Func(refusedTrailers))
	c.flight.Trailers(h)
	x.out = append(x.out, '0', '\r', '\n')
	x.out = h.Append(x.out)
	x.out = append(x.out, '\r', '\n')
	return c.end(x.out, sent)
}

// copyUntilClose copies a body that ends with its connection.
func (c *conn) copyUntilClose() error {
	x := &c.x
	c.ans.Close = true
	s := c.stream()
	for {
		piece := x.buf[x.r:x.w]
		if bye := s.take(&x.out, piece); bye {
			return c.sayBye(s, len(piece))
		}
		if len(x.out) > 0 {
			if err := c.toClient(x.out, len(piece)); err != nil {
				return err
			}
			x.out = x.out[:0]
		}
		x.r, x.w = 0, 0
		err := c.readStream(s)
		if err == io.EOF {
			return c.end(append(x.out, "0\r\n\r\n"...), 0)
		}
		if err == errEnded && s.mayEnd() {
			return c.sayBye(s, 0)
		}
		if err != nil {
			return err
		}
	}
}

// stream is an answer of unknown length, which must end with its view.
type stream struct {
	over   <-chan struct{}
	polite bool // it is an event stream, which can be told
	events forward.Events
}

func (c *conn) stream() *stream {
	s := &stream{over: c.flight.Over()}
	h := &c.ans.Header
	s.polite = forward.IsEventStream(field.First(h, "Content-Type"), field.First(h, "Content-Encoding"))
	return s
}

// take adds a piece of the body to out, as a chunk. Bye says that the stream is
// to end, of which as much was added as belongs to whole events.
func (s *stream) take(out *[]byte, piece []byte) (bye bool) {
	if s.polite && len(piece) > 0 {
		between := !s.events.Inside()
		end := s.events.Follow(piece)
		if s.isOver() && (between || end >= 0) {
			*out = http1.AppendChunk(*out, piece[:max(end, 0)])
			return true
		}
	}
	*out = http1.AppendChunk(*out, piece)
	return false
}

func (s *stream) isOver() bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}

// mayEnd reports whether an event stream is to end, and stands between two
// events.
func (s *stream) mayEnd() bool { return s.polite && s.isOver() && !s.events.Inside() }

// sayBye ends an event stream between two events.
func (c *conn) sayBye(_ *stream, body int) error {
	c.x.res.Ended, c.ans.Close = true, true
	c.x.out = http1.AppendChunk(c.x.out, []byte(forward.LastEvent))
	c.x.out = append(c.x.out, "0\r\n\r\n"...)
	return c.end(c.x.out, body+len(forward.LastEvent))
}

// readStream reads more of a stream, until it must end.
func (c *conn) readStream(s *stream) error {
	if c.x.stop == nil {
		c.x.stream = s
		c.x.stop = c.onEnd(s)
	}
	err := c.readLane()
	if err == errEnded {
		c.x.res.Ended = true
	}
	return err
}

// closeGrace is how long an event stream that must end gets to come to the end
// of an event.
const closeGrace = 2 * time.Second

// onEnd interrupts the exchange when its view ends, until stop is called.
func (c *conn) onEnd(s *stream) (stop func()) {
	c.x.shared = true
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		select {
		case <-s.over:
		case <-done:
			return
		}
		if s.polite {
			// What is inside an event by now, only the reader knows; it looks at the
			// view after each piece.
			c.nudge()
			t := time.NewTimer(closeGrace)
			defer t.Stop()
			select {
			case <-t.C:
			case <-done:
				return
			}
		}
		c.interrupt(errEnded)
	}()
	return func() {
		close(done)
		<-gone
	}
}

// refuse composes the answer to a request that goes nowhere. Its body is read
// before, as far as that is little, so that the connection can go on.
func (c *conn) refuse(q *gateway.Request, p *gateway.Problem, id string) []byte {
	if err := c.skipBody(); err != nil {
		c.close = true
	}
	return c.problem(q, p, id)
}

// writeOwn writes an answer without an exchange.
func (c *conn) writeOwn(b []byte) {
	c.x.now = time.Now()
	if c.write(b) != nil {
		c.close = true
	}
	c.forget()
}

// problem composes an answer of greenroom's own.
func (c *conn) problem(q *gateway.Request, p *gateway.Problem, id string) []byte {
	h := &c.ans.Header
	h.Reset()
	status, text := c.server.gateway.Compose(h, q, *p, id)
	b := appendStatus(nil, status)
	b = h.Append(b)
	b = appendDate(b, time.Now())
	c.close = c.close || c.server.draining.Load()
	if c.close {
		b = append(b, "Connection: close\r\n"...)
	}
	b = append(b, '\r', '\n')
	if q.Method != http.MethodHead {
		b = append(b, text...)
	}
	return b
}
