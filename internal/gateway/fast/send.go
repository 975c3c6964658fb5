package fast

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"

	"golang.org/x/net/http/httpguts"

	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
	"github.com/greenroom-dev/greenroom/internal/gateway/http1"
	"github.com/greenroom-dev/greenroom/internal/gateway/socket"
)

// send sends the request and reads up to the answer's head, at as many
// instances as it takes. With a lane that is set, a turn is held.
func (c *conn) send(pool *forward.Pool) (err error) {
	replayable := !c.up.pending() && repeated(c.req.Method)
	composed := false
	var tried []forward.Turn
	for stale := 0; len(tried) < maxTries; {
		turn, ok := pool.Turn(tried)
		if !ok {
			break
		}
		c.x.turn = turn
		c.x.res.Instance, c.x.res.Retries = turn.ID(), len(tried)
		if err = c.connect(turn); err != nil {
			c.release()
			if errors.Is(err, forward.ErrTimeout) {
				return err
			}
			tried = append(tried, turn)
			continue
		}
		if !composed {
			if err := c.compose(turn.Addr()); err != nil {
				c.drop()
				return err
			}
			composed = true
		}
		lane := c.lane
		n, err := c.ask(replayable)
		if err == socket.ErrSpoilt {
			c.drop()
			if stale++; stale > maxStale {
				return io.ErrUnexpectedEOF
			}
			continue
		}
		if err == nil {
			err = c.readHeads()
		}
		if err == nil {
			return nil
		}
		again := lane.Used && c.x.w == headRoom && c.reason() == nil && !c.up.running && closedByPeer(err) && (replayable || n == 0)
		if stale++; !again || stale > maxStale {
			return err
		}
		c.drop()
	}
	if err == nil {
		err = forward.ErrNoInstance
	} else {
		err = fmt.Errorf("%w: %w", forward.ErrRefused, err)
	}
	return err
}

// ask writes what was composed to the lane, and may read the beginning of the
// answer. It returns how much was written. The error is socket.ErrSpoilt for a
// lane that must not be used.
func (c *conn) ask(replayable bool) (wrote int, err error) {
	x, lane := &c.x, c.lane
	if c.up.pending() {
		if lane.Used && lane.Spoilt() {
			return 0, socket.ErrSpoilt
		}
		if wrote, err = lane.Write(x.out); err == nil {
			c.startUpload(lane)
		}
	} else {
		var n int
		for {
			if err := c.arm(); err != nil {
				return 0, err
			}
			wrote, n, err = lane.Ask(x.out, x.buf[x.w:])
			if wrote > 0 || !timeout(err) {
				break
			}
			// The deadline was over, on a machine that had no time for us.
			if done, err := c.took(0, err); done {
				return 0, err
			}
		}
		switch {
		case err == socket.ErrSpoilt:
			return 0, err
		case wrote == len(x.out):
			_, err = c.took(n, err)
			return wrote, err
		case err == nil: // there was no room for more
			n, err = lane.Write(x.out[wrote:])
			wrote += n
		}
	}
	if err == nil {
		return wrote, nil
	}
	if lane.Used && (wrote == 0 || replayable) {
		return wrote, io.EOF
	}
	return wrote, nil // it may have answered nonetheless
}

// repeated reports whether a request of a method is sent again when it is not
// known whether the service has seen it.
func repeated(method string) bool {
	return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "TRACE"
}

func closedByPeer(err error) bool {
	return err == io.EOF || !timeout(err) && !errors.Is(err, http1.ErrMalformed) && isNet(err)
}

func isNet(err error) bool {
	_, ok := errors.AsType[*net.OpError](err)
	return ok
}

// connect takes a lane, an idle one if there is any.
func (c *conn) connect(turn forward.Turn) (err error) {
	lane := turn.Take(c.start)
	if lane == nil {
		ctx := context.Background()
		if !c.x.by.IsZero() {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, c.x.by)
			defer cancel()
		}
		if lane, err = turn.Dial(ctx); err != nil {
			if ctx.Err() != nil {
				err = forward.ErrTimeout
			}
			return err
		}
	}
	c.mu.Lock()
	c.lane = lane
	c.mu.Unlock()
	return nil
}

// compose writes the request's head to out, as the service gets it, and the
// part of its body that is there.
func (c *conn) compose(addr string) error {
	h := &c.req.Header
	trailers := httpguts.HeaderValuesContainsToken(h.Values("Te"), "trailers")
	pragma(h)
	h.StripHopByHop()
	h.Delete("Host")
	h.Delete("Content-Length")
	if trailers {
		h.Set("Te", "trailers")
	}
	c.flight.Rewrite(h)
	b := append(c.x.out, c.req.Method...)
	b = append(b, ' ')
	b = append(b, c.req.Target...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	if c.req.Host != "" {
		addr = c.req.Host
	}
	b = append(b, addr...)
	b = append(b, '\r', '\n')
	b = h.Append(b)
	switch {
	case c.req.Length == http1.Chunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case c.req.Length > 0 || c.req.Method == "POST" || c.req.Method == "PUT" || c.req.Method == "PATCH":
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, c.req.Length, 10)
		b = append(b, '\r', '\n')
	}
	b = append(b, '\r', '\n')
	b, err := c.takeBody(b)
	c.x.out = b
	return err
}

// pragma is what net/http does to a header: a word of HTTP/1.0's to caches is
// said in HTTP/1.1's way, too.
func pragma(h *http1.List) {
	if v := h.Values("Pragma"); len(v) > 0 && v[0] == "no-cache" && len(h.Values("Cache-Control")) == 0 {
		h.Set("Cache-Control", "no-cache")
	}
}
