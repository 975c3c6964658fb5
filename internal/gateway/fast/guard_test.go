package fast

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// guarded returns a guard whose connection brings these pieces, one by one as
// they are read, and then ends.
func guarded(t *testing.T, pieces ...string) *guard {
	t.Helper()
	client, server := net.Pipe()
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	go func() {
		for _, piece := range pieces {
			if _, err := io.WriteString(client, piece); err != nil {
				return
			}
		}
		client.Close()
	}()
	return &guard{Conn: server, maxHeader: 1 << 16}
}

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

// Whatever the pieces are in which malformed chunks come, net/http sees that
// they are malformed at once, rather than wait for what the beginning of a line
// has announced, or take something else for it.
func TestGuardReplacesMalformedChunks(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	for body, data := range map[string]string{
		"3;a\x01\r\nabc\r\n0\r\n\r\n":                      "",
		"3\rabc\r\n0\r\n\r\n":                              "",
		"3;a\rX\r\nabc\r\n":                                "",
		"X":                                                "",
		"3;\x00":                                           "",
		"3\r\nabc\r\n0\r\n\rX\r\n":                         "abc",
		"3\r\nabc\r\n0\r\nA: b\rX\r\n":                     "abc",
		"30x\r\n":                                          "",
		"3\r\nabcX\r\n0\r\n\r\n":                           "abc",
		"3\r\nabc\rX0\r\n\r\n":                             "abc",
		"3\r\nabc\r\n2;a\x01\r\n":                          "abc",
		"3\r\nabc\r\n0\r\nno field\n":                      "abc",
		"3\r\nabc\r\n0\r\nA: b\r\n c: d\r\nX\n\r\n":        "abc",
		"3\r\nabc\r\n0\r\nA: b\r\n c\r\n\r\n":              "abc", // obs-fold: RFC 9112, section 5.2
		"3\r\nabc\r\n0\r\nA : b\r\n\r\n":                   "abc", // section 5.1
		"3\r\nabc\r\n0\r\nA: b\x00c\r\n\r\n":               "abc", // RFC 9110, section 5.5
		"3\r\nabc\r\n0\r\nA@: b\r\n\r\n":                   "abc", // section 5.1
		"3\r\nabc\r\n0\r\nA: " + strings.Repeat("x", 5000): "abc",
	} {
		for _, step := range []int{1, 2, 3, len(body)} {
			var pieces []string
			for rest := body; rest != ""; {
				n := min(step, len(rest))
				pieces, rest = append(pieces, rest[:n]), rest[n:]
			}
			g := guarded(t, append([]string{head}, pieces...)...)
			r, err := http.ReadRequest(bufio.NewReader(g))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r.Body)
			if string(got) != data || err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%.40q, %d at a time: %q, %v", body, step, got, err)
			}
		}
	}
}

// Behind what is malformed nothing is read, however it comes, and the end of the
// connection is what ends it.
func TestGuardIsDeadBehindWhatIsMalformed(t *testing.T) {
	const good = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	for name, pieces := range map[string][]string{
		"in one piece": {good + "GET / HTTP/1.1\r\nA : b\r\n\r\n" + good},
		"in pieces":    {good, "GET / HTTP/1.1\r\nA : b\r\n\r\n", good, good},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := io.ReadAll(guarded(t, pieces...))
			if want := good + badHead; string(got) != want || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}
