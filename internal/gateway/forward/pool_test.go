package forward_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
)

// TestPoolSet: requests under way on a removed instance end undisturbed, later
// ones go elsewhere, and its connections close with the last.
func TestPoolSet(t *testing.T) {
	checkLeaks(t)
	entered, goOn := make(chan struct{}), make(chan struct{})
	var closed atomic.Int64
	l := listen(t)
	old := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				entered <- struct{}{}
				<-goOn
			}
			io.WriteString(w, "old")
		}),
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateClosed {
				closed.Add(1)
			}
		},
	}
	go old.Serve(l)
	t.Cleanup(func() { old.Close() })
	a := forward.Instance{ID: "a", Addr: l.Addr().String()}
	b := startService(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "new") })
	g := startGateway(t, newPool(t, forward.HTTP, a), nil)

	slow := make(chan string, 2)
	for range 2 {
		go func() { slow <- get(t, g, "/slow") }()
		receive(t, entered)
	}
	if got := get(t, g, "/"); got != "old" {
		t.Fatalf("got %q", got)
	}
	g.pool.Set([]forward.Instance{b})
	eventually(t, "the idle connection closes", func() bool { return closed.Load() == 1 })
	for range 10 {
		if got := get(t, g, "/"); got != "new" {
			t.Fatalf("got %q", got)
		}
	}
	if n, ready := g.pool.InFlight(), g.pool.Ready(); n != 2 || ready != 1 {
		t.Errorf("%d in flight, %d ready", n, ready)
	}
	for n := range int64(2) { // each takes its own along, whoever is under way still
		goOn <- struct{}{}
		if got := receive(t, slow); got != "old" {
			t.Errorf("got %q", got)
		}
		eventually(t, "the connection closes", func() bool { return closed.Load() == 2+n })
	}
	eventually(t, "nothing in flight", func() bool { return g.pool.InFlight() == 0 })

	g.pool.Close()
	g.pool.Set([]forward.Instance{b})
	if n := g.pool.Ready(); n != 0 {
		t.Errorf("%d ready in a closed pool", n)
	}
}

func get(t *testing.T, g *gateway, path string) string {
	resp, err := http.Get("http://" + g.addr + path)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return string(body)
}

// TestSetKeepsConnections of instances that stay.
func TestSetKeepsConnections(t *testing.T) {
	var opened atomic.Int64
	l := listen(t)
	server := &http.Server{
		Handler:   http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
		ConnState: func(_ net.Conn, s http.ConnState) { opened.Add(map[http.ConnState]int64{http.StateNew: 1}[s]) },
	}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	a := forward.Instance{ID: "a", Addr: l.Addr().String()}
	g := startGateway(t, newPool(t, forward.HTTP, a), nil)
	for range 5 {
		get(t, g, "/")
		g.pool.Set([]forward.Instance{a, a})
	}
	if n := opened.Load(); n != 1 || g.pool.Ready() != 1 {
		t.Errorf("%d connections, %d ready", n, g.pool.Ready())
	}
}

// TestDialErrorGoesElsewhere, with the body, whatever the method.
func TestDialErrorGoesElsewhere(t *testing.T) {
	checkLeaks(t)
	for _, p := range []forward.Protocol{forward.HTTP, forward.GRPC} {
		t.Run(p.String(), func(t *testing.T) {
			good := startService(t, echo)
			if p == forward.GRPC {
				good, _, _ = startGRPC(t, &calls{})
			}
			g := startGateway(t, newPool(t, p, refusing(t), good), nil)
			retries := 0
			for range 50 {
				resp, err := http.Post("http://"+g.addr, "", struct{ io.Reader }{strings.NewReader("body")})
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				o := g.next(t)
				if o.err != nil || o.res.Instance != good.ID {
					t.Fatalf("%+v", o)
				}
				retries += o.res.Retries
			}
			if retries == 0 {
				t.Error("the refusing instance was never tried")
			}
		})
	}
}

