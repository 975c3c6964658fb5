package fast_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/edge"
	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
	"github.com/greenroom-dev/greenroom/internal/gateway/http1"
)

// What may differ between the two paths, and why nobody is worse off. All else
// is a fault.
//
//   - The order of header fields, and the case of their names: net/http sorts
//     them and writes its own form, the fast path leaves them as they came. Both
//     are free (RFC 9110, sections 5.1 and 5.3); the order within one name is
//     kept and compared.
//   - Where a body in chunks is cut (RFC 9112, section 7.1: chunks say nothing).
//   - Date, where a service sends none, is the time of the answer.
//   - How much of an answer comes that a service breaks off: net/http keeps back
//     what is small, and its client sees none of it; the fast path sends what it
//     has, and its client sees that it is not whole. Neither takes it for whole.
//   - Whether a service sees the beginning of a request whose body breaks off, or
//     is malformed further on: net/http sends what has filled a buffer, the fast
//     path what came with the head. The service sees that it is not whole.
//   - What a service names in "Connection: close, X-Hop": net/http loses the names
//     behind close and passes X-Hop on, the fast path takes it out (RFC 9110,
//     section 7.6.1).
//   - Whether a GET is sent again that a service closes its connection on: both
//     paths do so where the connection was used before, and each has its own.
//   - An empty User-Agent, and all but the first of several, which is no list
//     (RFC 9110, section 10.1.5): net/http does not send them.
//   - Whether a head is answered that ends with what its client sends at all: net/http
//     answers most of them with 400, the fast path none. It is no request.
//   - How soon a client that left is noticed: at once by net/http, within a tenth
//     of a second by the fast path.
var (
	requestID = regexp.MustCompile(`\b[A-Z2-7]{26}\b`)
	ignored   = []string{"Date", "X-Hop"}
)

// path is a fleet that serves one way, with a backend that notes what it sees.
type path struct {
	*gatewaytest.Fleet
	pass   string // that opens r2
	passes *regexp.Regexp
	mu     sync.Mutex
	seen   []string
	answer string // to /raw
}

// paths are the two that are compared.
type paths struct{ std, fast *path }

// startPaths starts both; stall is how long they wait for what does not come.
func startPaths(t testing.TB, stall time.Duration) paths {
	t.Helper()
	return paths{startPath(t, fleet.HTTP1Std, stall), startPath(t, fleet.HTTP1Fast, stall)}
}

// How long gateways wait for what does not come: those that are asked first, so
// that much is asked in little time, and those that are asked where the first
// differ. On a busy machine a connection that is given nothing to run on for a
// quarter of a second is closed as idle, by either path.
const (
	stall   = 250 * time.Millisecond
	stalled = 10 * time.Second
)

func startPath(t testing.TB, how fleet.HTTP1, stall time.Duration) *path {
	t.Helper()
	p := new(path)
	p.Fleet = gatewaytest.New(t, gatewaytest.Config{
		Edge: fleet.Edge{
			HTTP1: how, SessionPinning: time.Minute, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
			Routes: []fleet.Route{{Path: "/none", Service: "none"}, {Path: "/web", Service: "web"}, {Path: "/", Methods: []string{"GET", "POST", "PUT", "DELETE"}, Service: "web"}},
		},
		Options: edge.Options{HeaderTimeout: stall, IdleTimeout: stall, BodyStall: stall, MaxHeader: 4 << 10},
	})
	p.Run("web@1", http.HandlerFunc(p.serve))
	p.Run("web@2", http.HandlerFunc(p.serve))
	p.View("r1", "web@1")
	p.View("r2", "web@2")
	p.Passes["r2"] = gateway.PassRule{UID: "r2", Access: gateway.Preview, Stamp: "r2"}
	p.Publish("r1")
	p.pass = p.Pass("r2", "r2")
	p.passes = regexp.MustCompile("(?i)" + regexp.QuoteMeta(p.pass))
	return p
}

