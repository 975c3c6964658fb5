// Package metrics counts, for Prometheus, what goes through a fleet and what
// became of its releases.
//
// It owns a registry, the names and labels of all metrics, and their lifetime:
// what is counted of a release goes when it ends. It satisfies gateway.Metrics
// and what the controller asks for, and must not import the controller; who
// counts decides what happened.
//
// Start at Metrics.
package metrics

import (
	"net/http"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/greenroom-dev/greenroom/internal/gateway"
)

// Metrics is a registry with greenroom's metrics, those of the Go runtime and
// of the process. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	requests   *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	inFlight   *prometheus.GaugeVec
	unstamped  *prometheus.CounterVec
	late       *prometheus.CounterVec
	ownErrors  *prometheus.CounterVec
	phase      *prometheus.GaugeVec
	promotions *prometheus.CounterVec
	hold       *hold

	history history
}

// durationBuckets are the upper bounds of the durations' histogram, in seconds.
var durationBuckets = [...]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// New returns Metrics that name greenroom's version. Nothing is shared between
// two of them.
func New(version string) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: counter("greenroom_requests_total",
			"Requests that ended, by where they were seen. A gRPC status counts as the HTTP status that it corresponds to. Code class broken: the answer broke off.",
			"hop", "service", "release", "code_class"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "greenroom_request_duration_seconds",
			Help:    "Time from a request's header to the end of its answer, at either hop. Upgraded connections are not part of it.",
			Buckets: durationBuckets[:],
		}, []string{"service", "release", "code_class"}),
		inFlight: gauge("greenroom_in_flight",
			"Requests, streams and upgraded connections under way.", "service", "release"),
		unstamped: counter("greenroom_unstamped_calls_total",
			"Calls between services whose stamp did not decide where they went.", "caller", "callee", "reason"),
		late: counter("greenroom_late_calls_total",
			"Calls between services with the stamp of a view that has ended.", "caller", "callee"),
		ownErrors: counter("greenroom_own_errors_total",
			"Answers that were greenroom's own, by X-Greenroom-Error.", "code"),
		phase: gauge("greenroom_release_phase",
			"1 for the phase that a release is in.", "release", "phase"),
		promotions: counter("greenroom_promotions_total",
			"Switches of what ordinary requests get, by kind.", "kind"),
		hold: newHold(),
	}
	build := gauge("greenroom_build_info", "1, with what greenroom was built from.", "version", "revision", "goversion")
	build.WithLabelValues(version, revision(), runtime.Version()).Set(1)
	m.registry.MustRegister(m.requests, m.duration, m.inFlight, m.unstamped, m.late, m.ownErrors, m.phase, m.promotions, m.hold, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}

// Handler serves the metrics in Prometheus's formats.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// Flow returns the handles of the requests to a service in a release's view.
func (m *Metrics) Flow(service, release string) gateway.FlowMetrics {
	return &flow{metrics: m, service: service, release: release, inFlight: m.inFlight.WithLabelValues(service, release)}
}

// Unstamped counts a call outside the promise.
func (m *Metrics) Unstamped(caller, callee, reason string) {
	m.unstamped.WithLabelValues(caller, callee, reason).Inc()
}

// Late counts a call with the stamp of a view that has ended.
func (m *Metrics) Late(caller, callee string) { m.late.WithLabelValues(caller, callee).Inc() }

// OwnError counts an answer of greenroom's own.
func (m *Metrics) OwnError(code string) { m.ownErrors.WithLabelValues(code).Inc() }

// Phase says that a release entered a phase, or left it.
func (m *Metrics) Phase(release, phase string, on bool) {
	if !on {
		m.phase.DeleteLabelValues(release, phase)
		return
	}
	m.phase.WithLabelValues(release, phase).Set(1)
}

// Switched counts a change of what ordinary requests get: promote, rollback.
func (m *Metrics) Switched(kind string) { m.promotions.WithLabelValues(kind).Inc() }

// Forget removes what is counted of a release, so that a fleet's history does
// not pile up in its metrics. Requests of it that end later are not counted.
func (m *Metrics) Forget(release string) {
	of := prometheus.Labels{"release": release}
	m.requests.DeletePartialMatch(of)
	m.duration.DeletePartialMatch(of)
	m.inFlight.DeletePartialMatch(of)
	m.phase.DeletePartialMatch(of)
	m.history.forget(release)
}
