package metrics

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// HistoryStep is the time between two points of a history.
const HistoryStep = 2 * time.Second

// HistoryPoints is how many points a history has: five minutes.
const HistoryPoints = 150

// Point is what went to a service in a release's view within one step.
type Point struct {
	Requests float64 // per second, that ended
	Failed   float64 // share of them that failed: 5xx, or the answer broke off; 0..1
	P50, P99 float64 // seconds, as exact as the histogram's buckets; 0 without requests
}

// Series is the history of one service in one release's view.
type Series struct {
	Service, Release string
	Points           []Point // oldest first, at most HistoryPoints
}

// history keeps the last minutes of every series. It reads the counters that
// are there anyway, so that a request costs nothing more.
type history struct {
	mu     sync.Mutex
	taken  time.Time // when the last point was; zero before
	series map[seriesKey]*series
}

type seriesKey struct{ service, release string }

// series is what is read of one service and release, and its last points.
type series struct {
	requests map[prometheus.Counter]int  // class of each
	duration map[int]prometheus.Observer // by class
	last     reading                     // at the last step
	points   [HistoryPoints]Point        // a ring
	next, n  int                         // where the next point goes, how many there are
}

// reading is what the counters said.
type reading struct {
	requests, failed float64
	buckets          []uint64 // not cumulative; the last one is beyond all bounds
}

// saw adds counters to a series that had no request of that kind before.
func (h *history) saw(service, release string, class int, c handles) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := seriesKey{service, release}
	s, ok := h.series[key]
	if !ok {
		s = &series{requests: map[prometheus.Counter]int{}, duration: map[int]prometheus.Observer{}}
		if h.series == nil {
			h.series = map[seriesKey]*series{}
		}
		h.series[key] = s
	}
	s.requests[c.requests] = class
	s.duration[class] = c.duration
}

func (h *history) forget(release string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key := range h.series {
		if key.release == release {
			delete(h.series, key)
		}
	}
}

// step takes a point of every series.
func (h *history) step(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	took := now.Sub(h.taken).Seconds()
	first := h.taken.IsZero() || took <= 0
	h.taken = now
	for _, s := range h.series {
		read := s.read()
		if !first {
			s.points[s.next] = read.since(s.last, took)
			s.next = (s.next + 1) % HistoryPoints
			s.n = min(s.n+1, HistoryPoints)
		}
		s.last = read
	}
}

func (s *series) read() reading {
	var out reading
	var m dto.Metric
	for c, class := range s.requests {
		if c.Write(&m) != nil {
			continue
		}
		n := m.GetCounter().GetValue()
		out.requests += n
		if class == classBroken || class == class5xx {
			out.failed += n
		}
	}
	for _, d := range s.duration {
		h, ok := d.(prometheus.Histogram)
		if !ok || h.Write(&m) != nil {
			continue
		}
		out.add(m.GetHistogram())
	}
	return out
}

// add adds a histogram, whose buckets are cumulative.
func (r *reading) add(h *dto.Histogram) {
	if r.buckets == nil {
		r.buckets = make([]uint64, len(durationBuckets)+1)
	}
	below := uint64(0)
	for i, b := range h.GetBucket() {
		if i < len(durationBuckets) {
			r.buckets[i] += b.GetCumulativeCount() - below
			below = b.GetCumulativeCount()
		}
	}
	r.buckets[len(durationBuckets)] += h.GetSampleCount() - below
}

func (r reading) since(last reading, seconds float64) Point {
	n := r.requests - last.requests
	if n <= 0 {
		return Point{}
	}
	counts := make([]uint64, len(durationBuckets)+1)
	for i, c := range r.buckets {
		counts[i] = c
		if i < len(last.buckets) {
			counts[i] -= last.buckets[i]
		}
	}
	return Point{Requests: n / seconds, Failed: (r.failed - last.failed) / n, P50: quantile(counts, 0.5), P99: quantile(counts, 0.99)}
}

// quantile estimates a quantile, taking durations to lie evenly in a bucket.
func quantile(counts []uint64, q float64) float64 {
	total := uint64(0)
	for _, c := range counts {
		total += c
	}
	rank, below, lower := q*float64(total), 0.0, 0.0
	for i, c := range counts {
		if i == len(durationBuckets) {
			return lower // beyond all bounds: at least so much
		}
		upper := durationBuckets[i]
		if c > 0 && below+float64(c) >= rank {
			return lower + (upper-lower)*(rank-below)/float64(c)
		}
		below, lower = below+float64(c), upper
	}
	return 0
}

// Step takes a point of every series. It is called every HistoryStep.
func (m *Metrics) Step(now time.Time) { m.history.step(now) }

// History returns the last points of every series, at most so many, and when
// the last one was taken. Series are sorted by service and release.
func (m *Metrics) History(points int) ([]Series, time.Time) {
	h := &m.history
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]Series, 0, len(h.series))
	for key, s := range h.series {
		one := Series{Service: key.service, Release: key.release}
		for i := max(0, s.n-points); i < s.n; i++ {
			one.Points = append(one.Points, s.points[(s.next-s.n+i+HistoryPoints)%HistoryPoints])
		}
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b Series) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Release, b.Release))
	})
	return out, h.taken
}
