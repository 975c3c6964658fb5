package metrics

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Held is what a hold of the fleet comes to at present.
type Held struct {
	Mode    string // wait, writes-only or page; "": the fleet is not on hold
	Waiting int    // requests
}

// hold collects what somebody else knows, when it is asked for.
type hold struct {
	look        atomic.Pointer[func() Held]
	on, waiting *prometheus.Desc
}

func newHold() *hold {
	return &hold{
		on: prometheus.NewDesc("greenroom_hold", "1 for the mode in which the fleet is on hold, 0 for the others.", []string{"mode"}, nil),
		waiting: prometheus.NewDesc("greenroom_hold_waiting_requests",
			"Requests that wait at the edge: on hold, or for their turn after one.", nil, nil),
	}
}

// FollowHold has what look returns in the metrics from now on.
func (m *Metrics) FollowHold(look func() Held) { m.hold.look.Store(&look) }

// Describe implements prometheus.Collector.
func (h *hold) Describe(to chan<- *prometheus.Desc) { to <- h.on; to <- h.waiting }

// Collect implements prometheus.Collector.
func (h *hold) Collect(to chan<- prometheus.Metric) {
	var now Held
	if look := h.look.Load(); look != nil {
		now = (*look)()
	}
	for _, mode := range []string{"wait", "writes-only", "page"} {
		on := 0.0
		if mode == now.Mode {
			on = 1
		}
		to <- prometheus.MustNewConstMetric(h.on, prometheus.GaugeValue, on, mode)
	}
	to <- prometheus.MustNewConstMetric(h.waiting, prometheus.GaugeValue, float64(now.Waiting))
}
