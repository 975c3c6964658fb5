package system

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// stream is an open stream of server-sent events.
type stream struct {
	t     *testing.T
	lines chan string // closed with the stream
}

func (s *system) stream() *stream {
	s.t.Helper()
	resp, err := (&http.Client{}).Get("http://" + s.edge + "/events")
	if err != nil {
		s.t.Fatal(err)
	}
	st := &stream{t: s.t, lines: make(chan string, 1<<16)}
	s.t.Cleanup(func() { _ = resp.Body.Close() })
	go func() {
		defer close(st.lines)
		for scan := bufio.NewScanner(resp.Body); scan.Scan(); {
			if scan.Text() != "" {
				st.lines <- scan.Text()
			}
		}
	}()
	return st
}

// goesOn asserts that the stream has further events of a version.
func (st *stream) goesOn(want string) {
	st.t.Helper()
	for range len(st.lines) + 3 {
		if line, open := <-st.lines; line != "data: "+want {
			st.t.Fatalf("the stream has %q, want %q (open: %v)", line, want, open)
		}
	}
}

// rest returns what the stream still has until it ends.
func (st *stream) rest() []string {
	var all []string
	for line := range st.lines {
		all = append(all, line)
	}
	return all
}

func (s *system) socket() *websocket.Conn {
	s.t.Helper()
	c, _, err := websocket.Dial(s.t.Context(), "ws://"+s.edge+"/ws", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

func echoes(t *testing.T, c *websocket.Conn, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, got, err := c.Read(ctx); err != nil || string(got) != want+" hello" {
		t.Fatalf("the socket answers %q, %v; want %s", got, err, want)
	}
}

// TestStreamsStayOnTheirView promotes over open streams. They go on with the
// version that they began with, through the promotion, through a rollback and
// the next promotion; when that is settled and the drain time is over, they are
// told.
func TestStreamsStayOnTheirView(t *testing.T) {
	t.Parallel()
	s := newSystem(t, one).start()
	s.open("r1", "  services: [{name: web, run: {env: {VERSION: v2}}}]\n")
	events, socket := s.stream(), s.socket()
	events.goesOn("web=v1")
	echoes(t, socket, "web=v1")

	s.must("promote", "--yes")
	later := s.socket()
	echoes(t, later, "web=v2")
	for range 3 {
		events.goesOn("web=v1")
		echoes(t, socket, "web=v1")
	}
	s.must("rollback", "--yes")
	echoes(t, later, "web=v2")
	echoes(t, socket, "web=v1")
	s.must("promote", "--yes")
	echoes(t, socket, "web=v1")

	s.must("release", "settle", "--yes", "--no-wait")
	echoes(t, socket, "web=v1") // until the drain time is over
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, _, err := socket.Read(ctx)
	if code := websocket.CloseStatus(err); code != websocket.StatusServiceRestart {
		t.Errorf("the socket ended with code %d: %v", code, err)
	}
	rest := events.rest()
	if len(rest) == 0 || !strings.Contains(fmt.Sprint(rest[max(0, len(rest)-3):]), "greenroom") {
		t.Errorf("the stream was not told of its end: %q", rest[max(0, len(rest)-5):])
	}
	for _, line := range rest {
		if strings.Contains(line, "v2") {
			t.Errorf("the stream changed its version: %q", line)
		}
	}
	t.Logf("the stream's last lines: %q", rest[max(0, len(rest)-3):])
	echoes(t, later, "web=v2")
	s.awaitPhase("r1", "Settled")
}
