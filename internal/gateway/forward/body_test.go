package forward_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
)

// echo answers with the hash of what it reads, and how it was framed.
func echo(w http.ResponseWriter, r *http.Request) {
	h := sha256.New()
	n, err := io.Copy(h, r.Body)
	fmt.Fprintf(w, "%d %d %v %x %v", r.ContentLength, n, err, h.Sum(nil), r.Trailer)
}

func TestPosts(t *testing.T) {
	checkLeaks(t)
	g := startGateway(t, newPool(t, forward.HTTP, startService(t, echo)), nil)
	body := make([]byte, 1<<20)
	for i := range body {
		body[i] = byte(rand.Uint32())
	}
	for _, client := range []struct {
		name   string
		client *http.Client
		url    string
	}{
		{"HTTP/1.1", http.DefaultClient, "http://" + g.addr},
		{"h2c", h2Client(t), "http://" + g.addr},
		{"HTTP/2", h2Client(t), "https://" + g.tlsAddr},
	} {
		for _, size := range []int{0, 1, 5000, 1 << 20} {
			for _, sized := range []bool{true, false} {
				t.Run(fmt.Sprint(client.name, size, sized), func(t *testing.T) {
					var src io.Reader = bytes.NewReader(body[:size])
					want := fmt.Sprintf("%d %d <nil> %x map[]", size, size, sha256.Sum256(body[:size]))
					if !sized {
						src = struct{ io.Reader }{src}
						want = fmt.Sprintf("-1 %d <nil> %x map[]", size, sha256.Sum256(body[:size]))
					}
					resp, err := client.client.Post(client.url, "", src)
					if err != nil {
						t.Fatal(err)
					}
					defer resp.Body.Close()
					if got, err := io.ReadAll(resp.Body); string(got) != want {
						t.Errorf("got %q (%v), want %q", got, err, want)
					}
				})
			}
		}
	}
}

// TestTrailersThroughHTTP2 goes from HTTP/2 over TLS to HTTP/1.1 and back.
func TestTrailersThroughHTTP2(t *testing.T) {
	checkLeaks(t)
	g := startGateway(t, newPool(t, forward.HTTP, startService(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Announced")
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
		w.Header().Set("X-Announced", r.Trailer.Get("X-Client"))
		w.Header().Set(http.TrailerPrefix+"X-Sudden", "2")
	})), nil)
	req, err := http.NewRequest("POST", "https://"+g.tlsAddr, struct{ io.Reader }{strings.NewReader("body")})
	if err != nil {
		t.Fatal(err)
	}
	req.Trailer = http.Header{"X-Client": {"1"}}
	resp, err := h2Client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "body" {
		t.Fatalf("%q, %v", body, err)
	}
	if resp.Trailer.Get("X-Announced") != "1" || resp.Trailer.Get("X-Sudden") != "2" {
		t.Errorf("trailers: %v", resp.Trailer)
	}
}

func TestClientTrailers(t *testing.T) {
	g := startGateway(t, newPool(t, forward.HTTP, startService(t, echo)), nil)
	for _, announce := range []string{"", "Trailer: X-Sum\r\n"} {
		c, r := dialRaw(t, g.addr)
		say(t, c, "POST / HTTP/1.1\r\nHost: h\r\n"+announce+"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\nConnection: x\r\n\r\n")
		mustReadHead(t, r)
		line, err := r.ReadString(']')
		if !strings.HasSuffix(line, "map[X-Sum:[7]") {
			t.Errorf("announced %q: the service got %q (%v)", announce, line, err)
		}
	}
}

