package fast

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
	"github.com/greenroom-dev/greenroom/internal/gateway/http1"
	"github.com/greenroom-dev/greenroom/internal/gateway/socket"
)

// Sizes of buffers, in bytes.
const (
	inRoom  = 8 << 10  // of a client's connection: a head, and a small body
	outRoom = 16 << 10 // heads and small bodies that are sent
	ansRoom = 32 << 10 // answers

	headRoom = 1 << 10 // before an answer, by which the head that is sent may be longer
)

// conn is a client's connection. One goroutine owns it, but for what mu and the
// atomics guard, and for in, which whoever reads from the client has.
type conn struct {
	server  *Server
	site    Site
	nc      socket.Conn
	https   bool
	session Session

	in   []byte // in[r:w] came and is not dealt with; nil between requests
	r, w int
	room *[inRoom]byte // beneath in, as a rule; nil between requests
	take func() []byte // takeRoom
	give func()        // giveRoom

	req    http1.Request
	head   int // length of the request's head, which is in before r until it is dealt with
	ans    http1.Answer
	flight gateway.Flight
	target url.URL
	start  time.Time // when the request's head was there
	close  bool      // the connection ends with this exchange
	blank  bool      // an empty line was left out before this head
	busy   bool      // a request is counted

	readUntil, writeUntil time.Time // deadlines that are set; zero: none

	idle   atomic.Bool
	x      exchange
	mu     sync.Mutex // guards why, and setting the lane's deadline while others may
	broken bool       // the server is closed
	why    error      // why the exchange must end; nil: it need not
	lane   *forward.Lane
	watch  watch
	up     upload
}

func newConn(s *Server, site Site, c net.Conn) *conn {
	one := &conn{server: s, site: site}
	one.nc.Open(c)
	one.take, one.give = one.takeRoom, one.giveRoom
	return one
}

// handshake is false for a connection that is over or handed over.
func (c *conn) handshake(config *tls.Config) bool {
	raw := c.nc.Conn
	secure := tls.Server(c.server.options.Wrap(raw), config)
	if d := c.server.options.HeaderTimeout; d > 0 {
		raw.SetDeadline(time.Now().Add(d))
	}
	if err := secure.Handshake(); err != nil {
		raw.Close()
		return false
	}
	raw.SetDeadline(time.Time{})
	if secure.ConnectionState().NegotiatedProtocol == "h2" {
		c.server.options.Std.give(secure)
		return false
	}
	if !c.site.Fast() {
		c.server.options.Std.give(c.server.guarded(secure, nil, true, false))
		return false
	}
	c.mu.Lock()
	c.nc.Open(secure)
	c.https = true
	c.mu.Unlock()
	return true
}

// serve answers requests until the connection ends or is handed over.
func (c *conn) serve() {
	defer func() {
		if p := recover(); p != nil {
			c.server.gateway.Log().Error("a fault of greenroom's ended a connection", "panic", fmt.Sprint(p))
			c.nc.Close()
			c.abandon()
			if c.busy {
				c.flight.End()
			}
		}
	}()
	c.session = c.site.Session(c.nc.Conn, c.https)
	for c.more() {
	}
	if c.room != nil {
		c.giveRoom() // nobody reads into it any more
	}
}

// more serves one request. It is false when the connection is not ours any
// more.
func (c *conn) more() bool {
	switch head, next := c.readHead(); next {
	case ready:
		return c.request(head)
	case gone:
		c.nc.Close()
	default:
		c.handOver()
	}
	return false
}

// next is what a connection is ready for.
type next int

const (
	gone    next = iota // it has ended
	ready               // there is a head
	foreign             // it is for net/http
)

// readHead waits for a request.
func (c *conn) readHead() (string, next) {
	looked, bounded := 0, false
	for {
		if b := c.in[c.r:c.w]; len(b) > looked {
			end, err := http1.HeadEnd(b, looked)
			switch {
			case err != nil:
				return "", foreign
			case end == 2 && !c.blank:
				c.blank, looked = true, 0
				c.r += 2
				continue
			case end > c.server.options.MaxHeader, end == 0 && len(b) >= c.server.options.MaxHeader:
				return "", foreign
			case end > 0:
				c.r += end
				c.head = end
				c.start = time.Now()
				if !c.site.Fast() {
					c.r -= end
					return "", foreign
				}
				return string(b[:end]), ready
			}
			looked = len(b)
		}
		if err := c.readMore(looked == 0, &bounded); err != nil {
			return "", gone
		}
	}
}

