package forward_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
)

// TestRequestTravelsUnchanged looks at what an instance gets, byte by byte.
func TestRequestTravelsUnchanged(t *testing.T) {
	checkLeaks(t)
	heads := make(chan string, 1)
	instance := startRaw(t, func(c *net.TCPConn, r *bufio.Reader) {
		for {
			head, err := readHead(r)
			if err != nil {
				return
			}
			heads <- head
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	g := startGateway(t, newPool(t, forward.HTTP, instance), func(_ *http.Request, x *forward.Exchange) {
		x.Rewrite = func(h http.Header) { h.Set("X-Stamp", "r42") }
	})
	for _, tc := range []struct{ name, sent, want string }{
		{"plain", "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", "GET / HTTP/1.1\r\nHost: a.example\r\nX-Stamp: r42\r\n\r\n"},
		{"encoded slash", "GET /a%2Fb/%41 HTTP/1.1\r\nHost: h\r\n\r\n", "GET /a%2Fb/%41 HTTP/1.1\r\nHost: h\r\nX-Stamp: r42\r\n\r\n"},
		{"two slashes", "GET //a//b HTTP/1.1\r\nHost: h\r\n\r\n", "GET //a//b HTTP/1.1\r\nHost: h\r\nX-Stamp: r42\r\n\r\n"},
		{"odd path", "GET /a|b\"{}/../c/./d HTTP/1.1\r\nHost: h\r\n\r\n", "GET /a|b\"{}/../c/./d HTTP/1.1\r\nHost: h\r\nX-Stamp: r42\r\n\r\n"},
		{"semicolons in the query", "GET /p?a;b=1;c&%zz==&+ HTTP/1.1\r\nHost: h\r\n\r\n", "GET /p?a;b=1;c&%zz==&+ HTTP/1.1\r\nHost: h\r\nX-Stamp: r42\r\n\r\n"},
		{"empty query", "GET /p? HTTP/1.1\r\nHost: h\r\n\r\n", "GET /p? HTTP/1.1\r\nHost: h\r\nX-Stamp: r42\r\n\r\n"},
		{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: h\r\nX-Stamp: r42\r\n\r\n"},
		{"absolute form", "GET http://other.example/x%2f HTTP/1.1\r\nHost: h\r\n\r\n", "GET /x%2f HTTP/1.1\r\nHost: other.example\r\nX-Stamp: r42\r\n\r\n"},
		{"own method", "BREW /pot HTTP/1.1\r\nHost: h\r\n\r\n", "BREW /pot HTTP/1.1\r\nHost: h\r\nX-Stamp: r42\r\n\r\n"},
		{
			"hop by hop",
			"GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, X-Mine\r\nConnection: X-Stamp\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nProxy-Authorization: x\r\nTE: gzip, trailers\r\nUpgrade: x\r\nX-Kept: 1\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: h\r\nTe: trailers\r\nX-Kept: 1\r\nX-Stamp: r42\r\n\r\n",
		},
		{"what the client says of itself", "GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: me\r\nAccept-Encoding: br\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: me\r\nAccept-Encoding: br\r\nX-Stamp: r42\r\n\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, r := dialRaw(t, g.addr)
			defer c.Close()
			say(t, c, tc.sent)
			mustReadHead(t, r)
			if got, want := message(receive(t, heads)), message(tc.want); got != want {
				t.Errorf("the instance got\n%q, want\n%q", got, want)
			}
		})
	}
}

// TestRequestLineStaysOneLine: HTTP/2 lets spaces through that HTTP/1 has a
// meaning for.
func TestRequestLineStaysOneLine(t *testing.T) {
	checkLeaks(t)
	heads := make(chan string, 1)
	instance := startRaw(t, func(c *net.TCPConn, r *bufio.Reader) {
		for {
			head, err := readHead(r)
			if err != nil {
				return
			}
			heads <- head
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	g := startGateway(t, newPool(t, forward.HTTP, instance), nil)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Transport{Protocols: protocols}
	defer client.CloseIdleConnections()
	for path, want := range map[string]string{
		"/a HTTP/1.0":        "GET /a%20HTTP/1.0 HTTP/1.1\r\n",
		"/a?b HTTP/1.0":      "GET /a?b%20HTTP/1.0 HTTP/1.1\r\n",
		"/a%2Fb c?d e&f%20g": "GET /a%2Fb%20c?d%20e&f%20g HTTP/1.1\r\n",
	} {
		r := &http.Request{Method: "GET", Header: http.Header{}, URL: &url.URL{Scheme: "http", Host: g.addr, Opaque: path}}
		resp, err := client.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := receive(t, heads); !strings.HasPrefix(got, want) {
			t.Errorf("%s: the instance got %q", path, got)
		}
	}
}

// TestAnswerTravelsUnchanged looks at what a client gets, byte by byte.
func TestAnswerTravelsUnchanged(t *testing.T) {
	checkLeaks(t)
	const date = "Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
	for _, tc := range []struct{ name, method, sent, want string }{
		{"length", "GET", "HTTP/1.1 200 OK\r\n" + date + "Content-Length: 5\r\n\r\nhello", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" + date + "\r\nhello"},
		{"chunks", "GET", "HTTP/1.1 201 Created\r\n" + date + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "HTTP/1.1 201 Created\r\n" + date + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		{"until the end", "GET", "HTTP/1.0 200 OK\r\n" + date + "\r\nhello", "HTTP/1.1 200 OK\r\n" + date + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		{"HEAD", "HEAD", "HTTP/1.1 200 OK\r\n" + date + "Content-Length: 7000000\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 7000000\r\n" + date + "\r\n"},
		{"204", "GET", "HTTP/1.1 204 No Content\r\n" + date + "\r\n", "HTTP/1.1 204 No Content\r\n" + date + "\r\n"},
		{"304", "GET", "HTTP/1.1 304 Not Modified\r\n" + date + "Etag: \"x\"\r\n\r\n", "HTTP/1.1 304 Not Modified\r\n" + date + "Etag: \"x\"\r\n\r\n"},
		{"hop by hop", "GET", "HTTP/1.1 200 OK\r\n" + date + "Connection: X-Mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nContent-Length: 0\r\nX-Kept: 1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + date + "X-Kept: 1\r\n\r\n"},
		{"compressed", "GET", "HTTP/1.1 200 OK\r\n" + date + "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n" + date + "\r\nabc"},
		{"103, then the answer", "GET", "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: close\r\n\r\nHTTP/1.1 200 OK\r\n" + date + "Content-Length: 0\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + date + "\r\n"},
		{"announced trailer", "GET", "HTTP/1.1 200 OK\r\n" + date + "Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 7\r\n\r\n", "HTTP/1.1 200 OK\r\n" + date + "Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 7\r\n\r\n"},
		{"trailer out of the blue", "GET", "HTTP/1.1 200 OK\r\n" + date + "Transfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 7\r\n\r\n", "HTTP/1.1 200 OK\r\n" + date + "Transfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 7\r\n\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			instance := startRaw(t, func(c *net.TCPConn, r *bufio.Reader) {
				if _, err := readHead(r); err == nil {
					io.WriteString(c, tc.sent)
				}
			})
			g := startGateway(t, newPool(t, forward.HTTP, instance), nil)
			c, r := dialRaw(t, g.addr)
			say(t, c, tc.method+" / HTTP/1.1\r\nHost: h\r\n\r\n")
			got := mustReadHead(t, r)
			_, body, _ := strings.Cut(tc.want, "\r\n\r\n")
			got += string(exactly(t, r, len(body)))
			if want := message(tc.want); message(got) != want {
				t.Errorf("the client got\n%q, want\n%q", got, want)
			}
			if o := g.next(t); o.err != nil || r.Buffered() > 0 {
				t.Errorf("%+v, and %d bytes more", o, r.Buffered())
			}
		})
	}
}

// TestAnswerHook has the last word on the header, and leaves 103 alone.
func TestAnswerHook(t *testing.T) {
	instance := startService(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Cache-Control", "public")
		w.WriteHeader(http.StatusTeapot)
	})
	g := startGateway(t, newPool(t, forward.HTTP, instance), func(_ *http.Request, x *forward.Exchange) {
		x.Answer = func(status int, h http.Header) {
			h.Set("Cache-Control", "private, no-store")
			h.Add("X-Status", fmt.Sprint(status))
		}
	})
	resp, err := http.Get("http://" + g.addr)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if cc, st := resp.Header["Cache-Control"], resp.Header["X-Status"]; fmt.Sprint(cc) != "[private, no-store]" || fmt.Sprint(st) != "[418]" && !overFast() {
		t.Errorf("Cache-Control %q, X-Status %q", cc, st)
	}
	if o := g.next(t); o.res.Status != http.StatusTeapot || o.err != nil {
		t.Errorf("%+v", o)
	}
}

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
				x.Timeout = 300 * time.Millisecond
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
			x.Timeout = 300 * time.Millisecond
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
