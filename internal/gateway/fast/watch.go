package fast

import (
	"errors"
	"fmt"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
)

// watchAfter is how long an exchange runs before anybody looks whether its
// client is still there. Most are over by then, and pay nothing for it.
const watchAfter = 100 * time.Millisecond

// watch is a look at the client's connection while its answer is waited for.
type watch struct {
	done    chan struct{} // closed when nobody reads any more; nil: nobody did
	err     error         // of reading, once done; not for being told to end
	over    bool          // told to end; guarded by conn.mu
	claimed bool          // begun in this exchange
}

// readLane reads once from the instance, unless the exchange must end.
func (c *conn) readLane() error {
	x := &c.x
	for {
		if err := c.arm(); err != nil {
			return err
		}
		n, err := c.lane.Read(x.buf[x.w:])
		if done, err := c.took(n, err); done {
			return err
		}
	}
}

// took sees to what a read from the instance has brought. It is false when that
// was nothing, and must be tried again.
func (c *conn) took(n int, err error) (done bool, _ error) {
	x := &c.x
	x.w += n
	if n > 0 {
		return true, nil
	}
	if why := c.reason(); why != nil {
		return true, why
	}
	if !timeout(err) {
		return true, err
	}
	c.lane.Wake = past // whoever set it
	x.now = time.Now()
	if x.waiting && !x.by.IsZero() && !x.now.Before(x.by) {
		return true, forward.ErrTimeout
	}
	if !c.watch.claimed && x.now.Sub(c.start) >= watchAfter/2 {
		c.startWatch()
	}
	return false, nil
}

// arm sets when the next read from the instance wakes up at the latest. The
// deadline of a lane stays while it is early enough: a busy one is set ten
// times a second, not with each request.
func (c *conn) arm() error {
	x := &c.x
	var want time.Time
	if !c.watch.claimed {
		want = x.now.Add(watchAfter)
	}
	if x.waiting && !x.by.IsZero() && (want.IsZero() || x.by.Before(want)) {
		want = x.by
	}
	if x.shared {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.why != nil {
			return c.why
		}
		if x.stream != nil && x.stream.mayEnd() {
			return errEnded
		}
	}
	if wake := c.lane.Wake; wake.IsZero() {
		if want.IsZero() {
			return nil
		}
	} else if wake.After(x.now) && (want.IsZero() || !wake.After(want)) {
		return nil
	}
	c.lane.Wake = want
	return c.lane.SetReadDeadline(want)
}

// interrupt makes the exchange end for a reason, the first that is given.
func (c *conn) interrupt(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why == nil {
		c.why = why
	}
	if c.lane != nil {
		c.lane.SetReadDeadline(past)
	}
}

// nudge makes the reader of a stream look whether it must end.
func (c *conn) nudge() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lane != nil {
		c.lane.SetReadDeadline(past)
	}
}

// reason returns why the exchange must end, nil if it need not.
func (c *conn) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why
}

// startWatch reads from the client until it sends more, which is its next
// request, or goes.
func (c *conn) startWatch() {
	if !c.up.complete() {
		return // its body is read, and that sees it go
	}
	if c.up.running {
		select {
		case <-c.up.done:
		default:
			return // the service takes the rest of it
		}
	}
	c.watch.claimed = true
	if c.r == c.w {
		c.r, c.w = 0, 0
	}
	c.makeRoom()
	c.x.shared = true
	done := make(chan struct{})
	c.watch.done, c.watch.over = done, false
	c.unbound()
	go func() {
		defer close(done)
		n, err := c.nc.Read(c.in[c.w:])
		c.w += n
		if n > 0 || err == nil {
			return
		}
		c.mu.Lock()
		over := c.watch.over
		c.mu.Unlock()
		if over && timeout(err) {
			return
		}
		c.watch.err = err
		c.interrupt(fmt.Errorf("%w: %w", forward.ErrClientGone, err))
	}()
}

// endWatch ends the watch, and gives in back.
func (c *conn) endWatch() {
	if c.watch.done == nil {
		c.watch = watch{}
		return
	}
	c.mu.Lock()
	c.watch.over = true
	c.mu.Unlock()
	c.nc.SetReadDeadline(past)
	<-c.watch.done
	c.unbound()
	c.watch = watch{err: c.watch.err}
	if c.watch.err != nil {
		c.close = true
	}
}

var errBodyOver = errors.New("the exchange is over")
