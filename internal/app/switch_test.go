package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/controller"
	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/edge"
	"github.com/greenroom-dev/greenroom/internal/gateway/mesh"
	"github.com/greenroom-dev/greenroom/internal/metrics"
	"github.com/greenroom-dev/greenroom/internal/platform/local"
	"github.com/greenroom-dev/greenroom/internal/release"
	"github.com/greenroom-dev/greenroom/internal/stage"
	"github.com/greenroom-dev/greenroom/internal/store"
)

// clockedStore notes when what it saved was durable.
type clockedStore struct {
	controller.Store
	durable atomic.Int64 // of the last save, in Unix nanoseconds
}

func (c *clockedStore) Save(revision uint64, data json.RawMessage, events []release.Event) error {
	err := c.Store.Save(revision, data, events)
	c.durable.Store(time.Now().UnixNano())
	return err
}

// figures are the times of many switches.
type figures []time.Duration

func (f figures) at(q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(f))
	return sorted[int(q*float64(len(sorted)-1))]
}

func (f figures) String() string {
	return fmt.Sprintf("p10 %v, p50 %v, p99 %v", f.at(0.1).Round(time.Microsecond), f.at(0.5).Round(time.Microsecond), f.at(0.99).Round(time.Microsecond))
}

// switched is one fleet of services named by endpoints, switched to and fro.
type switched struct {
	t     *testing.T
	store *clockedStore
	c     *controller.Controller
	url   string

	mu     sync.Mutex
	first  map[string]int64 // version → when it was first answered since the map was made
	client *http.Client
}

// newSwitched wires what a switch goes through: store, controller and gateway
// with its edge, all of them as New does.
func newSwitched(t *testing.T, services int) *switched {
	t.Helper()
	dir := t.TempDir()
	file, err := store.Open(filepath.Join(dir, "greenroom.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	log := slog.New(slog.DiscardHandler)
	meters := metrics.New("test")
	gw := gateway.New(gateway.Options{Metrics: meters, Log: log, Now: time.Now})
	t.Cleanup(gw.Close)
	processes, err := local.New(local.Options{Dir: filepath.Join(dir, "services"), Shim: []string{"/bin/false"}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = processes.Close() })
	h := newHops(gw, stage.New(stageLease, time.Time{}))
	p, err := newPlatform(processes, mesh.New(gw, mesh.Options{Seed: dir}), h, filepath.Join(dir, "addresses.json"))
	if err != nil {
		t.Fatal(err)
	}
	p.forgotten = func() {}
	s := &switched{t: t, store: &clockedStore{Store: records{file}}, client: &http.Client{Transport: &http.Transport{}}}
	f := fleetOfEndpoints(t, services, "v1")
	by := release.Actor{Who: "test"}
	s.c, err = controller.New(controller.Options{
		Store: s.store, Platform: p, Hops: h, Hooks: &hooks{runs: map[string]hookRun{}}, Metrics: meters, Log: log, Now: time.Now,
	}, func(now time.Time) (controller.Record, error) { return first(f, by, now), nil })
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(edge.NewHandler(gw, edge.Options{}))
	t.Cleanup(server.Close)
	s.url = server.URL
	ctx, cancel := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	loops.Go(func() { _ = s.c.Run(ctx) })
	t.Cleanup(func() { cancel(); loops.Wait(); s.client.CloseIdleConnections() })
	s.open(fleetOfEndpoints(t, services, "v2"))
	return s
}

func fleetOfEndpoints(t *testing.T, services int, version string) fleet.Fleet {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, version) }))
	t.Cleanup(server.Close)
	f := fleet.Fleet{Name: "live", StampHeader: gateway.DefaultStampHeader, Quiet: time.Minute}
	for n := range services {
		name := fmt.Sprintf("s%d", n)
		v := fleet.Version{Service: name, Name: version, Digest: version, Endpoints: []string{strings.TrimPrefix(server.URL, "http://")}}
		f.Services = append(f.Services, fleet.Service{
			Name: name, Drain: time.Minute, First: v,
			Health: fleet.Health{Kind: fleet.HealthTCP, Interval: time.Minute, Timeout: 10 * time.Second, Failures: 3},
		})
	}
	f.Edge.Routes = []fleet.Route{{Service: f.Services[services-1].Name}}
	return f
}

