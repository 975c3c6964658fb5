package forward_test

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

	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
)

// TestDeathInMidBody: what the client got is never taken for the whole.
func TestDeathInMidBody(t *testing.T) {
	checkLeaks(t)
	for _, head := range []string{"Content-Length: 100000\r\n", "Content-Length: 10\r\n", "Transfer-Encoding: chunked\r\n"} {
		instance := startRaw(t, func(c *net.TCPConn, r *bufio.Reader) {
			if _, err := readHead(r); err == nil {
				io.WriteString(c, "HTTP/1.1 200 OK\r\n"+head+"\r\n5\r\nhello\r\n"[:len("\r\n5\r\nhello")])
			}
		})
		g := startGateway(t, newPool(t, forward.HTTP, instance), nil)
		for name, get := range map[string]func() (*http.Response, error){
			"HTTP/1.1": func() (*http.Response, error) { return http.Get("http://" + g.addr) },
			"HTTP/2":   func() (*http.Response, error) { return h2Client(t).Get("https://" + g.tlsAddr) },
			"HTTP/1.0": func() (*http.Response, error) {
				c, r := dialRaw(t, g.addr)
				say(t, c, "GET / HTTP/1.0\r\n\r\n")
				return http.ReadResponse(r, nil)
			},
		} {
			resp, err := get()
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			if err == nil {
				t.Errorf("%s, %q: a broken answer looks whole", name, head)
			}
			if o := g.next(t); !errors.Is(o.err, forward.ErrBroken) || errors.Is(o.err, forward.ErrClientGone) {
				t.Errorf("%s, %q: %+v", name, head, o)
			}
		}
	}
}

func TestErrorsBeforeTheAnswer(t *testing.T) {
	checkLeaks(t)
	silent := startRaw(t, func(_ *net.TCPConn, r *bufio.Reader) { io.Copy(io.Discard, r) })
	answering := func(s string) forward.Instance {
		return startRaw(t, func(c *net.TCPConn, r *bufio.Reader) {
			if _, err := readHead(r); err == nil {
				io.WriteString(c, s)
			}
		})
	}
	for _, tc := range []struct {
		name     string
		protocol forward.Protocol
		instance []forward.Instance
		want     error
	}{
		{"no instance", forward.HTTP, nil, forward.ErrNoInstance},
		{"refused", forward.HTTP, []forward.Instance{refusing(t)}, forward.ErrRefused},
		{"refused", forward.GRPC, []forward.Instance{refusing(t)}, forward.ErrRefused},
		{"silent", forward.HTTP, []forward.Instance{silent}, forward.ErrTimeout},
		{"silent", forward.GRPC, []forward.Instance{silent}, forward.ErrTimeout},
		{"closed", forward.HTTP, []forward.Instance{answering("")}, forward.ErrBadAnswer},
		{"half a header", forward.HTTP, []forward.Instance{answering("HTTP/1.1 200 OK\r\nA: ")}, forward.ErrBadAnswer},
		{"nonsense", forward.HTTP, []forward.Instance{answering("SSH-2.0-x\r\n")}, forward.ErrBadAnswer},
		{"no HTTP/2", forward.GRPC, []forward.Instance{answering("HTTP/1.1 400 Bad Request\r\n\r\n")}, forward.ErrBadAnswer},
		{"status of two digits", forward.HTTP, []forward.Instance{answering("HTTP/1.1 099 X\r\n\r\n")}, forward.ErrBadAnswer},
		{"switch that nobody asked for", forward.HTTP, []forward.Instance{answering("HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")}, forward.ErrBadAnswer},
	} {
		t.Run(fmt.Sprint(tc.name, " ", tc.protocol), func(t *testing.T) {
			g := startGateway(t, newPool(t, tc.protocol, tc.instance...), func(_ *http.Request, x *forward.Exchange) {
				x.Timeout = timeoutFor(tc.want)
			})
			resp, err := http.Post("http://"+g.addr, "", strings.NewReader("x"))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			want := http.StatusBadGateway
			if tc.protocol == forward.HTTP {
				want = failure(tc.want)
			}
			if o := g.next(t); !errors.Is(o.err, tc.want) || resp.StatusCode != want {
				t.Errorf("status %d, %+v", resp.StatusCode, o)
			}
			if n := g.pool.InFlight(); n != 0 {
				t.Errorf("%d in flight", n)
			}
		})
	}
}

