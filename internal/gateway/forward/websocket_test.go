package forward

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
	"testing/iotest"
)

// TestFrames follows frames of all header lengths, cut anywhere.
func TestFrames(t *testing.T) {
	var stream []byte
	boundaries := map[int]bool{0: true}
	for _, masked := range []byte{0, 0x80} {
		for _, size := range []int{0, 1, 125, 126, 300, 70000} {
			stream = append(stream, 0x82)
			switch {
			case size < 126:
				stream = append(stream, masked|byte(size))
			case size < 1<<16:
				stream = binary.BigEndian.AppendUint16(append(stream, masked|126), uint16(size))
			default:
				stream = binary.BigEndian.AppendUint64(append(stream, masked|127), uint64(size))
			}
			if masked != 0 {
				stream = append(stream, 1, 2, 3, 4)
			}
			stream = append(stream, bytes.Repeat([]byte{0x88}, size)...)
			boundaries[len(stream)] = true
		}
	}
	for _, r := range []io.Reader{bytes.NewReader(stream), iotest.OneByteReader(bytes.NewReader(stream)), iotest.HalfReader(bytes.NewReader(stream))} {
		var f frames
		at := 0
		buf := make([]byte, 997)
		for {
			n, err := r.Read(buf)
			for p := buf[:n]; len(p) > 0; {
				took := f.follow(p, true)
				p, at = p[took:], at+took
				if f.boundary() != boundaries[at] {
					t.Fatalf("at %d: boundary is %v", at, f.boundary())
				}
			}
			if err != nil {
				break
			}
		}
		if f.closed {
			t.Error("a payload was taken for a Close frame")
		}
		f.follow([]byte{0x88, 0}, false)
		if !f.closed {
			t.Error("a Close frame was not seen")
		}
	}
}
