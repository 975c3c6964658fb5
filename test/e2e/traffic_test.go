//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The bounds of one traffic, whatever a story does.
const (
	connections = 16
	maxRequests = 300_000
	maxTraffic  = 10 * time.Minute
)

// traffic is ordinary users: so many connections, on each one request after the
// other, through the gateway of this machine.
type traffic struct {
	alike  []string // the services whose versions must agree within a request
	sent   atomic.Int64
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	samples []sample
}

// sample is one request and what came of it.
type sample struct {
	sent, answered time.Time
	version        string // of the first of the services that must agree
	path           string // as the fleet tells it
	mixed          bool
	err            error
}

// traffic begins traffic to a path of a fleet. It ends with stop, with the test,
// or at its bounds.
func (s *stage) traffic(t *testing.T, f *fleet, path string, alike []string) *traffic {
	return s.trafficAt(t, f, f.Host, path, alike, connections)
}

// trafficAt is traffic by one of the hosts at a fleet's gateway, over so many
// connections.
func (s *stage) trafficAt(t *testing.T, f *fleet, host, path string, alike []string, connections int) *traffic {
	ctx, cancel := context.WithTimeout(s.ctx, maxTraffic)
	tr := &traffic{alike: alike, cancel: cancel}
	for range connections {
		tr.done.Go(func() {
			a := &asker{address: f.address()}
			defer a.close()
			for ctx.Err() == nil && tr.sent.Add(1) <= maxRequests {
				tr.one(a, host, path)
			}
		})
	}
	t.Cleanup(func() { tr.stop() })
	return tr
}

func (tr *traffic) one(a *asker, host, path string) {
	one := sample{sent: time.Now()}
	r, err := a.ask(host, path, nil)
	if one.answered, one.err = time.Now(), err; r.Service != "" {
		one.path = r.Answer.String()
	}
	switch {
	case err != nil:
	case r.status != http.StatusOK:
		one.err = fmt.Errorf("%d: %.200s", r.status, r.body)
	default:
		one.version, one.mixed = versionOf(r, tr.alike)
	}
	if one.err == nil && one.version == "" {
		one.err = fmt.Errorf("no service of %v answered: %.200s", tr.alike, r.body)
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.samples = append(tr.samples, one)
}

// versionOf is the version of the first of some services in an answer, and
// whether another one of them has a different one.
func versionOf(r reply, alike []string) (version string, mixed bool) {
	for _, a := range r.All() {
		switch {
		case !slices.Contains(alike, a.Service):
		case version == "":
			version = a.Version
		case a.Version != version:
			mixed = true
		}
	}
	return version, mixed
}

// answered waits until so many more requests have been answered.
func (tr *traffic) answered(t *testing.T, s *stage, more int) {
	t.Helper()
	count := func() int {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		return len(tr.samples)
	}
	want := count() + more
	s.await(t, fmt.Sprintf("%d more answers", more), time.Minute, func() error {
		if got := count(); got < want {
			return fmt.Errorf("%d are missing", want-got)
		}
		return nil
	})
}

// stop lets what is under way finish and returns what the traffic came to.
func (tr *traffic) stop() *report {
	tr.cancel()
	tr.done.Wait()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	r := &report{samples: tr.samples, versions: map[string]int{}}
	for _, one := range tr.samples {
		switch {
		case one.err != nil:
			r.failed++
		case one.mixed:
			r.mixed++
		default:
			r.versions[one.version]++
		}
	}
	return r
}

// report is what traffic came to.
type report struct {
	failed, mixed int
	versions      map[string]int // requests that were answered by one version alone
	samples       []sample
}

// String is "0 failed, 0 mixed of 1200".
func (r *report) String() string {
	return fmt.Sprintf("%d failed, %d mixed of %d", r.failed, r.mixed, len(r.samples))
}

// trouble names the first of what failed or was mixed; nil if nothing did.
func (r *report) trouble() error {
	var first []string
	for _, one := range r.samples {
		if (one.err != nil || one.mixed) && len(first) < 10 {
			first = append(first, fmt.Sprintf("%s after %s: %s: %v", one.sent.Format("15:04:05.000"),
				one.answered.Sub(one.sent).Round(time.Millisecond), one.path, one.err))
		}
	}
	if len(first) == 0 {
		return nil
	}
	return errors.New(r.String() + "\n  " + strings.Join(first, "\n  "))
}

// switched tells of a switch from one version to another, asked for at a
// moment: when the first request was sent that the new one answered, and the
// last one that any of the old ones took part in. Both count from that moment;
// only requests sent from it on, and before until, are looked at.
func (r *report) switched(from, until time.Time, version string) (first, last time.Duration) {
	for _, one := range r.samples {
		at := one.sent.Sub(from)
		switch {
		case at < 0 || one.sent.After(until) || one.err != nil:
		case one.version == version && !one.mixed:
			if first == 0 || at < first {
				first = at
			}
		default:
			last = max(last, at)
		}
	}
	return first, last
}
