package forward

import (
	"crypto/rand"
	"encoding/binary"
	"io"
	"sync"
)

// The codes of Close frames (RFC 6455, section 7.4, and its registry).
const (
	closeGoingAway      = 1001 // what a client says that leaves
	closeServiceRestart = 1012 // the client should connect again
)

const opClose = 8

// closeReason travels in Close frames; those carry at most 123 bytes of it.
const closeReason = "the release this connection belongs to has ended"

// direction is one half of a tunnel. It follows the frames of a WebSocket, so
// that a Close frame of ours never lands inside another.
type direction struct {
	src    io.Reader
	dst    io.Writer
	masked bool  // towards a server
	copied int64 // bytes; valid after run

	mu     sync.Mutex // held while writing
	frames frames
	ending bool // say goodbye at the next boundary
	said   bool // our Close frame is out: nothing may follow it
}

// run copies until src ends, or its Close frame has come after ours went.
func (d *direction) run(websocket bool) error {
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	for {
		n, err := d.src.Read(buf[:])
		if n > 0 {
			over, werr := d.pass(buf[:n], websocket)
			if over || werr != nil {
				return werr
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// pass writes p, as far as it may still be written.
func (d *direction) pass(p []byte, websocket bool) (over bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !websocket {
		return false, d.write(p)
	}
	for len(p) > 0 {
		n := d.frames.follow(p, d.ending)
		if !d.said {
			if err := d.write(p[:n]); err != nil {
				return true, err
			}
			if d.ending {
				if err := d.goodbye(); err != nil {
					return true, err
				}
			}
		}
		p = p[n:]
		if d.said && d.frames.closed && d.frames.boundary() {
			return true, nil // both sides have said it
		}
	}
	return false, nil
}

func (d *direction) write(p []byte) error {
	n, err := d.dst.Write(p)
	d.copied += int64(n)
	return err
}

// endPolitely writes a Close frame now or, inside a frame, when that has ended.
func (d *direction) endPolitely() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ending = true
	_ = d.goodbye() // the copying direction sees the same error
}

// goodbye writes the Close frame if this is the place for it. A side that has
// sent its own needs none.
func (d *direction) goodbye() error {
	if d.said || d.frames.closed || !d.frames.boundary() {
		return nil
	}
	d.said = true
	_, err := d.dst.Write(closeFrame(d.masked))
	return err
}

// told reports whether a Close frame of ours was written.
func (d *direction) told() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.said
}

// closeFrame returns a Close frame of ours, masked with a random key when it goes
// to a server.
func closeFrame(masked bool) []byte {
	code := uint16(closeServiceRestart)
	if masked {
		code = closeGoingAway
	}
	payload := append(binary.BigEndian.AppendUint16(nil, code), closeReason...)
	frame := []byte{0x80 | opClose, byte(len(payload))}
	if !masked {
		return append(frame, payload...)
	}
	frame[1] |= 0x80
	key := make([]byte, 4)
	_, _ = rand.Read(key) // never fails
	for i := range payload {
		payload[i] ^= key[i%4]
	}
	return append(append(frame, key...), payload...)
}

// frames follows a stream of WebSocket frames (RFC 6455, section 5.2). Its zero
// value stands before the first frame.
type frames struct {
	head   [14]byte
	have   int    // bytes of head
	left   uint64 // bytes of payload still to come
	closed bool   // a Close frame has begun
}

// boundary reports whether a frame may be put in here.
func (f *frames) boundary() bool { return f.have == 0 && f.left == 0 }

// follow takes p, to its end or, with stop, to the first boundary behind its
// beginning. It returns how many bytes it took.
func (f *frames) follow(p []byte, stop bool) int {
	at := 0
	for at < len(p) {
		if f.left > 0 {
			n := int(min(f.left, uint64(len(p)-at)))
			f.left -= uint64(n)
			at += n
		} else {
			f.head[f.have] = p[at]
			f.have++
			at++
			f.begin()
		}
		if stop && f.boundary() {
			break
		}
	}
	return at
}

// begin looks whether the header is whole, and turns to the payload if so.
func (f *frames) begin() {
	if f.have < 2 {
		return
	}
	need := 2
	length := uint64(f.head[1] & 0x7f)
	switch length {
	case 126:
		need += 2
	case 127:
		need += 8
	}
	if f.head[1]&0x80 != 0 {
		need += 4
	}
	if f.have < need {
		return
	}
	switch length {
	case 126:
		length = uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		length = binary.BigEndian.Uint64(f.head[2:])
	}
	f.closed = f.closed || f.head[0]&0x0f == opClose
	f.have, f.left = 0, length
}
