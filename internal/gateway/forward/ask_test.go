//go:build unix

package forward_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
	"github.com/greenroom-dev/greenroom/internal/gateway/socket"
)

// lane returns a Lane, and the instance's end of it.
func lane(t *testing.T) (*forward.Lane, *net.TCPConn) {
	t.Helper()
	ends := make(chan *net.TCPConn, 1)
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	pool := newPool(t, forward.HTTP, startRaw(t, func(c *net.TCPConn, _ *bufio.Reader) {
		ends <- c
		<-done
	}))
	turn, _ := pool.Turn(nil)
	l, err := turn.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close()
		turn.Release()
	})
	_ = l.SetReadDeadline(time.Now().Add(patience))
	return l, receive(t, ends)
}

// TestAskLosesNothing: an answer that is there before anybody waits for it is
// seen, again and again.
func TestAskLosesNothing(t *testing.T) {
	l, end := lane(t)
	go func() {
		for b := make([]byte, 4); ; {
			if _, err := io.ReadFull(end, b); err != nil {
				return
			}
			_, _ = io.WriteString(end, "pong")
		}
	}()
	in := make([]byte, 100)
	for i := range 2000 {
		l.Used = i > 0
		if wrote, n, err := l.Ask([]byte("ping"), in); wrote != 4 || string(in[:n]) != "pong" || err != nil {
			t.Fatalf("%d: %d written, %q, %v", i, wrote, in[:n], err)
		}
	}
}

// TestAskLooksBefore it writes on a Lane that was used: who sent something
// unasked, or left, gets nothing more.
func TestAskLooksBefore(t *testing.T) {
	for name, spoil := range map[string]func(*net.TCPConn){
		"spoke": func(c *net.TCPConn) { _, _ = io.WriteString(c, "HTTP/1.1 403 Forbidden\r\n\r\n") },
		"left":  func(c *net.TCPConn) { _ = c.CloseWrite() },
	} {
		t.Run(name, func(t *testing.T) {
			l, end := lane(t)
			l.Used = true
			if l.Spoilt() {
				t.Fatal("spoilt before anything happened")
			}
			spoil(end)
			eventually(t, "the lane is spoilt", l.Spoilt)
			if wrote, n, err := l.Ask([]byte("ping"), make([]byte, 100)); err != socket.ErrSpoilt || wrote != 0 || n != 0 {
				t.Errorf("%d written, %d read, %v", wrote, n, err)
			}
			l.Close()
			if b, _ := io.ReadAll(end); len(b) > 0 {
				t.Errorf("the instance got %q", b)
			}
		})
	}
}

// TestAskEnds: with an answer that does not come, a deadline that is over
// before, an instance that leaves, and one that takes no more.
func TestAskEnds(t *testing.T) {
	in := make([]byte, 100)
	l, end := lane(t)
	_ = l.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if wrote, _, err := l.Ask([]byte("ping"), in); wrote > 4 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("no answer: %d written, %v", wrote, err)
	}
	_ = l.SetReadDeadline(time.Unix(1, 0))
	if wrote, n, err := l.Ask([]byte("more"), in); wrote != 0 || n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("too late: %d written, %d read, %v", wrote, n, err)
	}
	_ = l.SetReadDeadline(time.Now().Add(patience))
	go func() {
		io.CopyN(io.Discard, end, 8)
		end.CloseWrite()
	}()
	if wrote, n, err := l.Ask([]byte("pingping"), in); wrote != 8 || n != 0 || err != io.EOF {
		t.Errorf("left: %d written, %d read, %v", wrote, n, err)
	}
	l, _ = lane(t)
	much := []byte(strings.Repeat("x", 64<<20))
	if wrote, n, err := l.Ask(much, in); wrote <= 0 || wrote >= len(much) || n != 0 || err != nil {
		t.Errorf("full: %d written, %d read, %v", wrote, n, err)
	}
}
