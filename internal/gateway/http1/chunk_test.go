package http1_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/internal/gateway/http1"
)

// What stands around the data of chunks has bounds (RFC 9112, section 7.1: a
// recipient must anticipate large sizes and not overflow).
func TestChunkBounds(t *testing.T) {
	for in, good := range map[string]bool{
		"3fffffffffffffff\r\na":                         true,
		"4000000000000000\r\na":                         false,
		"8000000000000000\r\na":                         false,
		"ffffffffffffffff\r\na":                         false,
		"0000000000000001\r\na":                         true,
		"00000000000000001\r\na":                        false,
		"1;" + strings.Repeat("x", 4<<10-4) + "\r\na":   true,
		"1;" + strings.Repeat("x", 4<<10-3) + "\r\na":   false,
		"0\r\nA: " + strings.Repeat("x", 4000) + "\r\n": true,
		"0\r\nA: " + strings.Repeat("x", 4200):          false,
		"0\r\nA: " + strings.Repeat("x", 4200) + "\r\n": false,
		"0\r\n" + strings.Repeat("A: xxxxxx\r\n", 500):  false,

		"0\r\n" + strings.Repeat("A: xxxxxx\r\n", 500) + "\r\n": false,
		"0\r\nA: " + strings.Repeat("x", 4<<10-7) + "\r\n\r\n":  true,
		"0\r\nA: " + strings.Repeat("x", 4<<10-6) + "\r\n\r\n":  false,

		strings.Repeat("1;"+strings.Repeat("x", 998)+"\r\na\r\n", 16): true,
		strings.Repeat("1;"+strings.Repeat("x", 998)+"\r\na\r\n", 17): false,
		strings.Repeat("1\r\na\r\n", 20_000):                          true,
		"3fffffffffffffff;" + strings.Repeat("x", 4000) + "\r\na":     true,

		"1\r\naX\n": false,
		"1\r\na\rX": false,
		"\r\n":      false,
		";a\r\n":    false,
		"1\n":       false,
		"-1\r\n":    false,
		"1 \r\n":    false,
	} {
		for _, step := range []int{1, len(in)} {
			_, _, err := readChunks([]byte(in), step)
			if (err == nil) != good || err != nil && !errors.Is(err, http1.ErrMalformed) {
				t.Errorf("%.40q, %d at a time: %v", in, step, err)
			}
		}
	}
}

// What a service sends is read as net/http reads it, where that is clear.
func TestLooseChunks(t *testing.T) {
	for in, want := range map[string]struct{ data, trailer string }{
		"3 \r\nabc\r\n2\t \r\nde\r\n0\r\n\r\n":        {"abcde", ""},
		"3\r\nabc\r\n0\r\nA: b\r\n c\r\nB: d\r\n\r\n": {"abc", "A: b c\r\nB: d\r\n"},
		"3\r\nabc\r\n0\r\nA : b\r\nB: d\r\n\r\n":      {"abc", "B: d\r\n"}, // a name that is no token is not sent on
		"3\r\nabc\r\n0\r\nA: b\nB: d\r\n\r\n":         {"abc", "A: b\r\nB: d\r\n"},
		"3\r\nabc\r\n0\r\nB: d\r\nA: b\r\n\r\n":       {"abc", "B: d\r\nA: b\r\n"},
	} {
		for _, step := range []int{1, len(in)} {
			data, trailer, over, err := readBody([]byte(in), step, http1.Chunks{Loose: true})
			if got := string(trailer.Append(nil)); string(data) != want.data || got != want.trailer || !over || err != nil {
				t.Errorf("%q, %d at a time: %q, %q, %v, %v", in, step, data, got, over, err)
			}
		}
	}
	for _, in := range []string{"3 x\r\nabc\r\n", " 3\r\nabc\r\n", "3 ;a\r\nabc\r\n", "3 3\r\nabc\r\n", "0\r\nno field\r\n\r\n", "3\nabc\r\n", "0\r\nA: " + strings.Repeat("x", 4<<10-6) + "\r\n\r\n"} {
		if _, _, _, err := readBody([]byte(in), len(in), http1.Chunks{Loose: true}); !errors.Is(err, http1.ErrMalformed) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// A trailer must not say where a body ends (RFC 9110, section 6.5.1).
func TestAnswerAnnouncesFraming(t *testing.T) {
	for names, good := range map[string]bool{"A": true, "A, B": true, "": true, "A, content-length": false, "Transfer-Encoding": false, "Trailer ,A": false} {
		var a http1.Answer
		err := a.Parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: " + names + "\r\n\r\n")
		if (err == nil) != good {
			t.Errorf("%q: %v", names, err)
		}
	}
}
