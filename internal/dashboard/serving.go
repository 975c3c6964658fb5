package dashboard

import (
	"time"

	"github.com/greenroom-dev/greenroom/client"
)

// servingPart is what every page begins with.
type servingPart struct {
	client.Serving
	Fleet    string
	Named    string // what serves, as people are told it
	Earlier  string // what served before it, likewise
	Open     bool   // it can still be rolled back
	Settling string // the release that is past the point of no return, if it serves
	Hold     *client.Hold
	Lock     *client.Lock
	Freeze   *client.Freeze // that holds
	Warnings []string
	Grants   grants
}

func (d *Dashboard) serving(m *moment, g grants) servingPart {
	s := m.status
	out := servingPart{Serving: s.Serving, Fleet: s.Fleet, Named: s.Named(s.Serving.Release), Earlier: s.Named(s.Serving.Before), Hold: s.Hold, Lock: s.Lock, Warnings: s.Warnings, Grants: g}
	if out.Hold != nil && !out.Hold.On {
		out.Hold = nil
	}
	for _, r := range s.Releases {
		if r.Name == s.Serving.Release && r.Phase == "Live" {
			out.Open = true
		}
	}
	for i, f := range s.Freezes {
		if f.Holds {
			out.Freeze = &s.Freezes[i]
			break
		}
	}
	return out
}

// releaseOf is a release of the status, by name.
func (m *moment) releaseOf(name string) (client.Release, bool) {
	for _, r := range m.status.Releases {
		if r.Name == name {
			return r, true
		}
	}
	return client.Release{}, false
}

// measure is what goes to one service in one release's view now.
type measure struct {
	Key              string // service|release, for the script
	Requests, Failed float64
	P50, P99         float64
	Known            bool
}

// measured is the last point of a service and release.
func (m *moment) measured(service, release string) measure {
	out := measure{Key: service + "|" + release}
	for _, s := range m.flow.Series {
		if n := len(s.Requests); s.Service == service && s.Release == release && n > 0 {
			out.Requests, out.Failed, out.P50, out.P99, out.Known = s.Requests[n-1], s.Failed[n-1], s.P50[n-1], s.P99[n-1], true
		}
	}
	return out
}

// flowNow is what pages are told of the flow.
type flowNow struct {
	At    time.Time            `json:"at"`
	Every float64              `json:"every"`
	Now   map[string][]float64 `json:"now"`   // requests, failed, p50, p99 by service|release
	Shown map[string][]string  `json:"shown"` // the same in words
}

func shownFlow(m *moment) flowNow {
	out := flowNow{Every: m.flow.Every, At: m.flow.At, Now: map[string][]float64{}, Shown: map[string][]string{}}
	for _, s := range m.flow.Series {
		x := m.measured(s.Service, s.Release)
		out.Now[x.Key] = []float64{x.Requests, x.Failed, x.P50, x.P99}
		out.Shown[x.Key] = []string{rate(x.Requests), share(x.Failed), millis(x.P50), millis(x.P99)}
	}
	return out
}
