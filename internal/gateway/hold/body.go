package hold

import (
	"io"
	"sync"
)

// Body keeps what comes of a request's body while the request waits, and gives
// it back afterwards, followed by the rest. A server that speaks HTTP/1.1
// notices that a client has left only when it has read all of the body.
type Body struct {
	from io.ReadCloser
	room func(bytes int64) bool

	mu     sync.Mutex
	change sync.Cond // of what is kept, err, or reading
	kept   [][]byte  // not empty ones
	err    error     // after what is kept
	going  bool      // requests go on: nothing more is kept than what is being read
	ended  chan struct{}
}

// piece is how much is read at once, in bytes.
const piece = 8 << 10

// Keep begins to read from, of which length bytes are to come, or -1 where that
// is not known. room is asked for bytes that are to be kept, but not for those
// of a known length; where it says no, nothing more is read.
func Keep(from io.ReadCloser, length int64, room func(bytes int64) bool) *Body {
	b := &Body{from: from, room: room, ended: make(chan struct{})}
	b.change.L = &b.mu
	go b.read(length)
	return b
}

func (b *Body) read(length int64) {
	defer func() {
		b.mu.Lock()
		close(b.ended)
		b.change.Broadcast()
		b.mu.Unlock()
	}()
	var space []byte
	for b.wanted() {
		if len(space) == 0 {
			size := int64(piece)
			if length >= 0 {
				size = min(size, max(length, 1))
			} else if !b.room(size) {
				return
			}
			space = make([]byte, size)
		}
		n, err := b.from.Read(space)
		b.mu.Lock()
		if n > 0 {
			b.kept = append(b.kept, space[:n:n])
			space = space[n:]
		}
		if length >= 0 {
			length = max(0, length-int64(n))
		}
		b.err = err
		b.change.Broadcast()
		b.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (b *Body) wanted() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.going
}

// Go lets whoever reads have the rest as it comes.
func (b *Body) Go() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.going = true
}

// Read returns what was kept, then the rest.
func (b *Body) Read(p []byte) (int, error) {
	b.mu.Lock()
	for {
		switch {
		case len(b.kept) > 0:
			n := copy(p, b.kept[0])
			if b.kept[0] = b.kept[0][n:]; len(b.kept[0]) == 0 {
				b.kept[0] = nil
				b.kept = b.kept[1:]
			}
			b.mu.Unlock()
			return n, nil
		case b.err != nil:
			err := b.err
			b.mu.Unlock()
			return 0, err
		case b.over():
			b.mu.Unlock()
			return b.from.Read(p)
		}
		b.change.Wait()
	}
}

func (b *Body) over() bool {
	select {
	case <-b.ended:
		return true
	default:
		return false
	}
}

// Close closes the body that is read from.
func (b *Body) Close() error { return b.from.Close() }

// Stop ends the reading, and returns when nobody reads any more. wake has to
// make a read that waits for the client return; it is not called where nothing
// is being read.
func (b *Body) Stop(wake func()) {
	b.Go()
	if b.over() {
		return
	}
	wake()
	<-b.ended
}
