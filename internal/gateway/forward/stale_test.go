package forward_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
	"github.com/greenroom-dev/greenroom/internal/gateway/socket"
)

// lateConn is a connection of a busy machine: its reader learns of the end only
// when somebody else has ended it.
type lateConn struct {
	*net.TCPConn
	once   sync.Once
	closed chan struct{}
}

func (c *lateConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	if err != nil {
		<-c.closed
	}
	return n, err
}

func (c *lateConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.TCPConn.Close()
}

// TestServiceClosesIdleConnection: a POST that meets the end of an idle
// connection goes to another one, once.
func TestServiceClosesIdleConnection(t *testing.T) {
	var requests atomic.Int64
	idle := make(chan *net.TCPConn, 2)
	instance := startRaw(t, func(c *net.TCPConn, r *bufio.Reader) {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		io.Copy(io.Discard, req.Body)
		requests.Add(1)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		idle <- c
		io.Copy(io.Discard, r)
	})
	pool := newPool(t, forward.HTTP, instance)
	dialed := make(chan net.Conn, 2)
	forward.Dial(pool, func(c net.Conn) net.Conn {
		late := &lateConn{TCPConn: c.(*net.TCPConn), closed: make(chan struct{})}
		dialed <- late
		return late
	})
	g := startGateway(t, pool, nil)
	for _, method := range []string{"POST", "DELETE"} {
		for range 2 {
			r, err := http.NewRequest(method, "http://"+g.addr, strings.NewReader("abc"))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s", method, resp.Status)
			}
			receive(t, idle).CloseWrite()
			if overFast() {
				continue // it looks at a connection itself
			}
			c := receive(t, dialed)
			eventually(t, "the connection ended", func() bool { return socket.Closed(c) })
		}
	}
	if n := requests.Load(); n != 4 {
		t.Errorf("4 requests became %d", n)
	}
}
