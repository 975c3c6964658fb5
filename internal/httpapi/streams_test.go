package httpapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/client"
)

// hurried sets a pace at which tests need not wait.
func hurried(s *Server) {
	s.pace = pace{refresh: 5 * time.Millisecond, first: 5 * time.Millisecond, keepalive: 5 * time.Millisecond, stall: 50 * time.Millisecond}
}

// impatient gives requests little time to come, though enough for those that
// nobody holds back.
func impatient(s *Server) { s.tcp.ReadTimeout = little }

const little = 2 * time.Second

// patience is how long a test waits for what should come at once.
const patience = 2 * time.Minute

type streamed struct {
	t     *testing.T
	lines *bufio.Scanner
	close func() error
}

func (s *trial) stream(t *testing.T, path, secret string, header ...string) *streamed {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("Content-Type is %s", got)
	}
	return &streamed{t: t, lines: bufio.NewScanner(resp.Body), close: resp.Body.Close}
}

// next returns the next line that begins so.
func (s *streamed) next(begins string) string {
	s.t.Helper()
	for s.lines.Scan() {
		if strings.HasPrefix(s.lines.Text(), begins) {
			return s.lines.Text()
		}
	}
	s.t.Fatalf("the stream ended before a line that begins with %q: %v", begins, s.lines.Err())
	return ""
}