// TestContinueComesFromTheService: the client is asked for its body when the
// service asks, and not at all when the service turns it down and closes.
func TestContinueComesFromTheService(t *testing.T) {
	checkLeaks(t)
	ask := make(chan bool)
	instance := startRaw(t, func(c *net.TCPConn, r *bufio.Reader) {
		head, err := readHead(r)
		if err != nil || !strings.Contains(head, "Expect: 100-continue") {
			return
		}
		if !<-ask {
			io.WriteString(c, "HTTP/1.1 417 Expectation Failed\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
			return
		}
		io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
		body := make([]byte, 4)
		io.ReadFull(r, body)
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\n%s", body)
	})
	g := startGateway(t, newPool(t, forward.HTTP, instance), nil)
	const request = "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"

	c, r := dialRaw(t, g.addr)
	say(t, c, request)
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := r.Peek(1); err == nil {
		t.Fatal("the client heard something before the service said anything")
	}
	c.SetReadDeadline(time.Now().Add(patience))
	ask <- true
	if head := mustReadHead(t, r); !strings.HasPrefix(head, "HTTP/1.1 100 ") {
		t.Fatalf("got %q", head)
	}
	say(t, c, "data")
	if head := mustReadHead(t, r); !strings.HasPrefix(head, "HTTP/1.1 200 ") {
		t.Fatalf("got %q", head)
	}
	expect(t, r, "data")

	c, r = dialRaw(t, g.addr)
	say(t, c, request)
	ask <- false
	if head := mustReadHead(t, r); !strings.HasPrefix(head, "HTTP/1.1 417 ") {
		t.Fatalf("got %q", head)
	}
}

// TestEarlyAnswer: a service turns a body down without reading it, and closes
// right away; the client gets to read why.
func TestEarlyAnswer(t *testing.T) {
	checkLeaks(t)
	instance := startRaw(t, func(c *net.TCPConn, r *bufio.Reader) {
		if _, err := readHead(r); err == nil {
			io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
		}
	})
	g := startGateway(t, newPool(t, forward.HTTP, instance), nil)
	for range 20 {
		c, r := dialRaw(t, g.addr)
		say(t, c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n")
		go func() {
			chunk := make([]byte, 64<<10)
			for {
				if _, err := c.Write(chunk); err != nil {
					return
				}
			}
		}()
		if head := mustReadHead(t, r); !strings.HasPrefix(head, "HTTP/1.1 413 ") {
			t.Fatalf("got %q", head)
		}
		expect(t, r, "no")
		if o := g.next(t); o.err != nil || o.res.Status != 413 {
			t.Errorf("%+v", o)
		}
		c.Close()
	}
}

// TestFullDuplex sends and receives in turns within one HTTP/1.1 exchange.
func TestFullDuplex(t *testing.T) {
	checkLeaks(t)
	g := startGateway(t, newPool(t, forward.HTTP, startService(t, func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		rc.EnableFullDuplex()
		rc.Flush()
		for in := bufio.NewReader(r.Body); ; {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			fmt.Fprintf(w, "> %s", line)
			rc.Flush()
		}
	})), nil)
	for _, client := range []struct {
		client *http.Client
		url    string
	}{{http.DefaultClient, "http://" + g.addr}, {h2Client(t), "https://" + g.tlsAddr}} {
		in, out := io.Pipe()
		resp, err := client.client.Post(client.url, "text/plain", in)
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(resp.Body)
		for i := range 10 {
			fmt.Fprintf(out, "%d\n", i)
			expect(t, r, fmt.Sprintf("> %d\n", i))
		}
		out.Close()
		if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
			t.Errorf("%q, %v", rest, err)
		}
		resp.Body.Close()
	}
}

// TestSlowClient does not make the gateway hold the body.
func TestSlowClient(t *testing.T) {
	checkLeaks(t)
	const size = 64 << 20
	var written atomic.Int64
	g := startGateway(t, newPool(t, forward.HTTP, startService(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(size))
		for chunk := make([]byte, 64<<10); ; {
			n, err := w.Write(chunk)
			if err != nil || written.Add(int64(n)) == size {
				return
			}
		}
	})), nil)
	c, r := dialRaw(t, g.addr)
	c.SetReadBuffer(64 << 10)
	say(t, c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	mustReadHead(t, r)
	before := int64(-1)
	quiet := time.NewTicker(100 * time.Millisecond)
	defer quiet.Stop()
	for ; before != written.Load(); <-quiet.C { // until the buffers between are full
		before = written.Load()
	}
	if before == size {
		t.Fatal("the gateway took the whole body in")
	}
	if n, err := io.CopyN(io.Discard, r, size); err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if o := g.next(t); o.err != nil || o.res.Sent != size {
		t.Errorf("%+v", o)
	}
}