func (p *path) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // not noted: see above
	}
	if local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr); local != nil && r.Host == local.String() {
		r.Host = "INSTANCE" // each path has its own
	}
	note := fmt.Sprintf("%s %s %s %d %v\n%s%q\n%s", r.Method, r.RequestURI, r.Host, r.ContentLength, r.TransferEncoding, dump(r.Header), body, dump(r.Trailer))
	p.mu.Lock()
	p.seen = append(p.seen, note)
	answer := p.answer
	p.mu.Unlock()
	control := http.NewResponseController(w)
	raw := func(s string) {
		if c, _, err := control.Hijack(); err == nil {
			io.WriteString(c, s)
			c.Close()
		}
	}
	switch what, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); what {
	case "chunks":
		io.WriteString(w, "one")
		control.Flush()
		io.WriteString(w, "two")
	case "trailers":
		w.Header().Set("Trailer", "X-Sum, X-Greenroom-Error")
		io.WriteString(w, "one")
		control.Flush()
		w.Header().Set("X-Sum", "1")
		w.Header().Set("X-Greenroom-Error", "1")
		w.Header().Set(http.TrailerPrefix+"X-More", "2")
	case "early":
		w.Header().Set("Link", "</a.css>")
		w.Header().Set("X-Greenroom-Trail", "a")
		w.WriteHeader(103)
		io.WriteString(w, "hinted")
	case "204":
		w.WriteHeader(204)
	case "304":
		w.Header().Set("Etag", `"x"`)
		w.WriteHeader(304)
	case "close":
		w.Header().Set("Connection", "close")
		io.WriteString(w, "closed")
	case "until-close":
		raw("HTTP/1.0 200 OK\r\nX-A: b\r\n\r\nuntil the end")
	case "lf":
		raw("HTTP/1.1 200 OK\nX-A: b\n c\nContent-Length: 3\nContent-Length: 3\n\nabc")
	case "short":
		raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
	case "nothing":
		raw("")
	case "raw":
		raw(answer)
	case "garbage":
		raw("no HTTP at all\r\n\r\n")
	case "two-digits":
		raw("HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n")
	case "both":
		raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
	case "switch":
		raw("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
	case "large":
		w.Header().Set("Content-Length", "100000")
		w.Write(bytes.Repeat([]byte("x"), 100_000))
	case "hop":
		raw("HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nSet-Cookie: greenroom_pass=x\r\nX-Greenroom-A: b\r\nContent-Length: 0\r\nPragma: no-cache\r\n\r\n")
	default:
		w.Header().Set("Set-Cookie", "a=b")
		fmt.Fprintf(w, "%d", len(body))
	}
}

func dump(h http.Header) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if name == "User-Agent" {
			h[name] = slices.DeleteFunc(h[name][:1:1], func(agent string) bool { return agent == "" })
		}
		if !slices.Contains(ignored, name) && len(h[name]) > 0 {
			fmt.Fprintf(&b, "%s: %q\n", name, h[name])
		}
	}
	return b.String()
}

// ask sends bytes and returns what came back, and what the backend saw.
func (p *path) ask(t testing.TB, in []byte) (answers, seen string) {
	t.Helper()
	p.mu.Lock()
	p.seen = nil
	p.mu.Unlock()
	c, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	go c.Write(in)
	answers = read(c, methods(in))
	p.quiet(t)
	p.mu.Lock()
	defer p.mu.Unlock()
	once := slices.Compact(p.seen) // with their ids, only what was sent again is alike
	return p.without(answers), requestID.ReplaceAllString(p.without(strings.Join(once, "\n")), "ID")
}

// without replaces the pass, of which each path has its own. As a field's name, it
// has another case on one path.
func (p *path) without(s string) string { return p.passes.ReplaceAllString(s, "PASS") }

// quiet waits until nothing is under way.
func (p *path) quiet(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		n := int64(0)
		for _, traffic := range p.Gateway.Traffic() {
			n += traffic.InFlight
		}
		if n == 0 {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%d requests are under way still", n)
		case <-tick.C:
		}
	}
}

