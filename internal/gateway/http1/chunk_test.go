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
		"1;" + strings.Repeat("x", 4000) + "\r\na":      true,
		"1;" + strings.Repeat("x", 4200) + "\r\na":      false,
		"0\r\nA: " + strings.Repeat("x", 4000) + "\r\n": true,
		"0\r\nA: " + strings.Repeat("x", 4200):          false,
		"0\r\nA: " + strings.Repeat("x", 4200) + "\r\n": false,
		"0\r\n" + strings.Repeat("A: xxxxxx\r\n", 500):  false,

		"0\r\n" + strings.Repeat("A: xxxxxx\r\n", 500) + "\r\n": false,
		"0\r\nA: " + strings.Repeat("x", 4<<10-7) + "\r\n\r\n":  true,
		"0\r\nA: " + strings.Repeat("x", 4<<10-6) + "\r\n\r\n":  false,

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
