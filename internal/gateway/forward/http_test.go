package forward_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

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
