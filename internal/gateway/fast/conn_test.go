package fast_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
)

// patience is how long tests wait for what must happen.
const patience = 2 * time.Minute

// eventually waits for a condition that others bring about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("in vain waited for: %s", what)
		}
	}
}

// begin runs a fleet of one service that answers with h, over the fast path.
func begin(t *testing.T, h http.HandlerFunc) *gatewaytest.Fleet {
	t.Helper()
	f := gatewaytest.New(t, gatewaytest.Config{Edge: fleet.Edge{HTTP1: fleet.HTTP1Fast}})
	f.Run("web@1", h)
	f.View("r1", "web@1")
	f.Publish("r1")
	return f
}

func dial(t *testing.T, f *gatewaytest.Fleet) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(f.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c, bufio.NewReader(c)
}

// head reads an answer's head as it came, and its body.
func head(t *testing.T, r *bufio.Reader, body int) string {
	t.Helper()
	var b strings.Builder
	for !strings.HasSuffix(b.String(), "\r\n\r\n") {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("%q, %v", b.String(), err)
		}
		b.WriteString(line)
	}
	if _, err := io.ReadFull(r, make([]byte, body)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// rawService answers every request with the same bytes.
func rawService(t *testing.T, answer string) (addr string, conns *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	conns = new(atomic.Int64)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Add(1)
			go func() {
				defer c.Close()
				for r := bufio.NewReader(c); ; {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					io.Copy(io.Discard, req.Body)
					io.WriteString(c, answer)
				}
			}()
		}
	}()
	return l.Addr().String(), conns
}

// The path is switched while a connection lives: field names show which it was.
func TestPathIsSwitchedLive(t *testing.T) {
	f := gatewaytest.New(t, gatewaytest.Config{Edge: fleet.Edge{HTTP1: fleet.HTTP1Fast}})
	addr, conns := rawService(t, "HTTP/1.1 200 OK\r\nx-lOwer: a\r\nContent-Length: 2\r\n\r\nok")
	f.Endpoint("web@1", addr)
	f.View("r1", "web@1")
	f.Publish("r1")
	c, r := dial(t, f)
	ask := func() string {
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		return head(t, r, 2)
	}
	for range 3 {
		if got := ask(); !strings.Contains(got, "x-lOwer: a") {
			t.Errorf("fast: %q", got)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections to the service", n)
	}
	f.Settings.HTTP1 = fleet.HTTP1Std
	f.Publish("r1")
	if got := ask(); !strings.Contains(got, "X-Lower: a") {
		t.Errorf("std: %q", got)
	}
	f.Settings.HTTP1 = fleet.HTTP1Fast
	f.Publish("r1")
	c, r = dial(t, f)
	if got := ask(); !strings.Contains(got, "x-lOwer: a") {
		t.Errorf("fast again: %q", got)
	}
}

// Whatever becomes of exchanges, nothing of them is left: no goroutine, nothing
// under way.
func TestNothingIsLeft(t *testing.T) {
	let := make(chan struct{})
	f := begin(t, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		switch r.URL.Path {
		case "/hang":
			io.Copy(io.Discard, r.Body) // or the server never hears of its end
			<-r.Context().Done()
		case "/stream":
			for r.Context().Err() == nil {
				fmt.Fprintln(w, "more")
				if control.Flush() != nil {
					return
				}
				select {
				case <-r.Context().Done():
				case <-time.After(time.Millisecond):
				}
			}
		case "/silent":
			io.WriteString(w, "begun\n")
			control.Flush()
			<-r.Context().Done()
		case "/early":
			w.WriteHeader(413)
		case "/break":
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "abc")
			control.Flush()
			panic(http.ErrAbortHandler)
		case "/wait":
			<-let
		default:
			io.Copy(io.Discard, r.Body)
		}
	})
	close(let)
	warm, r := dial(t, f)
	io.WriteString(warm, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	io.Copy(io.Discard, r)
	eventually(t, "the connection ended", func() bool { return f.Gateway.Traffic()["r1"].InFlight == 0 })
	before := runtime.NumGoroutine()
	const body = "Content-Length: 100000\r\n\r\nabc"
	for _, sent := range []string{
		"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /silent HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /break HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /wait HTTP/1.1\r\nHost: x\r\n\r\nGET /wait HTTP/1.1\r\nHost: x\r\n\r\nGET /w",
		"POST / HTTP/1.1\r\nHost: x\r\n" + body,
		"POST /early HTTP/1.1\r\nHost: x\r\n" + body,
		"POST /hang HTTP/1.1\r\nHost: x\r\n" + body,
		"POST /stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
	} {
		for range 3 {
			c, _ := dial(t, f)
			io.WriteString(c, sent)
			c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			io.Copy(io.Discard, c)
			c.Close()
		}
	}
	eventually(t, "they have come, and nothing is under way", func() bool {
		for _, flow := range f.Gateway.Flows() {
			if flow.InFlight != 0 || flow.Requests < 25 {
				return false
			}
		}
		return f.Pool("web@1").InFlight() == 0 && !f.Pool("web@1").Busy("web@1-1")
	})
	f.Pool("web@1").Set(nil) // takes the idle connections along
	defer func() {
		if t.Failed() {
			buf := make([]byte, 1<<20)
			t.Logf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
	}()
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
}

// A client that leaves takes its request along, as soon as somebody looks.
func TestClientLeaves(t *testing.T) {
	arrived, gone := make(chan struct{}, 1), make(chan struct{}, 1)
	f := begin(t, func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
		gone <- struct{}{}
	})
	c, _ := dial(t, f)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-arrived
	c.Close()
	select {
	case <-gone:
	case <-time.After(patience):
		t.Fatal("the service never hears of it")
	}
	eventually(t, "it counts as no error", func() bool {
		flows := f.Gateway.Flows()
		return len(flows) == 1 && flows[0].Requests == 1 && flows[0].Errors == 0 && flows[0].InFlight == 0
	})
}

