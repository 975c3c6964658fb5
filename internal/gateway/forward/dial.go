package forward

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway/socket"
)

// dialError marks a failure to connect: nothing was sent, another instance may
// be tried.
type dialError struct{ error }

func (e dialError) Unwrap() error { return e.error }

// errSpare is returned by dialShared to a request whose connection somebody else
// established in the meantime. Asking the transport again finds it.
var errSpare = errors.New("a shared connection was established meanwhile")

// dialer connects to one instance and knows its open connections.
type dialer struct {
	net net.Dialer

	mu    sync.Mutex
	conns map[*conn]struct{}

	turn    chan struct{} // one dialShared at a time
	roundMu sync.Mutex
	round   int   // how many dialShared are done
	last    error // how the last one ended
}

func newDialer(timeout time.Duration) *dialer {
	return &dialer{
		net:   net.Dialer{Timeout: timeout, KeepAlive: 15 * time.Second},
		conns: make(map[*conn]struct{}),
		turn:  make(chan struct{}, 1),
	}
}

// dial opens a connection for one user. Errors are dialErrors.
func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	raw, err := d.net.DialContext(ctx, network, addr)
	if err != nil {
		return nil, dialError{err}
	}
	c := &conn{Conn: raw, dialer: d, closed: make(chan struct{})}
	d.mu.Lock()
	d.conns[c] = struct{}{}
	d.mu.Unlock()
	return c, nil
}

// dialShared opens a connection that many requests share. A burst of requests
// asks for as many connections as it has requests; they take turns, and all that
// waited for a turn get the outcome of the one before them: errSpare, or its
// error.
func (d *dialer) dialShared(ctx context.Context, network, addr string) (net.Conn, error) {
	before, _ := d.outcome()
	select {
	case d.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, dialError{ctx.Err()}
	}
	defer func() { <-d.turn }()
	if after, err := d.outcome(); after != before {
		if err == nil {
			err = errSpare
		}
		return nil, dialError{err}
	}
	c, err := d.dial(ctx, network, addr)
	if ctx.Err() == nil { // a request that gave up says nothing about the instance
		d.roundMu.Lock()
		d.round++
		d.last = err
		d.roundMu.Unlock()
	}
	return c, err
}

func (d *dialer) outcome() (round int, err error) {
	d.roundMu.Lock()
	defer d.roundMu.Unlock()
	return d.round, d.last
}

// closeAll closes what is open. It must be called only when no request is under
// way.
func (d *dialer) closeAll() {
	d.mu.Lock()
	open := d.conns
	d.conns = make(map[*conn]struct{})
	d.mu.Unlock()
	for c := range open {
		c.Close()
	}
}

// conn is a connection to an instance.
type conn struct {
	net.Conn
	dialer *dialer
	once   sync.Once
	closed chan struct{}
	sender atomic.Pointer[bodyReader] // of the last request that had a body
	wrote  atomic.Int64               // bytes
	look   atomic.Bool                // whether it is still open, before the next write
}

// verdict is how long a failed write waits for the reader to end the connection.
const verdict = time.Second

// Write returns an error only when the connection is closed: a service may answer
// and close without reading the body (a 413), and the transport must get to read
// that answer rather than give up on the failed write. Reading ends by itself on
// a connection whose writing failed; verdict is for when it does not.
func (c *conn) Write(b []byte) (int, error) {
	if c.look.Swap(false) && socket.Closed(c.Conn) {
		return 0, errStale
	}
	n, err := c.Conn.Write(b)
	c.wrote.Add(int64(n))
	if err != nil {
		t := time.NewTimer(verdict)
		defer t.Stop()
		select {
		case <-c.closed:
		case <-t.C:
		}
	}
	return n, err
}

// CloseWrite closes the sending half, so that upgraded connections can be closed
// by halves.
func (c *conn) CloseWrite() error {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		return tcp.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close also ends the reading of the body that is sent on c: an HTTP/1 transport
// that finds its connection broken waits for that.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		close(c.closed)
		if r := c.sender.Load(); r != nil {
			r.Close()
		}
		c.dialer.mu.Lock()
		delete(c.dialer.conns, c)
		c.dialer.mu.Unlock()
		err = c.Conn.Close()
	})
	return err
}