func TestEventsResume(t *testing.T) {
	for _, c := range []struct {
		query  string
		header []string
		want   []string
	}{
		{"", nil, []string{"id: 1", "id: 2", "id: 3", "id: 4", "id: 5"}},
		{"?after=3", nil, []string{"id: 4", "id: 5"}},
		{"?last=2", nil, []string{"id: 4", "id: 5"}},
		{"?release=r1", nil, []string{"id: 2", "id: 4"}},
		{"?last=5", []string{"Last-Event-ID", "4"}, []string{"id: 5"}},
		{"?after=1", []string{"Last-Event-ID", "4"}, []string{"id: 5"}},
	} {
		t.Run(c.query, func(t *testing.T) {
			s := serve(t, hurried)
			for i := range 5 {
				s.happens(client.Event{Type: "T", Release: fmt.Sprint("r", i%2)})
			}
			stream := s.stream(t, "/v1/events/stream"+c.query, "s-viewer", c.header...)
			for _, want := range c.want {
				if got := stream.next("id: "); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
			s.happens(client.Event{Type: "T", Release: "r1"})
			if got := stream.next("id: "); got != "id: 6" {
				t.Errorf("what happened then came as %s", got)
			}
		})
	}
}

func TestSilentStreamStaysAlive(t *testing.T) {
	s := serve(t, hurried)
	stream := s.stream(t, "/v1/events/stream", "s-viewer")
	for range 3 {
		stream.next(": still here")
	}
}

func TestStatusComesWhenItChanges(t *testing.T) {
	s := serve(t, hurried)
	stream := s.stream(t, "/v1/status/stream", "s-viewer")
	if got := stream.next("data: "); !strings.Contains(got, `"revision":0`) {
		t.Errorf("first came %s", got)
	}
	s.happens(client.Event{})
	if got := stream.next("data: "); !strings.Contains(got, `"revision":1`) {
		t.Errorf("then came %s", got)
	}
}

func TestFlowComesPointByPoint(t *testing.T) {
	s := serve(t, hurried)
	stream := s.stream(t, "/v1/flow/stream?points=7", "s-viewer")
	if got := stream.next("data: "); !strings.Contains(got, `"every":7`) {
		t.Errorf("first came %s", got)
	}
	s.happens(client.Event{})
	if got := stream.next("data: "); !strings.Contains(got, `"every":1,`) || !strings.Contains(got, "00:00:01Z") {
		t.Errorf("then came %s", got)
	}
}

func TestStreamEndsWithItsToken(t *testing.T) {
	s := serve(t, hurried)
	stream := s.stream(t, "/v1/events/stream", "s-viewer")
	stream.next(": still here")
	s.revoke("s-viewer")
	stream.next("event: problem")
	if got := stream.next("data: "); !strings.Contains(got, `"code":"unauthorized"`) {
		t.Errorf("it was told %s", got)
	}
	for stream.lines.Scan() {
		if line := stream.lines.Text(); line != "" {
			t.Errorf("it went on with %s", line)
		}
	}
}

func TestStreamEndsWithTheServer(t *testing.T) {
	s := serve(t, hurried)
	stream := s.stream(t, "/v1/events/stream", "s-viewer")
	stream.next(": still here")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	for stream.lines.Scan() {
	}
	if err := stream.lines.Err(); err != nil {
		t.Errorf("the stream was broken off: %v", err)
	}
}

func TestLogsEndOrFail(t *testing.T) {
	s := serve(t, hurried)
	s.lines = func(_ context.Context, each func(client.LogLine) error) error {
		return each(client.LogLine{Line: "hello"})
	}
	stream := s.stream(t, "/v1/services/api/logs", "s-viewer")
	if got := stream.next("data: "); !strings.Contains(got, "hello") {
		t.Error(got)
	}
	stream.next("event: end")

	s.lines = func(_ context.Context, each func(client.LogLine) error) error {
		return errors.Join(each(client.LogLine{Line: "hello"}), &InputError{Problem: "the log is gone"})
	}
	stream = s.stream(t, "/v1/services/api/logs", "s-viewer")
	stream.next("event: line")
	stream.next("event: problem")

	s.lines = func(context.Context, func(client.LogLine) error) error {
		return &InputError{Problem: "the fleet has no service x"}
	}
	resp, body := s.ask(t, "GET", "/v1/services/x/logs", "s-viewer", "")
	if p := problemOf(t, resp, body); p.Status != 422 || p.Detail != "the fleet has no service x" {
		t.Errorf("a service that is not: %s", body)
	}
}

// TestSlowReader lets one reader of an endless stream take nothing: others are
// answered meanwhile, and the slow one is given up.
func TestSlowReader(t *testing.T) {
	s := serve(t, hurried)
	gaveUp := make(chan error, 1)
	s.lines = func(_ context.Context, each func(client.LogLine) error) error {
		for {
			if err := each(client.LogLine{Line: strings.Repeat("x", 64<<10)}); err != nil {
				gaveUp <- err
				return err
			}
		}
	}
	slow, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if _, err := io.WriteString(slow, "GET /v1/services/api/logs?follow=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s-viewer\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if resp, _ := s.ask(t, "GET", "/v1/status", "s-viewer", ""); resp.StatusCode != 200 {
		t.Errorf("another reader got %s", resp.Status)
	}
	select {
	case <-gaveUp:
	case <-time.After(patience):
		t.Fatal("the slow reader is still waited for")
	}
}

// TestSlowRequest holds back a request's body beyond the time for it.
func TestSlowRequest(t *testing.T) {
	t.Parallel()
	s := serve(t, impatient)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = io.WriteString(conn, "POST /v1/releases/r1/promote HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s-admin\r\nContent-Length: 10\r\n\r\n{")
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if p := problemOf(t, resp, string(body)); p.Status != 408 || len(s.changes()) > 0 {
		t.Errorf("it got %s, and these changed: %v", body, s.changes())
	}
}

// TestLongOperation lets an operation take longer than the time in which its
// request had to come.
func TestLongOperation(t *testing.T) {
	t.Parallel()
	s := serve(t, impatient)
	s.hang = make(chan struct{})
	time.AfterFunc(little+little/2, func() { close(s.hang) })
	if resp, body := s.ask(t, "POST", "/v1/releases/r1/promote", "s-admin", `{"reason":"why"}`); resp.StatusCode != 200 {
		t.Errorf("answered %s", body)
	}
}
