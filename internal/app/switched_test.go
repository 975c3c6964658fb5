package app

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
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
	"github.com/greenroom-dev/greenroom/internal/verbs"
)

// switchesEnv makes this test binary the process that TestSwitchCostsTheSame…
// measures: the number of services, and the addresses of their two versions.
const switchesEnv = "GREENROOM_TEST_SWITCHES"

// switched is what one switch took, in Unix nanoseconds.
type switched struct{ Called, Durable int64 }

// TestServeSwitches is no test of its own: it is the measured process, and
// passes at once in any other.
func TestServeSwitches(t *testing.T) {
	asked := os.Getenv(switchesEnv)
	if asked == "" {
		return
	}
	var services int
	var before, after string
	if _, err := fmt.Sscan(asked, &services, &before, &after); err != nil {
		t.Fatal(err)
	}
	f := newSwitchedFleet(t, services, before)
	f.open(fleetOfEndpoints(services, "v2", after))
	fmt.Println(f.url)
	out := json.NewEncoder(os.Stdout)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		called := time.Now().UnixNano()
		if in.Text() == "event" {
			f.write()
		} else {
			f.move(f.to(in.Text()))
		}
		if err := out.Encode(switched{called, f.store.durable.Load()}); err != nil {
			t.Fatal(err)
		}
	}
}

// clockedStore notes when what it saved was durable.
type clockedStore struct {
	controller.Store[Record]
	durable atomic.Int64 // of the last save, in Unix nanoseconds
}

func (c *clockedStore) Save(rec Record, events []release.Event) error {
	err := c.Store.Save(rec, events)
	c.durable.Store(time.Now().UnixNano())
	return err
}

// write writes to the file as a switch does, and switches nothing.
func (s *switchedFleet) write() {
	s.t.Helper()
	if err := s.file.Append(store.Event{Type: "Nothing"}); err != nil {
		s.t.Fatal(err)
	}
	s.store.durable.Store(time.Now().UnixNano())
}

// switchedFleet is one fleet of services named by endpoints, switched to and
// fro.
type switchedFleet struct {
	t     testing.TB
	file  *store.Store
	store *clockedStore
	c     *Controller
	url   string
}

// newSwitchedFleet wires what a switch goes through: store, controller and
// gateway with its edge, all of them as New does.
func newSwitchedFleet(t testing.TB, services int, addr string) *switchedFleet {
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
	s := &switchedFleet{t: t, file: file, store: &clockedStore{Store: &records{store: file}}}
	f := fleetOfEndpoints(services, "v1", addr)
	by := release.Actor{Who: "test"}
	s.c, err = controller.New(controller.Options[Record]{
		Store: s.store, Platform: p, Hops: h, Hooks: &hooks{runs: map[string]hookRun{}}, Metrics: meters, Log: log, Now: time.Now, Rest: collect,
	}, func(now time.Time) (Record, error) { return first(f, by, now), nil })
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(edge.NewHandler(gw, edge.Options{}))
	t.Cleanup(server.Close)
	s.url = server.URL
	ctx, cancel := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	loops.Go(func() { _ = s.c.Run(ctx) })
	t.Cleanup(func() { cancel(); loops.Wait() })
	return s
}

func fleetOfEndpoints(services int, version, addr string) fleet.Fleet {
	f := fleet.Fleet{Name: "live", StampHeader: gateway.DefaultStampHeader, Quiet: time.Minute}
	for n := range services {
		name := fmt.Sprintf("s%d", n)
		v := fleet.Version{Service: name, Name: version, Digest: version, Endpoints: []string{addr}}
		f.Services = append(f.Services, fleet.Service{
			Name: name, Drain: time.Minute, First: v,
			Health: fleet.Health{Kind: fleet.HealthTCP, Interval: time.Minute, Timeout: 10 * time.Second, Failures: 3},
		})
	}
	f.Edge.Routes = []fleet.Route{{Service: f.Services[services-1].Name}}
	return f
}

// open opens a release of all services and waits until it can be promoted.
func (s *switchedFleet) open(next fleet.Fleet) {
	s.t.Helper()
	spec := fleet.Release{Name: "r1", RollbackWindow: time.Hour, Keep: time.Hour}
	for _, one := range next.Services {
		spec.Versions = append(spec.Versions, one.First)
	}
	rec := s.c.Record()
	s.move(opening(Source{Name: "r1", Spec: spec}, rec, false))
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for over := time.After(time.Minute); ; {
		checks, err := s.c.Record().State.Checks("r1", s.c.Observe(), time.Now())
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

// to is the move after which requests get a version.
func (s *switchedFleet) to(version string) move {
	if version == "v2" {
		return verbs.On[Record](func(st release.State, o release.Observation, by release.Actor, now time.Time) (release.State, error) {
			return st.Promote(release.Promotion{Name: "r1"}, o, by, now)
		})
	}
	return verbs.On[Record](func(st release.State, _ release.Observation, by release.Actor, now time.Time) (release.State, error) {
		return st.Rollback("r1", by, now)
	})
}

func (s *switchedFleet) move(m move) {
	s.t.Helper()
	_, err := s.c.Do(context.Background(), func(rec Record, o release.Observation, now time.Time) (Record, error) {
		return m(rec, o, release.Actor{Who: "test"}, now)
	})
	if err != nil {
		s.t.Fatal(err)
	}
}
