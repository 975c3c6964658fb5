package fast_test

import (
	"io"
	"log"
	"math/rand/v2"
	"strings"
	"testing"
)

// A deck deals the pieces that an exchange is put together from, one by each of
// its bytes. One that has run out deals the first of them, which is what is most
// ordinary.
type deck []byte

func (d *deck) number(below int) int {
	if len(*d) == 0 {
		return 0
	}
	n := int((*d)[0]) % below
	*d = (*d)[1:]
	return n
}

func (d *deck) pick(from []string) string { return from[d.number(len(from))] }

// some is up to most of them, one after the other.
func (d *deck) some(most int, from []string) string {
	var b strings.Builder
	for range d.number(most + 1) {
		b.WriteString(d.pick(from))
	}
	return b.String()
}

var (
	blanks  = []string{"", "\r\n", "\r\n\r\n", "\n", " "}
	verbs   = []string{"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "BREW", "get", "G@T", ""}
	targets = []string{
		"/raw", "/", "/chunks", "/trailers", "/early", "/204", "/304", "/close", "/until-close", "/short", "/nothing", "/large", "/hop",
		"/a?b=c;d&e", "/a?", "?a", "*", "", "//a", "/a/../b", "/%2e%2e/a", "/%2Fa", "/a%", "/a#b", "/\xff", "/none", "/.greenroom/default", "/.greenroom/x",
		"http://x/a", "http://y/a?b", "https://x/a", "http:///a", "http://x", "http://a@x/", "x:80",
	}
	protocols = []string{"HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "HTTP/1.11", "HTTP/0.9", "HTTP/1.1 ", "http/1.1", ""}
	hosts     = []string{"Host: x\r\n", "", "Host: y:80\r\n", "Host:\r\n", "Host: x\r\nHost: x\r\n", "Host: a b\r\n", "host:x \r\n", "Host: [::1]:1\r\n", "Host: \xff\r\n"}
	sent      = []string{
		"A: b\r\n", "a:\r\n", "A:  b \t\r\n", "A: \xff\r\n", "A: b\r\n c\r\n", "A : b\r\n", ": b\r\n", "A@: b\r\n", "A: b\x00\r\n", "A: b\n", "A: b\rc\r\n", "A\r\n", "\xff: b\r\n",
		"Connection: close\r\n", "Connection: keep-alive\r\n", "Connection: A, x-b\r\n", "Connection: close, keep-alive\r\n", "Connection: x close\r\n", "Connection: Host, Cookie\r\n", "Connection: Upgrade\r\n", "Connection:\r\n", "Connection: Transfer-Encoding\r\n", "Connection: Content-Length\r\n", "Keep-Alive: 5\r\n", "Proxy-Connection: keep-alive\r\n",
		"Upgrade: websocket\r\n", "Upgrade: h2c\r\n", "TE: trailers\r\n", "TE: gzip;q=1, Trailers\r\n", "Trailer: A\r\n", "Trailer: Content-Length\r\n", "Expect: 100-continue\r\n", "Expect: 100-Continue\r\n", "Expect: x\r\n", "Expect:\r\n",
		"Baggage: greenroom.release=r2,a=b\r\n", "Baggage: a=b\r\n", "Baggage: ,\r\n", "baggage: greenroom%2Erelease=r2;p\r\n", "X-Greenroom-Release: r2\r\n", "x_greenroom_release: r2\r\n", "X-Greenroom-Trail: a\r\n",
		"Cookie: a=b; greenroom_pass=PASS\r\n", "Cookie: greenroom_session=r2\r\n", "Cookie: ;;\r\n", "Cookie: greenroom_pass=\r\nCookie: c=d\r\n", "Greenroom-Pass: PASS\r\n", "Greenroom-Pass: x\r\n",
		"X-Forwarded-For: 192.0.2.1, y\r\n", "X-Forwarded-Proto: https\r\n", "X-Forwarded-Host: y\r\n", "Forwarded: for=y\r\n", "X-Request-Id: a\r\n", "Accept: text/html\r\n", "Sec-Fetch-Dest: document\r\n", "User-Agent:\r\n", "Pragma: no-cache\r\n", "Range: bytes=0-1\r\n",
		"Content-Encoding: gzip\r\n", "Http2-Settings: AA\r\n", "Idempotency-Key: a\r\n", "Authorization: Basic YTpi\r\n", "Proxy-Authorization: x\r\n",
	}
	chunks  = []string{"3\r\nabc\r\n", "1;a=b\r\na\r\n", "0003\r\nabc\r\n", "A\r\n0123456789\r\n", "3 \r\nabc\r\n", "3\nabc\n", "3\r\nabcd\r\n", "3;a=\"b\r\n\"\r\nabc\r\n", "-1\r\n", "0x3\r\nabc\r\n", "+3\r\nabc\r\n", "ffffffffffffffffff\r\n", "3\r\nab", "\r\n", ""}
	ends    = []string{"0\r\n\r\n", "0\r\nA: b\r\n\r\n", "0\r\nA: b\r\nA: c\r\nGreenroom-Pass: x\r\n\r\n", "0\r\nContent-Length: 3\r\nHost: y\r\n\r\n", "0\r\nA: b\r\n c\r\n\r\n", "0\r\nA : b\r\n\r\n", "0\r\nA\r\n\r\n", "0;a=b\r\n\r\n", "000\r\n\r\n", "0\r\n\n", "0\n\n", "0\r\nA: b\r\n", "0\r\n: b\r\n\r\n", "0\r\nBaggage: greenroom.release=r2\r\nTrailer: A\r\n\r\n", ""}
	lengths = []string{
		"Content-Length: 3\r\n\r\nabc", "\r\n", "Content-Length: 0\r\n\r\n", "Content-Length: 3\r\n\r\n", "Content-Length: 3\r\n\r\na", "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "Content-Length: 3\r\nContent-Length: 2\r\n\r\nabc",
		"Content-Length: 3,3\r\n\r\nabc", "Content-Length: +3\r\n\r\nabc", "Content-Length: -3\r\n\r\nabc", "Content-Length: 003\r\n\r\nabc", "Content-Length:\r\n\r\nabc", "Content-Length: 3 \r\n\r\nabc", "Content-Length: 0x3\r\n\r\nabc", "Content-Length: 99999999999999999999\r\n\r\nabc", "content-length:3\r\n\r\nabc", "Content_Length: 3\r\n\r\nabc",
	}
	codings = []string{
		"Transfer-Encoding: chunked\r\n\r\n", "transfer-encoding:Chunked\r\n\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding: gzip, chunked\r\n\r\n", "Transfer-Encoding: chunked, gzip\r\n\r\n", "Transfer-Encoding: gzip\r\n\r\n",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding: identity\r\n\r\n", "Transfer-Encoding:\r\n\r\n", "Transfer-Encoding: chunked;a=b\r\n\r\n", "Transfer-Encoding: \tchunked \r\n\r\n", "Transfer_Encoding: chunked\r\n\r\n", "Transfer-Encoding: xchunked\r\n\r\n", "Transfer-Encoding : chunked\r\n\r\n",
	}
	statuses = []string{
		"HTTP/1.1 200 OK\r\n", "HTTP/1.0 200 OK\r\n", "HTTP/1.1 204 No Content\r\n", "HTTP/1.1 304 Not Modified\r\n", "HTTP/1.1 205 Reset Content\r\n", "HTTP/1.1 404\r\n", "HTTP/1.1 404 \r\n", "HTTP/1.1 500 \xff\r\n", "HTTP/1.1 600 A\r\n", "HTTP/1.1 99 A\r\n", "HTTP/1.1 1000 A\r\n", "HTTP/1.1  200 OK\r\n", "HTTP/2.0 200 OK\r\n", "HTTP/1.1 -20 A\r\n", "HTTP/1.1 200 A\x00\r\n", "HTTP/1.1 101 A\r\n", "200 OK\r\n", "HTTP/1.1 302 Found\r\nLocation: http://x/\r\n", "HTTP/1.1 401 A\r\nWww-Authenticate: Basic\r\n",
	}
	hints = []string{"", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 102 Processing\r\nA: b\r\n\r\n", "HTTP/1.1 103 A\r\nContent-Length: 3\r\nConnection: close\r\n\r\n", "HTTP/1.1 199 A\r\nX-Greenroom-Trail: a\r\nTransfer-Encoding: chunked\r\n\r\n", "\r\n", "HTTP/1.0 103 A\r\n\r\n"}
	told  = []string{
		"A: b\r\n", "a:\r\n", "A:  b \t\r\n", "A: \xff\r\n", "A: b\r\n c\r\n", "A : b\r\n", ": b\r\n", "A@: b\r\n", "A: b\x00\r\n", "A: b\n", "A: b\rc\r\n", "A\r\n",
		"Connection: close\r\n", "Connection: keep-alive\r\n", "Connection: X-Hop\r\nX-Hop: 1\r\n", "Connection: Upgrade\r\nUpgrade: x\r\n", "Keep-Alive: 5\r\n", "Proxy-Connection: close\r\n", "Upgrade: h2c\r\n", "Trailer: A\r\n", "Trailer: Content-Length, A\r\n", "Trailer:\r\n", "TE: trailers\r\n",
		"Set-Cookie: a=b\r\n", "Set-Cookie: greenroom_pass=x\r\n", "Set-Cookie: greenroom_session=x; Path=/\r\n", "X-Greenroom-Error: x\r\n", "X-Greenroom-Trail: a, b\r\n", "X-Greenroom-Release: r1\r\n", "Date: Mon, 02 Jan 2006 15:04:05 GMT\r\n", "Date:\r\n", "Content-Type: text/html\r\n", "Content-Type:\r\n", "Content-Encoding: gzip\r\n", "Cache-Control: public\r\n", "Vary: *\r\n", "Etag: a\r\n", "Server: x\r\n", "Location: /x\r\n", "Pragma: no-cache\r\n", "Proxy-Authenticate: x\r\n", "Alt-Svc: h3=\":443\"\r\n", "Baggage: a=b\r\n", "Www-Authenticate: Negotiate\r\n",
	}
)

// body is how a body is announced, behind the fields before it, and what comes
// of it.
func (d *deck) body() string {
	if d.number(2) == 0 {
		return d.pick(lengths)
	}
	return d.pick(codings) + d.some(3, chunks) + d.pick(ends)
}

func (d *deck) request(targets []string) string {
	return d.pick(blanks) + d.pick(verbs) + " " + d.pick(targets) + " " + d.pick(protocols) + "\r\n" + d.pick(hosts) + d.some(4, sent) + d.body()
}

func (d *deck) answer() string {
	return d.some(2, hints) + d.pick(statuses) + d.some(4, told) + d.body()
}

// exchange has both paths asked for what a deck deals, and a service answer it.
func exchange(t *testing.T, hasty, patient paths, d deck) {
	t.Helper()
	answer := d.answer()
	requests := ""
	for range d.number(3) {
		requests += d.request(targets[1:]) // behind /raw, a connection is closed that may be used again just then
	}
	requests += d.request(targets)
	say(hasty, answer)
	say(patient, answer)
	compare(t, hasty, patient, []byte(requests+last))
	if t.Failed() {
		t.Logf("the service answers %q to /raw", answer)
	}
}

// Whatever is put together from pieces that are right, odd or wrong, both paths
// make the same of it. What is malformed comes by itself and among others that
// are, the same in each run.
func TestExchangesAreAlike(t *testing.T) {
	hasty, patient := startPaths(t, stall), startPaths(t, stalled)
	const exchanges = 1000
	random := rand.New(rand.NewPCG(9112, 9110))
	for range exchanges {
		d := make(deck, random.IntN(40))
		ordinary := random.IntN(8) // of eight pieces
		for i := range d {
			if random.IntN(8) >= ordinary {
				d[i] = byte(random.IntN(256))
			}
		}
		if exchange(t, hasty, patient, d); t.Failed() {
			t.FailNow()
		}
	}
}

// FuzzExchanges is TestExchangesAreAlike for as long as one likes.
func FuzzExchanges(f *testing.F) {
	for i := range byte(64) {
		f.Add([]byte{i})
		f.Add([]byte{0, 0, 0, 0, 0, 0, i, 1, 0, i, i, i, i, 1, i, i, i})
	}
	log.SetOutput(io.Discard)
	hasty, patient := startPaths(f, stall), startPaths(f, stalled)
	f.Fuzz(func(t *testing.T, dealt []byte) { exchange(t, hasty, patient, dealt) })
}
