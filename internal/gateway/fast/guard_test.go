package fast

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// net/http gives up a read that waits for a next request when it has answered
// one, and reads again. What had come of a head by then is not looked at yet.
func TestGuardKeepsWhatIsNotWhole(t *testing.T) {
	const begun, rest = "GET / HTTP/1.1\r\nHost: a\r\nX: ", "b\r\n\r\n"
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	g := &guard{Conn: server, maxHeader: 1 << 16}
	go func() {
		_, _ = client.Write([]byte(begun)) // returns when the guard has it
		_ = server.SetReadDeadline(time.Unix(1, 0))
	}()
	b := make([]byte, 1024)
	if n, err := g.Read(b); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%q, %v", b[:n], err)
	}
	_ = server.SetReadDeadline(time.Time{})
	go func() { _, _ = client.Write([]byte(rest)) }()
	n, err := g.Read(b)
	if err != nil || string(b[:n]) != begun+rest {
		t.Fatalf("%q, %v", b[:n], err)
	}
}
