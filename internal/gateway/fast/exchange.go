package fast

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/net/http/httpguts"

	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
	"github.com/greenroom-dev/greenroom/internal/gateway/http1"
)

// Bounds on one exchange.
const (
	maxTries        = 3   // instances that are tried
	maxStale        = 300 // connections that turned out to be closed
	maxAnswerHeader = 1 << 20
)

// exchange is what is known of the one that is under way.
type exchange struct {
	res     forward.Result
	by      time.Time // when the answer's head must be there; zero: any time
	waiting bool      // the answer's head is not there yet
	now     time.Time // a time not long ago
	buf     []byte    // buf[r:w] came from the instance and is not dealt with
	r, w    int
	out     []byte         // what is sent
	last    []byte         // what ends the answer
	outRoom *[outRoom]byte // beneath out, as a rule
	bufRoom *[ansRoom]byte // beneath buf, as a rule
	shared  bool           // others may interrupt
	begun   bool           // something was written to the client
	turn    forward.Turn   // held, unless it is the zero one
	stream  *stream        // the answer, once its view's end is waited for
	stop    func()         // ends the waiting for the view's end; nil: nobody waits
}

// exchange forwards the request. Its errors are those of a forward.Forwarder.
// What ends the answer stays in last, to be written when the call has ended.
func (c *conn) exchange() (forward.Result, error) {
	pool := c.flight.Pool()
	pool.Enter()
	defer pool.Leave()
	x := &c.x
	x.outRoom, x.bufRoom = outs.Get().(*[outRoom]byte), answers.Get().(*[ansRoom]byte)
	x.out, x.buf = x.outRoom[:0], x.bufRoom[:]
	x.r, x.w = headRoom, headRoom
	x.now, x.waiting = c.start, true
	if c.flight.Timeout > 0 {
		x.by = c.start.Add(c.flight.Timeout)
	}
	err := c.send(pool)
	if err == nil {
		err = c.answer()
	}
	if x.stop != nil {
		x.stop()
	}
	c.finish(err)
	if c.up.fault != nil {
		panic(c.up.fault)
	}
	x.res.Received = c.up.received
	if err != nil {
		x.last = nil
		err = c.explain(pool, err)
	}
	return x.res, err
}

// forget gives the buffers back, when last is written.
func (c *conn) forget() {
	if c.x.outRoom != nil {
		outs.Put(c.x.outRoom)
		answers.Put(c.x.bufRoom)
	}
	c.x = exchange{}
}

// finish ends whatever runs for the exchange, and what becomes of its lane.
func (c *conn) finish(err error) {
	lane, keep := c.lane, c.keeps(err)
	if lane != nil && !keep {
		lane.Close()
	}
	c.endUpload()
	c.endWatch()
	if lane == nil {
		return
	}
	c.mu.Lock()
	c.lane = nil
	c.mu.Unlock()
	if keep && c.reason() == nil {
		c.x.turn.Put(lane, c.x.now)
	} else {
		lane.Close()
	}
	c.release()
}

// release gives the turn back, if one is held.
func (c *conn) release() {
	if turn := c.x.turn; turn != (forward.Turn{}) {
		c.x.turn = forward.Turn{}
		turn.Release()
	}
}

// drop closes the lane, if there is one, and gives its turn back.
func (c *conn) drop() {
	c.mu.Lock()
	lane := c.lane
	c.lane = nil
	c.mu.Unlock()
	if lane != nil {
		lane.Close()
	}
	c.release()
}

// abandon ends what runs for an exchange that nobody will finish. The client's
// connection must be closed already: who reads from it ends with that.
func (c *conn) abandon() {
	if c.x.stop != nil {
		c.x.stop()
	}
	c.drop()
}

// keeps reports whether the lane can carry another exchange, as far as is known
// while something may still run for this one.
func (c *conn) keeps(err error) bool { return err == nil && !c.ans.Close && c.up.taken() }

// readHeads reads up to the head of the final answer, and passes informational
// ones on.
func (c *conn) readHeads() error {
	for {
		if err := c.readAnswerHead(); err != nil {
			return err
		}
		switch status := c.ans.Status; {
		case status == 101:
			return fmt.Errorf("%w: it switched protocols, unasked", http1.ErrMalformed)
		case status >= 200:
			c.x.waiting = false
			return nil
		case status == 100: // nobody asked
		default:
			c.ans.Header.StripHopByHop()
			c.ans.Header.Delete("Content-Length")
			c.flight.Inform(&c.ans.Header)
			b := appendStatus(c.x.out[:0], status)
			b = c.ans.Header.Append(b)
			c.x.out = append(b, '\r', '\n')
			if err := c.write(c.x.out); err != nil {
				return clientError{err}
			}
		}
	}
}

