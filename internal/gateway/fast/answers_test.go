package fast_test

import (
	"fmt"
	"io"
	"log"
	"strings"
	"testing"
)

// answers are what a service may send, one to a connection, which it closes
// behind it.
func answers() []string {
	long := strings.Repeat("x", 2<<10)
	return []string{
		// Lengths (RFC 9112, section 6.3).
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 2\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nContent-Length: 0003\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nabc",
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\n\r\nuntil the end",
		"HTTP/1.1 200 OK\r\n\r\n",
		// Answers without a body (RFC 9110, sections 15.3.5 and 15.4.5).
		"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\nContent-Type: text/plain\r\n\r\n",
		"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\nContent-Type: text/plain\r\nEtag: a\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\nLast-Modified: x\r\n\r\n",
		"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 205 Reset Content\r\n\r\n",
		// Trailers (RFC 9112, section 7.1.2).
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\nContent-Length: 3\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nTrailer: X-More\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n" + strings.Repeat("A: xxxxxx\r\n", 500) + "\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nno field\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n c\r\nB : d\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\nB: c\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\n\nB: c\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1;"+strings.Repeat("x", 1000)+"\r\na\r\n", 17) + "0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3 \t\r\nabc\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Content-Length\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		// Heads that are longer when they are sent on than when they came, before a
		// body that comes with them.
		"HTTP/1.1 200 OK\r\nX-Long: " + strings.Repeat("y", 40<<10) + "\r\nContent-Length: 2048\r\n\r\n" + long,
		"HTTP/1.1 200 OK\r\nX-Long: " + strings.Repeat("y", 40<<10) + "\r\nTransfer-Encoding: chunked\r\n\r\n800\r\n" + long + "\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 2048\r\n\r\n" + long,
		"HTTP/1.1 103 Early Hints\r\nLink: " + strings.Repeat("y", 20<<10) + "\r\n\r\nHTTP/1.1 200 OK\r\nX-Long: " + strings.Repeat("y", 20<<10) + "\r\nContent-Length: 2048\r\n\r\n" + long,
		// Lines (RFC 9112, sections 2.2, 4 and 5).
		"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 299 Whatever\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA: b\x00\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nno field\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\n: b\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA: b\r\n\tc\r\nContent-Length: 0\r\n\r\n",
		"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\n\r\n",
	}
}

// Whatever a service answers, both paths make the same of it.
func TestAnswersAreReadAlike(t *testing.T) {
	hasty, patient := startPaths(t, stall), startPaths(t, stalled)
	for i, answer := range answers() {
		for _, method := range []string{"GET", "HEAD"} {
			t.Run(fmt.Sprint(i, method), func(t *testing.T) {
				if method == "HEAD" {
					answer = headOf(answer)
				}
				t.Logf("%.200q", answer)
				compareAnswers(t, hasty, patient, method, answer)
			})
		}
	}
}

// compareAnswers has both paths asked for what a service answers with these
// bytes.
func compareAnswers(t *testing.T, hasty, patient paths, method, answer string) {
	t.Helper()
	say(hasty, answer)
	say(patient, answer)
	compare(t, hasty, patient, []byte(method+" /raw HTTP/1.1\r\nHost: x\r\n\r\n"+last))
}

// say makes answer what is answered to /raw on both paths.
func say(both paths, answer string) {
	for _, p := range []*path{both.std, both.fast} {
		p.mu.Lock()
		p.answer = answer
		p.mu.Unlock()
	}
}

// headOf cuts the body off.
func headOf(answer string) string {
	at := strings.LastIndex(answer, "HTTP/")
	if end := strings.Index(answer[at:], "\r\n\r\n"); end >= 0 {
		return answer[:at+end+4]
	}
	return answer
}

// FuzzAnswers feeds both paths the same bytes from a service.
func FuzzAnswers(f *testing.F) {
	for _, answer := range answers() {
		f.Add([]byte(answer), false)
		f.Add([]byte(headOf(answer)), true)
	}
	log.SetOutput(io.Discard) // where net/http tells what nobody asked for
	hasty, patient := startPaths(f, stall), startPaths(f, stalled)
	f.Fuzz(func(t *testing.T, answer []byte, head bool) {
		method := "GET"
		if head {
			method = "HEAD"
		}
		if len(answer) <= 64<<10 {
			compareAnswers(t, hasty, patient, method, string(answer))
		}
	})
}
