package forward

import (
	"errors"
	"net/http"
	"net/http/httptrace"
)

// maxStale bounds how often a request that was not sent is tried again since its
// connection was closed while it was idle. Services close many at a time.
const maxStale = 64

// errStale is what writing to a connection fails with that the service had
// closed while it was idle.
var errStale = errors.New("the service had closed the idle connection")

// use is what one try made of a connection.
//
// Services close connections that are idle, and a request may be on its way
// just then. The transport repeats one that is safe to repeat, and gives up on a
// POST, also where it wrote nothing: on a busy machine its reader learns of the
// end long after the end came. So the connection is looked at before it is used
// again, and a request of which no byte was written goes to another one. What is
// left is the time between that look and the write.
type use struct {
	conn   *conn // nil: none, or one that was not idle before
	before int64 // bytes written to it before
}

// watch returns out such that u follows its connection. sender is what sends
// its body, or nil.
func (u *use) watch(out *http.Request, p Protocol, sender *bodyReader) *http.Request {
	if p == GRPC || sender == nil && repeated(out.Method) { // HTTP/2 says what was not processed
		return out
	}
	return out.WithContext(httptrace.WithClientTrace(out.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			u.conn = nil
			c, ok := info.Conn.(*conn)
			if !ok {
				return
			}
			if info.Reused {
				u.conn, u.before = c, c.wrote.Load()
				c.look.Store(true)
			}
			if sender != nil {
				c.sender.Store(sender)
			}
		},
	}))
}

// repeated reports whether the transport by itself repeats requests of a method
// that have no body.
func repeated(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// unsent reports whether nothing of the request was written to the connection
// that it got. It is for when the transport is done with it.
func (u *use) unsent() bool { return u.conn != nil && u.conn.wrote.Load() == u.before }