// readMore reads from the client, between requests or within a head, which is
// bounded as a whole.
func (c *conn) readMore(idle bool, bounded *bool) error {
	if c.r == c.w {
		c.r, c.w = 0, 0
	}
	if idle {
		c.await(c.server.options.IdleTimeout, c.start)
		c.idle.Store(true)
		defer c.idle.Store(false)
		if c.server.draining.Load() {
			return net.ErrClosed
		}
		n, err := c.nc.ReadWith(c.take, c.give)
		c.w = n
		return none(n, err)
	}
	if !*bounded {
		*bounded = true
		c.await(c.server.options.HeaderTimeout, time.Time{})
	}
	c.makeRoom()
	n, err := c.nc.Read(c.in[c.w:])
	c.w += n
	return none(n, err)
}

// none is the error of a read that has brought nothing.
func none(n int, err error) error {
	if n > 0 {
		return nil
	}
	return err
}

// takeRoom has in be a buffer.
func (c *conn) takeRoom() []byte {
	if c.in == nil {
		c.room = ins.Get().(*[inRoom]byte)
		c.in = c.room[:]
	}
	return c.in
}

// giveRoom gives the buffer back, of which everything is dealt with.
func (c *conn) giveRoom() {
	ins.Put(c.room)
	c.in, c.room = nil, nil
}

// makeRoom makes in have room for more.
func (c *conn) makeRoom() {
	if c.w < len(c.in) {
		return
	}
	if c.r > 0 {
		c.w = copy(c.in, c.in[c.r:c.w])
		c.r = 0
		return
	}
	c.in = append(c.in, make([]byte, len(c.in))...)
}

// await bounds the next reads from the client. For one that is set often, now
// is a time not long ago, and the deadline that is set stays while it is within
// an eighth of what it should be.
func (c *conn) await(d time.Duration, now time.Time) {
	if d <= 0 {
		if !c.readUntil.IsZero() {
			c.unbound()
		}
		return
	}
	if now.IsZero() {
		now = time.Now()
	} else if left := c.readUntil.Sub(now); left > d-d/8 && left <= d {
		return
	}
	c.readUntil = now.Add(d)
	c.nc.SetReadDeadline(c.readUntil)
}

// unbound lets the next reads from the client take their time. Whoever sets
// another deadline than await must forget readUntil, or await would take that
// for set.
func (c *conn) unbound() {
	c.readUntil = time.Time{}
	c.nc.SetReadDeadline(c.readUntil)
}

// wakeIdle ends a connection between two requests, soon.
func (c *conn) wakeIdle() {
	if c.idle.Load() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.nc.SetReadDeadline(past)
	}
}