// What a client sends while it waits for an answer is its next request.
func TestNextRequestComesWhileTheFirstIsAnswered(t *testing.T) {
	answer := make(chan struct{})
	f := begin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-answer
		}
		io.WriteString(w, "ok")
	})
	c, r := dial(t, f)
	io.WriteString(c, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
	eventually(t, "it is under way", func() bool { return f.Gateway.Traffic()["r1"].InFlight == 1 })
	<-time.After(250 * time.Millisecond) // the client is looked at by now
	io.WriteString(c, "GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
	<-time.After(50 * time.Millisecond) // and what it sends is read
	close(answer)
	for range 2 {
		if got := head(t, r, 2); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Errorf("%q", got)
		}
	}
}

// okService answers every request with ok, and then hands out its connection.
func okService(t *testing.T) (addr string, conns <-chan net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	out := make(chan net.Conn, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				for r := bufio.NewReader(c); ; {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					io.Copy(io.Discard, req.Body)
					io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
					out <- c
				}
			}()
		}
	}()
	return l.Addr().String(), out
}

// A service closes idle connections: requests that are safe to repeat, and those
// of which nothing was sent, go to another.
func TestIdleConnectionsThatAreClosed(t *testing.T) {
	f := gatewaytest.New(t, gatewaytest.Config{Edge: fleet.Edge{HTTP1: fleet.HTTP1Fast}})
	addr, conns := okService(t)
	f.Endpoint("web@1", addr)
	f.View("r1", "web@1")
	f.Publish("r1")
	c, r := dial(t, f)
	for _, sent := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na", "POST / HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"} {
		io.WriteString(c, sent)
		if got := head(t, r, 2); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Errorf("%q", got)
		}
		(<-conns).Close()
	}
}

func TestShutdownBreaksOffAtItsDeadline(t *testing.T) {
	arrived := make(chan struct{}, 1)
	f := begin(t, func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	idle, _ := dial(t, f)
	c, _ := dial(t, f)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-arrived
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := f.Edge.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	for _, c := range []net.Conn{idle, c} {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a connection is open")
		}
	}
	eventually(t, "nothing is under way", func() bool { return f.Gateway.Traffic()["r1"].InFlight == 0 })
}

// Streams of a view that ends are ended: event streams between two events.
func TestStreamsEndWithTheirView(t *testing.T) {
	f := begin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		io.WriteString(w, "data: 1\n\n")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	for path, want := range map[string]string{
		"/events": "data: 1\n\nevent: greenroom\ndata: {\"reason\":\"the release this stream belongs to has ended\"}\n\n",
		"/other":  "data: 1\n\n",
	} {
		f.View("r"+path[1:], "web@1")
		f.Publish("r" + path[1:])
		resp, err := http.Get(f.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		first := make([]byte, 9)
		io.ReadFull(resp.Body, first)
		f.Gateway.EndView("r" + path[1:])
		rest, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if got := string(first) + string(rest); got != want || (err == nil) != (path == "/events") {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	eventually(t, "nothing is under way", func() bool {
		for _, traffic := range f.Gateway.Traffic() {
			if traffic.InFlight != 0 {
				return false
			}
		}
		return true
	})
}

// A service that sends more than its answer has spoilt the connection: nobody
// else may take what it sent for an answer.
func TestWhatNobodyAskedForIsNobodysAnswer(t *testing.T) {
	f := gatewaytest.New(t, gatewaytest.Config{Edge: fleet.Edge{HTTP1: fleet.HTTP1Fast}})
	addr, conns := okService(t)
	f.Endpoint("web@1", addr)
	f.View("r1", "web@1")
	f.Publish("r1")
	c, r := dial(t, f)
	for range 3 {
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if got := head(t, r, 2); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Errorf("%q", got)
		}
		spoilt := <-conns
		io.WriteString(spoilt, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
	}
}

// A service that sends more than its answer in one piece with it, or does not
// keep to what it said, gets no second request on that connection.
func TestConnectionsThatAreNotKept(t *testing.T) {
	large := strings.Repeat("x", 100_000)
	for name, c := range map[string]struct {
		method, answer string
		body           int // that the client gets
		conns          int64
	}{
		"kept":             {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 2, 1},
		"more":             {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokX", 2, 3},
		"more, large":      {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + large + "X", 100_000, 3},
		"a body for HEAD":  {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 0, 3},
		"a body with 204":  {"GET", "HTTP/1.1 204 No Content\r\n\r\nok", 0, 3},
		"chunks":           {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 12, 1},
		"more than chunks": {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nX", 12, 3},
		"close":            {"GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 2, 3},
		"HTTP/1.0":         {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 2, 3},
		"read with mercy":  {"GET", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 2, 3},
	} {
		t.Run(name, func(t *testing.T) {
			f := gatewaytest.New(t, gatewaytest.Config{Edge: fleet.Edge{HTTP1: fleet.HTTP1Fast}})
			addr, conns := rawService(t, c.answer)
			f.Endpoint("web@1", addr)
			f.View("r1", "web@1")
			f.Publish("r1")
			client, r := dial(t, f)
			for range 3 {
				io.WriteString(client, c.method+" / HTTP/1.1\r\nHost: x\r\n\r\n")
				if got := head(t, r, c.body); !strings.HasPrefix(got, "HTTP/1.1 20") {
					t.Errorf("%q", got)
				}
			}
			if n := conns.Load(); n != c.conns {
				t.Errorf("%d connections to the service, want %d", n, c.conns)
			}
		})
	}
}