// TestPostIsNotRepeated: an instance that closes after it read a request may have
// acted on it.
func TestPostIsNotRepeated(t *testing.T) {
	checkLeaks(t)
	var requests atomic.Int64
	dying := func() forward.Instance {
		return startRaw(t, func(_ *net.TCPConn, r *bufio.Reader) {
			if _, err := readHead(r); err == nil {
				requests.Add(1)
			}
		})
	}
	g := startGateway(t, newPool(t, forward.HTTP, dying(), dying(), dying()), nil)
	resp, err := http.Post("http://"+g.addr, "", strings.NewReader("pay"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if n := requests.Load(); n != 1 || resp.StatusCode != http.StatusBadGateway {
		t.Errorf("it arrived %d times; status %d", n, resp.StatusCode)
	}
}

// TestStaleConnection: an instance closes a kept connection as the next request
// arrives; a GET is sent again.
func TestStaleConnection(t *testing.T) {
	checkLeaks(t)
	var conns atomic.Int64
	instance := startRaw(t, func(c *net.TCPConn, r *bufio.Reader) {
		n := conns.Add(1)
		for i := 0; ; i++ {
			if _, err := readHead(r); err != nil || (n == 1 && i == 1) {
				return
			}
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", n)
		}
	})
	g := startGateway(t, newPool(t, forward.HTTP, instance), nil)
	if got := get(t, g, "/") + get(t, g, "/"); got != "12" {
		t.Errorf("got %q", got)
	}
}

// TestPanicCountsNoMore: a fault of ours ends its connection, and nothing of the
// exchange is left, on the instance neither.
func TestPanicCountsNoMore(t *testing.T) {
	checkLeaks(t)
	answering := func(answer string) forward.Instance {
		return startRaw(t, func(c *net.TCPConn, r *bufio.Reader) { // whatever is to come of a body
			if _, err := readHead(r); err == nil {
				io.WriteString(c, answer)
				io.Copy(io.Discard, r)
			}
		})
	}
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
	met := make(chan struct{}, 1)
	fault := func(http.Header) {
		met <- struct{}{}
		panic("a fault")
	}
	for name, c := range map[string]struct {
		answer string
		change func(*forward.Exchange)
	}{
		"rewrite": {ok, func(x *forward.Exchange) { x.Rewrite = fault }},
		"inform":  {"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + ok, func(x *forward.Exchange) { x.Inform = fault }},
		"answer":  {ok, func(x *forward.Exchange) { x.Answer = func(int, http.Header) { fault(nil) } }},
	} {
		t.Run(name, func(t *testing.T) {
			instance := answering(c.answer)
			var broken atomic.Bool
			broken.Store(true)
			g := startGateway(t, newPool(t, forward.HTTP, instance), func(_ *http.Request, x *forward.Exchange) {
				if broken.Load() {
					c.change(x)
				}
			})
			for _, request := range [][2]string{
				{"GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
				{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"},
				{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc", "defghij"},
			} {
				c, r := dialRaw(t, g.addr)
				say(t, c, request[0])
				receive(t, met)
				_, _ = io.WriteString(c, request[1]) // net/http waits for the rest before it closes
				if b, err := io.ReadAll(r); len(b) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("the client got %q, %v", b, err)
				}
				eventually(t, "the instance is not busy", func() bool { return !g.pool.Busy(instance.ID) && g.pool.InFlight() == 0 })
			}
			broken.Store(false)
			if got := get(t, g, "/"); got != "ok" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestPanicWhileABodyIsSent: a fault of ours at a body's end ends its connection,
// and not the process, though another goroutine meets it than the request's.
func TestPanicWhileABodyIsSent(t *testing.T) {
	checkLeaks(t)
	came := make(chan struct{}, 1)
	instance := startRaw(t, func(c *net.TCPConn, r *bufio.Reader) {
		if req, err := http.ReadRequest(r); err == nil && req.Method == "POST" {
			_, _ = io.ReadFull(req.Body, make([]byte, 3))
			came <- struct{}{}
			_, _ = io.Copy(io.Discard, req.Body)
			return
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
	})
	g := startGateway(t, newPool(t, forward.HTTP, instance), nil)
	g.bodies = func() { panic("a fault") }
	c, r := dialRaw(t, g.addr)
	say(t, c, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
	receive(t, came)
	say(t, c, "0\r\nX-Sum: 1\r\n\r\n")
	if b, err := io.ReadAll(r); len(b) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the client got %q, %v", b, err)
	}
	eventually(t, "the instance is not busy", func() bool { return !g.pool.Busy(instance.ID) && g.pool.InFlight() == 0 })
	if got := get(t, g, "/"); got != "ok" {
		t.Errorf("got %q", got)
	}
}
