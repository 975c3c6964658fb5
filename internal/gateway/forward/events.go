package forward

import (
	"io"
	"sync"
	"time"
)

// LastEvent tells the reader of an event stream that it should come again.
const LastEvent = "event: greenroom\ndata: {\"reason\":\"the release this stream belongs to has ended\"}\n\n"

// Events follows a text/event-stream from event to event.
type Events struct {
	text    bool // the current line is not empty
	inside  bool // an event has begun and not ended
	afterCR bool // a line feed belongs to the line end before it
}

// Inside reports whether the stream stands within an event.
func (s *Events) Inside() bool { return s.inside }

// Follow takes the next bytes of the stream. It returns the offset behind the
// last event that ends in p, and -1 when none does.
func (s *Events) Follow(p []byte) (end int) {
	end = -1
	for i, c := range p {
		switch {
		case c == '\n' && s.afterCR:
			s.afterCR = false
			if !s.inside {
				end = i + 1
			}
		case c == '\n' || c == '\r':
			s.afterCR = c == '\r'
			if !s.text {
				s.inside = false
				end = i + 1
			}
			s.text = false
		default:
			s.text, s.inside, s.afterCR = true, true, false
		}
	}
	return end
}

// copyEvents copies an event stream until it ends or must end. In the latter case
// it writes a last event between two others and the body ends in good order, so
// that the client comes again.
func (e *exchange) copyEvents(src io.Reader) error {
	var (
		mu     sync.Mutex // guards stream and ending
		stream Events
		ending bool
		grace  *time.Timer
	)
	stop := e.onEnd(func() {
		mu.Lock()
		defer mu.Unlock()
		ending = true
		if !stream.inside {
			e.cancel(errEnded)
			return
		}
		grace = time.AfterFunc(e.grace, func() { e.cancel(errEnded) })
	})
	defer func() {
		stop()
		if grace != nil {
			grace.Stop()
		}
	}()
	if err := e.control.Flush(); err != nil {
		return clientError{err}
	}
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	for {
		n, err := src.Read(buf[:])
		mu.Lock()
		between := !stream.inside
		end := stream.Follow(buf[:n])
		bye := (ending || e.over()) && (between || end >= 0)
		mu.Unlock()
		if bye {
			return e.lastEvent(buf[:max(end, 0)])
		}
		if n > 0 {
			if err := e.write(buf[:n], err == nil); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return e.readError(err)
		}
	}
}

// lastEvent writes what is left of whole events, and the last one.
func (e *exchange) lastEvent(rest []byte) error {
	e.res.Ended = true
	if len(rest) > 0 {
		if err := e.write(rest, false); err != nil {
			return err
		}
	}
	return e.write([]byte(LastEvent), true)
}