// read reads answers until the connection ends.
func read(c net.Conn, methods []string) string {
	var b strings.Builder
	r := bufio.NewReader(c)
	for {
		method := "GET"
		if len(methods) > 0 {
			method = methods[0]
		}
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			rest, rerr := io.ReadAll(r)
			if errors.Is(errors.Join(err, rerr), os.ErrDeadlineExceeded) {
				return b.String() + "no end"
			}
			fmt.Fprintf(&b, "end %q\n", rest)
			return b.String()
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil { // broken off
			fmt.Fprintf(&b, "end %q\n", "")
			return b.String()
		}
		trailer := resp.Trailer
		fmt.Fprintf(&b, "%s %s %d %v\n%s%q\n%s", resp.Proto, resp.Status, resp.ContentLength, resp.Close, dump(resp.Header), body, dump(trailer))
		if resp.StatusCode >= 200 && len(methods) > 0 {
			methods = methods[1:]
		}
	}
}

// methods are those of the requests that in holds.
func methods(in []byte) (all []string) {
	var r http1.Request
	for {
		end, err := http1.HeadEnd(in, 0)
		if err != nil || end == 0 {
			return all
		}
		if end == 2 {
			in = in[2:]
			continue
		}
		if r.Parse(string(in[:end])) != nil || r.Minor < 0 {
			return all
		}
		all = append(all, r.Method)
		if in = in[end:]; r.Length == http1.Chunked {
			var c http1.Chunks
			for len(in) > 0 && !c.Over() {
				_, n, err := c.Next(in)
				if err != nil {
					return all
				}
				in = in[n:]
			}
			continue
		}
		if r.Length > int64(len(in)) {
			return all
		}
		in = in[r.Length:]
	}
}

// last ends a connection that would be waited for otherwise.
const last = "GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

// seeds are what the two paths are compared with, and what the fuzzer begins
// with.
func seeds() []string {
	all := []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /a?b=c;d&e HTTP/1.1\r\nhost: X:80\r\nuser-agent: me\r\nAccept: a\r\naccept: b\r\n\r\n",
		"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /%41%2f/b HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /a|b\"{}/c HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET //a//b HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /.. HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET http://y/a HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /none HTTP/1.1\r\nHost: x\r\n\r\n",
		"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
		"BREW /web HTTP/1.1\r\nHost: x\r\n\r\n",
		"BREW / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
		"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost:\r\n\r\n",
		"GET / HTTP/1.1\r\nHost:\r\n0000000000:\r\n000000:\r\nCookie:\r\nTE:0,0railers\r\nKeep-Alivn:\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
		"GET / HTTP/1.0\r\n\r\n",
		"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"GET / HTTP/2.0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nConnection: x-a close\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nConnection: x-a,x-b\t\tClose x-c\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nConnection: x-a\r\nConnection: x-b close\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nConnection: x-a\r\nConnection: x-b, close\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nConnection: x-close closed\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, X-Mine, Cookie\r\nX-Mine: 1\r\nCookie: a=b\r\nTE: gzip, trailers\r\nKeep-Alive: 5\r\nProxy-Authorization: x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nPragma: no-cache\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nX-Greenroom-Release: r2\r\nx_greenroom_release: r2\r\nBaggage: greenroom.release=r2,a=b\r\nBaggage: c=d\r\nGreenroom_Pass: x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nGreenroom-Pass: x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nCookie: a=b; greenroom_session=r1; greenroom_pass=; c=d\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX_Forwarded_Host: y\r\nForwarded: for=y\r\nX-Real-IP: y\r\nX-Request-Id: abc\r\n\r\n",
		"GET /.greenroom/default HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
		"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300\r\n\r\nabc",
		"BREW / HTTP/1.1\r\nHost: x\r\nContent-Length: 300\r\n\r\nabc",
		"BREW / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n38\r\nabcdef",
		"POST /.greenroom/x HTTP/1.1\r\nHost: x\r\nContent-Length: 300\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: x\r\nGreenroom-Pass: x\r\nContent-Length: 300\r\n\r\nabc",
		"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 300\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc\r\nContent-Length: 3\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
		"DELETE / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\nCookie: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\nBaggage: x\r\nConnection: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1;"+strings.Repeat("x", 1000)+"\r\na\r\n", 17) + "0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;" + strings.Repeat("x", 4<<10-4) + "\r\nabc\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;" + strings.Repeat("x", 4<<10-3) + "\r\nabc\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nno field\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n c\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\nA : b\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\nB: \x00\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n: b\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\nA@: b\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: \xff\r\nB:\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nHost: y\r\nGreenroom-Pass: x\r\nx_greenroom_release: r2\r\nUpgrade: x\r\nTE: trailers\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n" + strings.Repeat("A: xxxxxx\r\n", 500) + "\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: x\r\nExpect: x\r\nContent-Length: 3\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET / HTTP/1.1\nHost: x\n\n",
		"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nA: b\x00\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("x", 9000) + "\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("A: b\r\n", 201) + "\r\n",
		"BREW / HTTP/1.1\r\nHost: x\r\nContent-Length: 262143\r\n\r\n" + strings.Repeat("x", 262143),
		"BREW / HTTP/1.1\r\nHost: x\r\nContent-Length: 262144\r\n\r\n" + strings.Repeat("x", 262144),
		"BREW / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n40000\r\n" + strings.Repeat("x", 262144) + "\r\n0\r\n\r\n",
		"BREW / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n40001\r\n" + strings.Repeat("x", 262145) + "\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("x", 20000),
	}
	for _, what := range []string{"chunks", "trailers", "early", "204", "304", "close", "until-close", "lf", "short", "nothing", "garbage", "two-digits", "both", "switch", "large", "hop"} {
		all = append(all, "GET /"+what+" HTTP/1.1\r\nHost: x\r\n\r\n", "HEAD /web/../"+what+" HTTP/1.1\r\nHost: x\r\n\r\n",
			"POST /"+what+" HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "GET /"+what+" HTTP/1.1\r\nHost: x\r\nGreenroom-Pass: PASS\r\n\r\n")
	}
	return all
}

