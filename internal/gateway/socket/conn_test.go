//go:build unix

package socket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// patience is how long tests wait for what must happen.
const patience = 2 * time.Minute

// pair returns the two ends of a TCP connection.
func pair(t *testing.T) (*Conn, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	one, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	other, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		one.Close()
		other.Close()
	})
	deadline := time.Now().Add(patience)
	_ = one.SetDeadline(deadline)
	_ = other.SetDeadline(deadline)
	c := new(Conn)
	c.Open(one)
	return c, other.(*net.TCPConn)
}

// What is more than the kernel takes at once is written whole, and read.
func TestMuchGoesThrough(t *testing.T) {
	c, other := pair(t)
	much := bytes.Repeat([]byte("0123456789"), 1<<20)
	echoed := make(chan error, 1)
	go func() {
		_, err := io.Copy(other, io.LimitReader(other, int64(len(much))))
		echoed <- errors.Join(err, other.CloseWrite())
	}()
	wrote := make(chan error, 1)
	go func() {
		n, err := c.Write(much)
		if err == nil && n != len(much) {
			err = io.ErrShortWrite
		}
		wrote <- err
	}()
	got, err := io.ReadAll(c)
	if err := errors.Join(err, <-wrote, <-echoed); err != nil || !bytes.Equal(got, much) {
		t.Fatalf("%d bytes of %d, %v", len(got), len(much), err)
	}
}

// An error is one of net's: who waits for too long, who is closed meanwhile,
// and who writes to somebody that has left.
func TestErrors(t *testing.T) {
	c, other := pair(t)
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("nothing came: %d, %v", n, err)
	}
	_ = c.SetWriteDeadline(time.Unix(1, 0))
	if n, err := c.Write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("too late: %d, %v", n, err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	other.Close()
	var err error
	for deadline := time.Now().Add(patience); err == nil && time.Now().Before(deadline); {
		_, err = c.Write([]byte("x"))
	}
	if op, ok := errors.AsType[*net.OpError](err); !ok || !errors.Is(op, syscall.EPIPE) && !errors.Is(op, syscall.ECONNRESET) {
		t.Errorf("the other side left: %v", err)
	}
	c, _ = pair(t)
	closed := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 1))
		closed <- err
	}()
	c.Close()
	if err := <-closed; !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// The race detector's way to the kernel is another one than everybody's.
func TestBothWaysToTheKernel(t *testing.T) {
	for name, way := range map[string]func(op, uintptr, []byte) (int, error){"told": told, "untold": untold} {
		t.Run(name, func(t *testing.T) {
			c, other := pair(t)
			b := make([]byte, 4)
			once := func(o op, b []byte) (n int, err error) {
				if cerr := c.raw.Control(func(fd uintptr) { n, err = way(o, fd, b) }); cerr != nil {
					t.Fatal(cerr)
				}
				return max(n, 0), err
			}
			if n, err := once(read, b); n != 0 || err != syscall.EAGAIN {
				t.Errorf("nothing is there: %d, %v", n, err)
			}
			if n, err := once(write, []byte("ping")); n != 4 || err != nil {
				t.Errorf("written: %d, %v", n, err)
			}
			if _, err := io.ReadFull(other, b); err != nil || string(b) != "ping" {
				t.Errorf("%q, %v", b, err)
			}
			other.CloseWrite()
			if _, err := c.Read(b); err != io.EOF {
				t.Errorf("waited for the end: %v", err)
			}
			if n, err := once(read, b); n != 0 || err != nil {
				t.Errorf("the end: %d, %v", n, err)
			}
		})
	}
}

// A connection that is none of the kernel's is read and written as it is.
func TestOtherConnections(t *testing.T) {
	one, other := net.Pipe()
	defer one.Close()
	defer other.Close()
	var c Conn
	c.Open(one)
	go func() {
		b := make([]byte, 4)
		for range 2 {
			_, _ = io.ReadFull(other, b)
			_, _ = other.Write(b)
		}
		other.Close()
	}()
	b := make([]byte, 100)
	if wrote, n, _, err := c.Ask([]byte("ping"), b, true); wrote != 4 || string(b[:n]) != "ping" || err != nil {
		t.Errorf("asked: %d written, %q, %v", wrote, b[:n], err)
	}
	if _, err := c.Write([]byte("pong")); err != nil {
		t.Error(err)
	}
	n, err := c.ReadWith(func() []byte { return b }, func() {})
	if string(b[:n]) != "pong" || err != nil {
		t.Errorf("%q, %v", b[:n], err)
	}
	if _, err := c.Read(b); err != io.EOF {
		t.Error(err)
	}
}
