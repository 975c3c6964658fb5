package api

import (
	"fmt"
	"net/http"
	"time"

	"github.com/greenroom-dev/greenroom/examples/live/internal/trail"
)

// events streams how many people watch, at once and then every second. Before
// this version leaves it says so with a last event, bye; the browser's
// EventSource then connects again and meets the version that serves by then.
func (s *server) events(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	trail.Mark(h, trail.Trail{s.process.Hop()}, false)
	out := http.NewResponseController(w)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	now := time.Now()
	for {
		fmt.Fprintf(w, "event: viewers\ndata: {\"viewers\":%d,\"version\":%q}\n\n", viewers(now), s.process.Version)
		if err := out.Flush(); err != nil {
			return
		}
		select {
		case now = <-tick.C:
		case <-r.Context().Done():
			return
		case <-s.stopping:
			fmt.Fprintf(w, "event: bye\ndata: {\"version\":%q}\n\n", s.process.Version)
			return
		}
	}
}

// viewers makes up an audience that breathes.
func viewers(now time.Time) int {
	second := int(now.Unix() % 60)
	return 2380 + 7*min(second, 60-second) + second%5
}