// compare asks both paths the same. A difference counts when it shows with
// patience, too.
func compare(t *testing.T, hasty, patient paths, in []byte) {
	t.Helper()
	if differ(t, hasty, in) == "" {
		return
	}
	if what := differ(t, patient, in); what != "" {
		t.Error(what)
	}
}

func differ(t *testing.T, both paths, in []byte) string {
	t.Helper()
	with := func(p *path) []byte { return bytes.ReplaceAll(in, []byte("PASS"), []byte(p.pass)) }
	var wg sync.WaitGroup
	var answers, seen string
	wg.Go(func() { answers, seen = both.std.ask(t, with(both.std)) })
	otherAnswers, otherSeen := both.fast.ask(t, with(both.fast))
	wg.Wait()
	answers, otherAnswers = requestID.ReplaceAllString(answers, "ID"), requestID.ReplaceAllString(otherAnswers, "ID")
	switch {
	case answers != otherAnswers:
		return fmt.Sprintf("%.300q\nstd answers\n%.700s\nfast answers\n%.700s", in, answers, otherAnswers)
	case seen != otherSeen:
		return fmt.Sprintf("%.300q\nbehind std was seen\n%.1000s\nbehind fast was seen\n%.1000s", in, seen, otherSeen)
	}
	return ""
}

func TestBothPathsBehaveAlike(t *testing.T) {
	hasty, patient := startPaths(t, stall), startPaths(t, stalled)
	for i, in := range seeds() {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			compare(t, hasty, patient, []byte(in+last))
		})
	}
}

// FuzzPaths feeds both paths the same bytes.
func FuzzPaths(f *testing.F) {
	for _, in := range seeds() {
		f.Add([]byte(in))
	}
	hasty, patient := startPaths(f, stall), startPaths(f, stalled)
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 64<<10 || bytes.Contains(in, []byte("PRI * HTTP/2.0")) {
			return // HTTP/2 is net/http's on both
		}
		compare(t, hasty, patient, append(in[:len(in):len(in)], last...))
	})
}
