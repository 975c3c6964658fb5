package forward_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
)

// startStream starts an instance that answers with parts of a chunked body, one
// for each value, and then waits.
func startStream(t *testing.T, kind string, parts <-chan string) forward.Instance {
	t.Helper()
	return startRaw(t, func(c *net.TCPConn, r *bufio.Reader) {
		if _, err := readHead(r); err != nil {
			return
		}
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n", kind)
		gone := make(chan struct{})
		go func() {
			io.Copy(io.Discard, r)
			close(gone)
		}()
		for {
			select {
			case p := <-parts:
				fmt.Fprintf(c, "%x\r\n%s\r\n", len(p), p)
			case <-gone:
				return
			}
		}
	})
}

// TestStreamsFlow: header and parts come at once, not when a buffer is full.
func TestStreamsFlow(t *testing.T) {
	checkLeaks(t)
	for _, kind := range []string{"text/event-stream", "application/json"} {
		for _, version := range []string{"HTTP/1.1", "HTTP/2"} {
			parts := make(chan string)
			g := startGateway(t, newPool(t, forward.HTTP, startStream(t, kind, parts)), nil)
			client, url := http.DefaultClient, "http://"+g.addr
			if version == "HTTP/2" {
				client, url = h2Client(t), "https://"+g.tlsAddr
			}
			resp, err := client.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 5 {
				part := fmt.Sprintf("data: %d\n\n", i)
				parts <- part
				expect(t, resp.Body, part)
			}
			resp.Body.Close()
		}
	}
}

func TestEventStreamEnds(t *testing.T) {
	checkLeaks(t)
	for _, tc := range []struct {
		name, before, after, want string
	}{
		{"between events", "data: 1\n\n", "", "data: 1\n\n" + forward.LastEvent},
		{"before any", "", "", forward.LastEvent},
		{"inside an event", "data: 1\n\ndata", ": 2\n\ndata: 3", "data: 1\n\ndata: 2\n\n" + forward.LastEvent},
		{"before the empty line", "data: 1\r\n", "\r\ndata: 2", "data: 1\r\n\r\n" + forward.LastEvent},
	} {
		for _, version := range []string{"HTTP/1.1", "HTTP/2"} {
			t.Run(tc.name+" "+version, func(t *testing.T) {
				parts, end := make(chan string), make(chan struct{})
				g := startGateway(t, newPool(t, forward.HTTP, startStream(t, "text/event-stream; charset=utf-8", parts)),
					func(_ *http.Request, x *forward.Exchange) { x.End = end })
				client, url := http.DefaultClient, "http://"+g.addr
				if version == "HTTP/2" {
					client, url = h2Client(t), "https://"+g.tlsAddr
				}
				resp, err := client.Get(url)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				got := make([]byte, len(tc.before))
				if tc.before != "" {
					parts <- tc.before
					if _, err := io.ReadFull(resp.Body, got); err != nil {
						t.Fatal(err)
					}
				}
				g.end(end)
				if tc.after != "" {
					parts <- tc.after
				}
				rest, err := io.ReadAll(resp.Body)
				if all := string(got) + string(rest); err != nil || all != tc.want {
					t.Errorf("%q (%v), want %q", all, err, tc.want)
				}
				if o := g.next(t); o.err != nil || !o.res.Ended {
					t.Errorf("%+v", o)
				}
			})
		}
	}
}

// TestStreamsBreakOffAtEnd: those that nobody can end politely.
func TestStreamsBreakOffAtEnd(t *testing.T) {
	checkLeaks(t)
	for _, tc := range []struct{ kind, part string }{
		{"text/event-stream", "data: this event never ends"},
		{"application/octet-stream", "part"},
	} {
		parts, end := make(chan string), make(chan struct{})
		g := startGateway(t, newPool(t, forward.HTTP, startStream(t, tc.kind, parts)), func(_ *http.Request, x *forward.Exchange) { x.End = end })
		resp, err := http.Get("http://" + g.addr)
		if err != nil {
			t.Fatal(err)
		}
		parts <- tc.part
		expect(t, resp.Body, tc.part)
		g.end(end)
		if rest, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) || len(rest) > 0 {
			t.Errorf("%s: %q, %v", tc.kind, rest, err)
		}
		resp.Body.Close()
		if o := g.next(t); !errors.Is(o.err, forward.ErrBroken) || !o.res.Ended {
			t.Errorf("%s: %+v", tc.kind, o)
		}
	}
}

// TestKnownLengthOutlivesEnd: it is no stream.
func TestKnownLengthOutlivesEnd(t *testing.T) {
	end, goOn := make(chan struct{}), make(chan struct{})
	g := startGateway(t, newPool(t, forward.HTTP, startService(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100002")
		w.Write(make([]byte, 100000))
		w.(http.Flusher).Flush()
		<-goOn
		io.WriteString(w, "ok")
	})), func(_ *http.Request, x *forward.Exchange) { x.End = end })
	resp, err := http.Get("http://" + g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	g.end(end)
	time.AfterFunc(50*time.Millisecond, func() { close(goOn) })
	if body, err := io.ReadAll(resp.Body); err != nil || len(body) != 100002 {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}