// timeoutFor is short where it is to run out, and for nothing else.
func timeoutFor(want error) time.Duration {
	if errors.Is(want, forward.ErrTimeout) {
		return 300 * time.Millisecond
	}
	return patience
}

// TestClientLeaves: the service learns of it, before and in the answer.
func TestClientLeaves(t *testing.T) {
	checkLeaks(t)
	entered, left := make(chan struct{}), make(chan struct{})
	g := startGateway(t, newPool(t, forward.HTTP, startService(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/late" {
			w.WriteHeader(200)
			http.NewResponseController(w).Flush()
		}
		entered <- struct{}{}
		<-r.Context().Done()
		left <- struct{}{}
	})), nil)
	for _, path := range []string{"/early", "/late"} {
		for _, client := range []struct {
			client *http.Client
			url    string
		}{{http.DefaultClient, "http://" + g.addr}, {h2Client(t), "https://" + g.tlsAddr}} {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if path == "/early" {
				go func() {
					<-entered
					cancel()
				}()
			}
			req, _ := http.NewRequestWithContext(ctx, "GET", client.url+path, nil)
			if resp, err := client.client.Do(req); err == nil {
				receive(t, entered)
				cancel()
				resp.Body.Close()
			}
			receive(t, left)
			if o := g.next(t); !errors.Is(o.err, forward.ErrClientGone) || errors.Is(o.err, forward.ErrBroken) != (path == "/late") {
				t.Errorf("%s: %+v", path, o)
			}
		}
	}
}

// TestClientBreaksOffItsBody must not look like a whole request to the service.
func TestClientBreaksOffItsBody(t *testing.T) {
	checkLeaks(t)
	got := make(chan error, 1)
	g := startGateway(t, newPool(t, forward.HTTP, startService(t, func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		got <- err
	})), nil)
	for _, request := range []string{
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
	} {
		c, _ := dialRaw(t, g.addr)
		say(t, c, request)
		c.Close()
		if err := receive(t, got); err == nil {
			t.Error("the service took half a body for the whole")
		}
		if o := g.next(t); !errors.Is(o.err, forward.ErrClientGone) {
			t.Errorf("%+v: %v", o.res, o.err)
		}
	}
}

// TestStalledUpload: neither a timeout nor a service's death waits for a client
// that is silent in the middle of its body.
func TestStalledUpload(t *testing.T) {
	checkLeaks(t)
	silent := startRaw(t, func(_ *net.TCPConn, r *bufio.Reader) { io.Copy(io.Discard, r) })
	dying := startRaw(t, func(_ *net.TCPConn, r *bufio.Reader) { readHead(r) })
	for _, tc := range []struct {
		instance forward.Instance
		want     error
	}{{silent, forward.ErrTimeout}, {dying, forward.ErrBadAnswer}} {
		g := startGateway(t, newPool(t, forward.HTTP, tc.instance), func(_ *http.Request, x *forward.Exchange) {
			x.Timeout = timeoutFor(tc.want)
		})
		c, r := dialRaw(t, g.addr)
		say(t, c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc")
		if head := mustReadHead(t, r); !strings.HasPrefix(head, fmt.Sprintf("HTTP/1.1 %d ", failure(tc.want))) || !strings.Contains(head, "Connection: close") {
			t.Errorf("got %q", head)
		}
		if o := g.next(t); !errors.Is(o.err, tc.want) {
			t.Errorf("%+v, want %v", o, tc.want)
		}
		c.Close()
	}
}
