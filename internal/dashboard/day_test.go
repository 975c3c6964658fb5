//go:build e2e

package dashboard

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/test/browser/harness"
)

// TestADayOpen lets a page of the log be open while a day's events happen, one a
// second: it holds no more afterwards, and has one stream.
func TestADayOpen(t *testing.T) {
	const day, step, most = 86_400, 200, 10 << 20
	s := open(t, "")
	code, _, _ := s.links.Make("ann", httpapi.Viewer)
	b := harness.Open(t, harness.Profile{Within: 15 * time.Minute})
	b.Visit(s.url + "/login#" + code)
	b.Shows("Serving r41")
	b.Visit(s.url + "/events")
	b.Shows("ReleaseOpened")
	before := b.Heap()
	for n := 0; n < day; n += step {
		s.change(func() {
			for i := range step {
				s.events = append(s.events, client.Event{Seq: uint64(len(s.events) + 1), Time: time.Unix(int64(n+i), 0), Type: "Tick", Who: "ann", Message: fmt.Sprintf("number %d", n+i)})
			}
			s.events = s.events[:len(s.events):len(s.events)]
		})
		last := fmt.Sprintf("ev-%d", len(s.events))
		harness.Eventually(t, "the page has "+last, func() error {
			if !harness.Value[bool](b, fmt.Sprintf("!!document.getElementById(%q)", last)) {
				return fmt.Errorf("not yet")
			}
			return nil
		})
	}
	after := b.Heap()
	rows := harness.Value[int](b, "document.querySelectorAll('#rows tr').length")
	t.Logf("%d events: the page's heap was %.1f MB and is %.1f MB, with %d rows", day, before/1e6, after/1e6, rows)
	if after-before > most || rows != eventsShown {
		t.Errorf("it grew by %.1f MB, and has %d rows", (after-before)/1e6, rows)
	}
	s.d.hub.mu.Lock()
	defer s.d.hub.mu.Unlock()
	if s.d.hub.pages != 1 {
		t.Errorf("%d streams are open", s.d.hub.pages)
	}
}

// TestIdleCost measures what five open pages of a fleet of fifty services cost
// while nothing happens.
func TestIdleCost(t *testing.T) {
	const pages, services, watched = 5, 50, 10 * time.Second
	s := open(t, "")
	for i := range services {
		v := s.status.Services[0].Versions[0]
		v.ID, v.Service = fmt.Sprintf("s%d@v1", i), fmt.Sprintf("s%d", i)
		s.status.Services = append(s.status.Services, client.Service{Name: v.Service, Protocol: "http", Versions: []client.Version{v}})
	}
	c := s.loggedIn("s-viewer")
	for range pages {
		s.await(s.follow(c, "kind=fleet"), "picture", "s49")
	}
	began := cpu(t)
	time.Sleep(watched) // it is idleness that is measured
	used := cpu(t) - began
	share := 100 * used.Seconds() / watched.Seconds()
	t.Logf("%d pages of %d services took %.2f %% of a core", pages, services, share)
	if share > 5 { // the promise is 1; other work of a crowded machine shall not fail it
		t.Errorf("it took %.2f %% of a core", share)
	}
}

func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
