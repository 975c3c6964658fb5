package http1_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/internal/gateway/http1"
)

// FuzzMessages reads requests as they come in pieces: nothing panics, nothing
// is read beyond what was given, and where a message ends does not depend on
// the pieces. What is accepted is clear: no byte of it could end a line that
// does not.
func FuzzMessages(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nA: b\r\n\r\n",
		"GET / HTTP/1.0\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"GET / HTTP/1.1\nHost: x\n\n",
		"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close, X-A\r\nX-A: b\r\n\r\n",
	} {
		f.Add([]byte(seed), uint8(3))
	}
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		whole := append(make([]byte, 0, len(in)), in...) // no room behind it
		end, err := http1.HeadEnd(whole, 0)
		if end < 0 || end > len(in) {
			t.Fatalf("the head ends at %d of %d", end, len(in))
		}
		pieces(t, in, int(step)+1, end, err)
		if end == 0 || err != nil {
			return
		}
		head := string(whole[:end])
		var a http1.Answer
		if a.Parse(head) == nil {
			a.Header.StripHopByHop()
			wholeLines(t, string(a.Header.Append(nil)))
		}
		if a.ParseLoosely(head, "GET") == nil && (a.Status < 100 || a.Status > 999) {
			t.Fatalf("status %d", a.Status)
		}
		var r http1.Request
		if err := r.Parse(head); err != nil || r.Minor < 0 {
			return
		}
		if strings.ContainsAny(r.Method+r.Target, "\r\n\x00 ") || strings.ContainsAny(r.Host, "\r\n\x00") {
			t.Fatalf("%q %q %q", r.Method, r.Target, r.Host)
		}
		if r.Minor == 1 && strings.Count(strings.ToLower(head), "\nhost:") != 1 {
			t.Fatalf("not one host: %q", head)
		}
		wholeLines(t, string(r.Header.Append(nil)))
		if r.Length == http1.Chunked {
			chunks(t, whole[end:], int(step)+1)
		}
	})
}

// wholeLines checks that lines are lines.
func wholeLines(t *testing.T, lines string) {
	t.Helper()
	for line := range strings.SplitAfterSeq(lines, "\r\n") {
		line = strings.TrimSuffix(line, "\r\n")
		if strings.ContainsAny(line, "\r\n\x00") || line != "" && (line[0] == ' ' || line[0] == '\t' || strings.IndexByte(line, ':') < 1) {
			t.Fatalf("the line %q in %q", line, lines)
		}
	}
}

// pieces looks for the end again, as it comes.
func pieces(t *testing.T, in []byte, step, end int, err error) {
	t.Helper()
	for n, before := 0, 0; n < len(in); before = n {
		n = min(n+step, len(in))
		e, got := http1.HeadEnd(in[:n:n], before)
		if got != nil || e > 0 {
			if e != end || (got == nil) != (err == nil) {
				t.Fatalf("in pieces the head ends at %d (%v), as a whole at %d (%v)", e, got, end, err)
			}
			return
		}
	}
	if end != 0 || err != nil {
		t.Fatalf("in pieces there is no end, as a whole at %d (%v)", end, err)
	}
}

// chunks reads a body as a whole and in pieces, and what was read again once it
// is written.
func chunks(t *testing.T, in []byte, step int) {
	t.Helper()
	data, over, err := readChunks(in, len(in)+1)
	again, overAgain, errAgain := readChunks(in, step)
	if over != overAgain || (err == nil) != (errAgain == nil) || err == nil && !bytes.Equal(data, again) {
		t.Fatalf("as a whole %q %v %v, in pieces %q %v %v", data, over, err, again, overAgain, errAgain)
	}
	if !over || err != nil {
		return
	}
	rest := append(http1.AppendChunk(nil, data), "0\r\n\r\n"...)
	if back, over, err := readChunks(rest, 7); !bytes.Equal(back, data) || !over || err != nil {
		t.Fatalf("%q came back as %q %v %v", data, back, over, err)
	}
}

func readChunks(in []byte, step int) (data []byte, over bool, err error) {
	data, _, over, err = readBody(in, step, http1.Chunks{})
	return data, over, err
}

func readBody(in []byte, step int, c http1.Chunks) (data []byte, trailer http1.List, over bool, err error) {
	for n := 0; n < len(in) && !c.Over(); {
		b := in[n:min(n+step, len(in)):min(n+step, len(in))]
		for len(b) > 0 && !c.Over() {
			piece, used, err := c.Next(b)
			if err != nil {
				return data, trailer, false, err
			}
			if used <= 0 && !c.Over() || used > len(b) {
				return data, trailer, false, http1.ErrMalformed
			}
			data = append(data, piece...)
			b = b[used:]
			n += used
		}
	}
	if c.Over() {
		err = c.Trailers(&trailer)
	}
	return data, trailer, c.Over(), err
}