// breakOff ends a connection whatever it does.
func (c *conn) breakOff() {
	c.interrupt(forward.ErrClientGone)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = true
	c.nc.Close()
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// handOver makes the connection net/http's, with what came of the request.
func (c *conn) handOver() {
	c.unbound()
	c.nc.SetWriteDeadline(time.Time{})
	prefix := append([]byte(nil), c.in[c.r:c.w]...)
	nc := c.nc.Conn
	if !c.https {
		nc = c.server.options.Wrap(nc)
	}
	c.server.options.Std.give(c.server.guarded(nc, prefix, c.https, c.blank))
}

// request answers one request. It is false when the connection is not ours any
// more.
func (c *conn) request(head string) (more bool) {
	if err := c.req.Parse(head); err != nil || !c.known() {
		c.r -= c.head
		c.handOver()
		return false
	}
	c.blank = false
	q := c.session.Request()
	*q = gateway.Request{
		Method: c.req.Method, Host: c.req.Host, URL: c.target, Header: &c.req.Header, Fields: c.req.Fields, Major: 1,
		HasBody: c.req.Length != 0,
	}
	way, call, problem := c.session.Decide()
	if way == Forward {
		c.server.gateway.Find(&c.flight, call)
		if pool := c.flight.Pool(); pool != nil && pool.Protocol() != forward.HTTP {
			way = HandOver
		}
	}
	if way == HandOver || q.IsGRPC() {
		c.r -= c.head
		c.handOver()
		return false
	}
	c.close = c.req.Close || c.server.draining.Load()
	c.up = upload{left: c.req.Length, chunked: c.req.Length == http1.Chunked, chunks: c.up.chunks}
	c.up.chunks.Reset()
	c.mu.Lock()
	if c.why = nil; c.broken {
		c.why = forward.ErrClientGone
	}
	c.mu.Unlock()
	switch {
	case way == Refuse:
		answer := c.refuse(q, problem, call.ID)
		c.session.Refused(problem)
		c.writeOwn(answer)
	default:
		c.call(q)
	}
	if c.close {
		c.linger()
		return false
	}
	return true
}

// call has a request forwarded.
func (c *conn) call(q *gateway.Request) {
	if p := c.flight.Begin(q); p != nil {
		answer := c.refuse(q, p, c.flight.ID)
		c.flight.Refused()
		c.writeOwn(answer)
		return
	}
	c.busy = true
	res, err := c.exchange()
	if done := c.server.options.Done; done != nil {
		done(res, err)
	}
	p, broken := c.flight.Settle(res, err)
	if p != nil {
		// Trailers are malformed behind a body that is complete.
		c.close = c.close || !c.up.complete() || p.Code == gateway.CodeMalformed
		c.x.last = c.problem(q, p, c.flight.ID)
	}
	c.busy = false
	c.flight.End() // before its caller can know: who has an answer is not under way
	if broken {
		c.close = true
		c.nc.Close()
	} else if c.write(c.x.last) != nil {
		c.close = true
	}
	c.forget()
}

// known reports whether a request is one that this package serves, and reads
// its target.
func (c *conn) known() bool {
	r := &c.req
	if r.Minor != 1 || r.Upgrade || r.Expect || r.Trailer || r.Method == "CONNECT" || r.Target[0] != '/' ||
		strings.HasPrefix(r.Target, "//") || !plainHost(r.Host) {
		return false
	}
	if r.Length == http1.Chunked && lacksBody(r.Method) {
		return false
	}
	path, query, forced := strings.Cut(r.Target, "?")
	if plainPath(path) && !strings.Contains(query, "#") {
		c.target = url.URL{Path: path, RawQuery: query, ForceQuery: forced && query == ""}
		return true
	}
	u, err := url.ParseRequestURI(r.Target)
	if err != nil {
		return false
	}
	c.target = *u
	return true
}

// lacksBody reports whether net/http sends an empty body in chunks of such a
// method without chunks.
func lacksBody(method string) bool {
	switch method {
	case "GET", "HEAD", "DELETE", "OPTIONS", "PROPFIND", "SEARCH":
		return true
	}
	return false
}

// plainPath reports whether a path stands for itself.
func plainPath(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '/', c == '-', c == '_', c == '.', c == '~', c == ',', c == ':', c == '@', c == '=', c == '+', c == '&', c == '$':
		default:
			return false
		}
	}
	return true
}

// plainHost reports whether a Host is sent on as it is.
func plainHost(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '_', c == '.', c == ':', c == '[', c == ']':
		default:
			return false
		}
	}
	return true
}

func timeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// closeWrite closes the sending half of a connection.
func closeWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// lingering is how long a client gets to read the last answer before the
// connection is closed under what it still sends.
const lingering = 500 * time.Millisecond

// linger closes the connection such that what was written arrives: closing it
// while there is something unread resets it.
func (c *conn) linger() {
	defer c.nc.Close()
	if c.up.complete() && c.r == c.w && c.watch.err == nil {
		return
	}
	if closeWrite(c.nc.Conn) != nil {
		return
	}
	lingerOn(c.nc.Conn, c.in)
}

// lingerOn reads on without a use.
func lingerOn(c net.Conn, room []byte) {
	c.SetReadDeadline(time.Now().Add(lingering))
	for {
		if _, err := c.Read(room); err != nil {
			return
		}
	}
}
