package operator

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
)

// Metrics count what the operator does, by fleet. What requests do is Istio's
// to count.
type Metrics struct {
	phase    *prometheus.GaugeVec
	switches *prometheus.CounterVec
	arrival  *prometheus.HistogramVec
	rounds   *prometheus.HistogramVec
}

// NewMetrics makes the meters known to a registry.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		phase: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "greenroom_release_phase",
			Help: "1 for the phase that a release is in."}, []string{"namespace", "fleet", "release", "phase"}),
		switches: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "greenroom_switches_total",
			Help: "Changes of what ordinary requests get: promote, rollback."}, []string{"namespace", "fleet", "kind"}),
		arrival: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "greenroom_switch_arrival_seconds",
			Help:    "From a call that switched until every gateway's pod answered with it; switches that did not arrive are not in it.",
			Buckets: []float64{.02, .05, .1, .2, .3, .5, 1, 2, 5, 10, 30}}, []string{"namespace", "fleet"}),
		rounds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "greenroom_round_duration_seconds",
			Help:    "One look at a fleet and all that followed from it, whatever came of it.",
			Buckets: prometheus.ExponentialBuckets(.005, 2, 12)}, []string{"namespace", "fleet"}),
	}
	r.MustRegister(m.phase, m.switches, m.arrival, m.rounds)
	return m
}

// of returns the meters of one fleet, as its controller knows them.
func (m *Metrics) of(fleet types.NamespacedName) fleetMetrics { return fleetMetrics{m, fleet} }

type fleetMetrics struct {
	*Metrics
	fleet types.NamespacedName
}

func (m fleetMetrics) Phase(release, phase string, on bool) {
	if !on {
		m.phase.DeleteLabelValues(m.fleet.Namespace, m.fleet.Name, release, phase)
		return
	}
	m.phase.WithLabelValues(m.fleet.Namespace, m.fleet.Name, release, phase).Set(1)
}

func (m fleetMetrics) Switched(kind string) {
	m.switches.WithLabelValues(m.fleet.Namespace, m.fleet.Name, kind).Inc()
}

func (m fleetMetrics) Forget(release string) {
	m.phase.DeletePartialMatch(prometheus.Labels{"namespace": m.fleet.Namespace, "fleet": m.fleet.Name, "release": release})
}

// arrived says how long a switch took from the call until every gateway had it.
func (m fleetMetrics) arrived(took time.Duration) {
	m.arrival.WithLabelValues(m.fleet.Namespace, m.fleet.Name).Observe(took.Seconds())
}

// looked says how long a round took.
func (m fleetMetrics) looked(took time.Duration) {
	m.rounds.WithLabelValues(m.fleet.Namespace, m.fleet.Name).Observe(took.Seconds())
}