// open opens a release of all services and waits until it can be promoted.
func (s *switched) open(next fleet.Fleet) {
	s.t.Helper()
	spec := fleet.Release{Name: "r1", RollbackWindow: time.Hour, Keep: time.Hour}
	for _, one := range next.Services {
		spec.Versions = append(spec.Versions, one.First)
	}
	rec := s.c.Record()
	s.move(opening(controller.Source{Name: "r1", Spec: spec}, rec, false))
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for over := time.After(time.Minute); ; {
		checks, err := s.c.Record().State.Checks("r1", s.c.Observe())
		if err == nil && !slices.ContainsFunc(checks, func(c release.Check) bool { return !c.OK }) {
			return
		}
		select {
		case <-tick.C:
		case <-over:
			s.t.Fatalf("the release can not be promoted: %+v, %v", checks, err)
		}
	}
}

func (s *switched) move(m move) {
	s.t.Helper()
	_, err := s.c.Do(s.t.Context(), func(rec controller.Record, o release.Observation, now time.Time) (controller.Record, error) {
		return m(rec, o, release.Actor{Who: "test"}, now)
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// ask sends one request after the other until ctx is done.
func (s *switched) ask(ctx context.Context) error {
	for ctx.Err() == nil {
		resp, err := s.client.Get(s.url)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d %s: %w", resp.StatusCode, body, err)
		}
		s.mu.Lock()
		if _, seen := s.first[string(body)]; !seen && s.first != nil {
			s.first[string(body)] = time.Now().UnixNano()
		}
		s.mu.Unlock()
	}
	return nil
}

// answered waits until a version was answered, and says when it was first.
func (s *switched) answered(version string) int64 {
	s.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for over := time.After(time.Minute); ; {
		s.mu.Lock()
		at, ok := s.first[version]
		s.mu.Unlock()
		if ok {
			return at
		}
		select {
		case <-tick.C:
		case <-over:
			s.t.Fatalf("%s was never answered", version)
		}
	}
}

// measure switches to and fro and returns how long it took from the call until
// the change was durable, and from then until the first request met it.
func (s *switched) measure(switches int) (toDurable, toAnswer figures) {
	s.t.Helper()
	ctx, stop := context.WithCancel(s.t.Context())
	failed := make(chan error, 1)
	go func() { failed <- s.ask(ctx) }()
	to := map[string]move{
		"v2": on(func(st release.State, o release.Observation, by release.Actor, now time.Time) (release.State, error) {
			return st.Promote(release.Promotion{Name: "r1"}, o, by, now)
		}),
		"v1": on(func(st release.State, _ release.Observation, by release.Actor, now time.Time) (release.State, error) {
			return st.Rollback("r1", by, now)
		}),
	}
	for n := range switches {
		version := []string{"v2", "v1"}[n%2]
		s.mu.Lock()
		s.first = map[string]int64{}
		s.mu.Unlock()
		called := time.Now().UnixNano()
		s.move(to[version])
		durable := s.store.durable.Load()
		toDurable = append(toDurable, time.Duration(durable-called))
		toAnswer = append(toAnswer, time.Duration(s.answered(version)-durable))
	}
	stop()
	if err := <-failed; err != nil {
		s.t.Fatal(err)
	}
	return toDurable, toAnswer
}

// TestSwitchCostsTheSameForThousandServices measures promotions and rollbacks.
// How long the disk takes is the machine's affair; what comes after it must not
// depend on how many services there are.
func TestSwitchCostsTheSameForThousandServices(t *testing.T) {
	const switches = 60
	answer := map[int]figures{}
	for _, services := range []int{10, 1000} {
		durable, first := newSwitched(t, services).measure(switches)
		t.Logf("%4d services, %d switches: from call to durable %v; from durable to the first new answer %v", services, switches, durable, first)
		if first.at(0) < 0 {
			t.Errorf("%d services: a request met the change %v before it was durable", services, -first.at(0))
		}
		answer[services] = first
	}
	// The quickest tenth: slower ones tell of the machine's other work.
	if small, large := answer[10].at(0.1), answer[1000].at(0.1); large > 4*small {
		t.Errorf("after it is durable, a switch of 1,000 services takes %v, and one of 10 takes %v", large, small)
	}
}
