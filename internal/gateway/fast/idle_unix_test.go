//go:build unix

package fast

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// Between two requests a connection waits without a buffer, and what comes is
// seen, whether it comes before that or later.
func TestIdleConnectionHoldsNoBuffer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c := newConn(nil, nil, server)
	_ = server.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if n, err := c.nc.ReadWith(c.take, c.give); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || c.in != nil || c.room != nil {
		t.Fatalf("%d, %v, with %d bytes of room", n, err, len(c.in))
	}
	_ = server.SetReadDeadline(time.Now().Add(10 * time.Second))
	for range 2000 {
		go io.WriteString(client, "ping")
		for got := 0; got < 4; {
			n, err := c.nc.ReadWith(c.take, c.give)
			if got += n; err != nil || n == 0 || len(c.in) != inRoom || "ping"[got-n:got] != string(c.in[:n]) {
				t.Fatalf("%d, %v, %q", n, err, c.in[:n])
			}
		}
	}
	client.Close()
	if n, err := c.nc.ReadWith(c.take, c.give); n != 0 || err != io.EOF || c.in != nil {
		t.Fatalf("%d, %v, with %d bytes of room", n, err, len(c.in))
	}
}