// clientError marks a failure to write to the client.
type clientError struct{ error }

func (e clientError) Unwrap() error { return e.error }

// errEnded is why an exchange ends whose view has ended.
var errEnded = errors.New("the stream had to end")

// readAnswerHead reads one head.
func (c *conn) readAnswerHead() error {
	x := &c.x
	for looked := 0; ; {
		if b := x.buf[x.r:x.w]; len(b) > looked {
			end, err := http1.HeadEnd(b, looked)
			if err != nil {
				if end = looseEnd(b); end > 0 {
					x.r += end
					return c.ans.ParseLoosely(string(b[:end]), c.req.Method)
				}
			} else if end > 0 {
				x.r += end
				// The head stays in place while it is used: it is written on before more is
				// read, and nobody keeps anything of it.
				if err := c.ans.Parse(unsafe.String(&b[0], end)); err == nil {
					return nil
				}
				return c.ans.ParseLoosely(string(b[:end]), c.req.Method)
			}
			if len(b) > maxAnswerHeader {
				return fmt.Errorf("%w: the answer's head exceeds %d bytes", http1.ErrMalformed, maxAnswerHeader)
			}
			if err == nil {
				looked = len(b)
			}
		}
		if x.w == len(x.buf) {
			if x.r > 0 {
				x.w = copy(x.buf, x.buf[x.r:x.w])
				x.r = 0
			} else {
				x.buf = append(slices.Clone(x.buf), make([]byte, len(x.buf))...)
			}
		}
		if err := c.readLane(); err != nil {
			return err
		}
	}
}

// looseEnd returns the offset behind a head whose lines may end with a bare LF,
// 0 for one of which more must come.
func looseEnd(b []byte) int {
	start := 0
	for i, ch := range b {
		if ch != '\n' {
			continue
		}
		if line := b[start:i]; len(line) == 0 || len(line) == 1 && line[0] == '\r' {
			return i + 1
		}
		start = i + 1
	}
	return 0
}

// explain makes an error one of forward's.
func (c *conn) explain(pool *forward.Pool, err error) error {
	name := pool.Service() + "@" + pool.Version()
	if c.x.res.Instance != "" {
		name += " (" + c.x.res.Instance + ")"
	}
	kind := error(forward.ErrBadAnswer)
	_, write := errors.AsType[clientError](err)
	gone := write || errors.Is(err, forward.ErrClientGone) || c.watch.err != nil
	switch {
	case !c.x.waiting && gone:
		return fmt.Errorf("%s: %w: %w: %w", name, forward.ErrBroken, forward.ErrClientGone, err)
	case !c.x.waiting:
		return fmt.Errorf("%s: %w: %w", name, forward.ErrBroken, err)
	case errors.Is(err, forward.ErrNoInstance), errors.Is(err, forward.ErrMalformed), errors.Is(err, forward.ErrRefused):
		return fmt.Errorf("%s: %w", name, err)
	case errors.Is(err, forward.ErrTimeout):
		return fmt.Errorf("%s: %w: no answer within %s", name, forward.ErrTimeout, c.flight.Timeout)
	case write: // of an informational answer: nothing can follow what was written of it
		return fmt.Errorf("%s: %w: %v", name, forward.ErrClientGone, err)
	case gone:
		kind = forward.ErrClientGone
	}
	return fmt.Errorf("%s: %w: %w", name, kind, err)
}

// write writes to the client.
func (c *conn) write(b []byte) error {
	if d := c.server.options.WriteStall; d > 0 {
		if c.x.begun || c.watch.claimed {
			c.x.now = time.Now()
		}
		c.x.begun = true
		if left := c.writeUntil.Sub(c.x.now); left <= d-d/8 || left > d {
			c.writeUntil = time.Now().Add(d)
			c.nc.SetWriteDeadline(c.writeUntil)
		}
	}
	_, err := c.nc.Write(b)
	return err
}

func appendStatus(b []byte, status int) []byte {
	if status == 200 {
		return append(b, "HTTP/1.1 200 OK\r\n"...)
	}
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	b = append(b, reason(status)...)
	return append(b, '\r', '\n')
}

// trailerAllowed reports whether a trailer of that name is passed on: not one
// that frames or routes a message (RFC 9110, section 6.5.1).
func trailerAllowed(name string) bool {
	return httpguts.ValidTrailerHeader(name) && !http1.IsHopByHop(name)
}

// refusedTrailers are the others.
func refusedTrailers(name string) bool { return !trailerAllowed(canonical(name)) }

// announced is the value of Trailer for the names that one announced.
func announced(value string) string {
	var names []string
	for name := range strings.SplitSeq(value, ",") {
		if name = canonical(strings.Trim(name, " \t")); name != "" && trailerAllowed(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
