package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/greenroom-dev/greenroom/internal/gateway"
)

// classes are the code classes in the order of their handles.
var classes = [...]string{"broken", "1xx", "2xx", "3xx", "4xx", "5xx"}

// The classes of what failed.
const (
	classBroken = 0
	class5xx    = 5
)

// flow counts the requests to one service in one release's view. Handles are
// looked up when they are needed first, so that series exist only for what
// happened, and kept, so that a request takes no lock.
type flow struct {
	metrics          *Metrics
	service, release string
	inFlight         prometheus.Gauge
	edge, mesh       [len(classes)]atomic.Pointer[handles]
}

// handles are those of one hop and code class.
type handles struct {
	requests prometheus.Counter
	duration prometheus.Observer
}

func (f *flow) Began() { f.inFlight.Inc() }

func (f *flow) Ended(hop gateway.Hop, status int, took time.Duration) {
	f.inFlight.Dec()
	class := 0
	if c := status / 100; c > 0 && c < len(classes) {
		class = c
	}
	slot := &f.edge[class]
	if hop == gateway.Mesh {
		slot = &f.mesh[class]
	}
	h := slot.Load()
	if h == nil {
		h = &handles{
			requests: f.metrics.requests.WithLabelValues(string(hop), f.service, f.release, classes[class]),
			duration: f.metrics.duration.WithLabelValues(f.service, f.release, classes[class]),
		}
		f.metrics.history.saw(f.service, f.release, class, *h)
		slot.Store(h)
	}
	h.requests.Inc()
	if took >= 0 {
		h.duration.Observe(took.Seconds())
	}
}
