package client

import "time"

// Flow is what goes through the fleet, and went in the last minutes.
type Flow struct {
	At     time.Time    `json:"at" doc:"End of the last point; zero before the first"`
	Every  float64      `json:"every" doc:"Seconds from point to point"`
	Series []FlowSeries `json:"series"`
	Calls  []FlowCall   `json:"calls" doc:"Which versions have called which services since they started"`
	Note   string       `json:"note,omitempty" doc:"Why nothing is measured here"`
}

// FlowSeries is what went to one service in one release's view. Its lists are
// of the same length, the oldest first, and end together.
type FlowSeries struct {
	Service  string    `json:"service"`
	Release  string    `json:"release" doc:"A release's name, or baseline"`
	Requests []float64 `json:"requests" doc:"Per second, that ended"`
	Failed   []float64 `json:"failed" doc:"Share that failed: 5xx, or the answer broke off; 0 to 1"`
	P50      []float64 `json:"p50" doc:"Seconds; 0 without requests"`
	P99      []float64 `json:"p99" doc:"Seconds; 0 without requests"`
}

// FlowCall is calls of a version to a service.
type FlowCall struct {
	Caller string `json:"caller" doc:"Version ID"`
	Callee string `json:"callee" doc:"Service"`
	Count  uint64 `json:"count"`
}
