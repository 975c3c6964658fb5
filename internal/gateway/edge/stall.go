package edge

import (
	"net/http"
	"sync"
	"time"
)

// patience gives up on an exchange whose client stalls. It is what a timer may
// safely call: a ResponseWriter must not be touched once its handler has
// returned, and stopping a timer does not wait for one that has just fired.
type patience struct {
	mu    sync.Mutex
	over  bool
	after func()
}

// lose calls after, unless end was called before.
func (p *patience) lose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		p.after()
	}
}

// end lets the handler return.
func (p *patience) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
}

// streamWriter resets an HTTP/2 stream whose client does not take what it is
// sent: it may keep the stream's window shut while its connection is alive, and
// a deadline of the connection never sees that. Such a stream would hold its
// request, and a share of what a service sent, for ever.
type streamWriter struct {
	http.ResponseWriter
	control  *http.ResponseController
	patience patience
	stall    time.Duration
	timer    *time.Timer // nil before the first write
}

func newStreamWriter(w http.ResponseWriter, stall time.Duration) *streamWriter {
	s := &streamWriter{ResponseWriter: w, control: http.NewResponseController(w), stall: stall}
	s.patience.after = func() { s.control.SetWriteDeadline(time.Unix(1, 0)) }
	return s
}

// Unwrap is for http.ResponseController.
func (s *streamWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *streamWriter) Write(p []byte) (int, error) {
	s.start()
	defer s.timer.Stop()
	return s.ResponseWriter.Write(p)
}

// FlushError is what http.ResponseController calls.
func (s *streamWriter) FlushError() error {
	s.start()
	defer s.timer.Stop()
	return s.control.Flush()
}

func (s *streamWriter) start() {
	if s.timer == nil {
		s.timer = time.AfterFunc(s.stall, s.patience.lose)
		return
	}
	s.timer.Reset(s.stall)
}

// end must be called when the handler returns. What is buffered by then the
// server writes afterwards, under a deadline.
func (s *streamWriter) end() {
	s.patience.end()
	s.control.SetWriteDeadline(time.Now().Add(s.stall))
}
