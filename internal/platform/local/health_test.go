package local

import (
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
)

func TestHealthByKind(t *testing.T) {
	cases := []struct {
		name   string
		args   []string
		health fleet.Health
		bad    string // the check's error; empty: ready
	}{
		{name: "http", health: fleet.Health{Kind: fleet.HealthHTTP, Path: "/healthz"}},
		{name: "http, no such path", health: fleet.Health{Kind: fleet.HealthHTTP, Path: "/nope"}, bad: "GET /nope answered 404 Not Found"},
		{name: "tcp", health: fleet.Health{Kind: fleet.HealthTCP}},
		{name: "tcp, nobody", args: []string{"-protocol", "none"}, health: fleet.Health{Kind: fleet.HealthTCP}, bad: "connection refused"},
		{name: "grpc", args: []string{"-protocol", "grpc"}, health: fleet.Health{Kind: fleet.HealthGRPC}},
		{name: "grpc, service", args: []string{"-protocol", "grpc"}, health: fleet.Health{Kind: fleet.HealthGRPC, GRPCService: "wallet"}},
		{
			name: "grpc, not serving", args: []string{"-protocol", "grpc", "-not-serving"},
			health: fleet.Health{Kind: fleet.HealthGRPC, GRPCService: "wallet"}, bad: "NOT_SERVING",
		},
		{
			name: "grpc, unknown service", args: []string{"-protocol", "grpc"},
			health: fleet.Health{Kind: fleet.HealthGRPC, GRPCService: "walet"}, bad: `knows no service "walet"`,
		},
		{name: "grpc asked of http", health: fleet.Health{Kind: fleet.HealthGRPC}, bad: "gRPC health check: "},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			s := b.spec("1", c.args...)
			c.health.Interval, c.health.Timeout, c.health.Failures = 50*time.Millisecond, 2*time.Second, 1
			s.Service.Health = c.health
			b.ensure(s)
			if c.bad == "" {
				b.awaitReady("api@1", 1)
				return
			}
			b.await("api@1", "found wanting", func(st Status) bool {
				return st.Ready == 0 && len(st.Instances) == 1 && strings.Contains(st.Instances[0].Health, c.bad)
			})
		})
	}
}

func TestReadinessComesAndGoes(t *testing.T) {
	b := newBench(t)
	s := b.spec("1")
	b.ensure(s)
	pid := b.awaitReady("api@1", 1).Instances[0].PID
	sick := filepath.Join(s.Version.Run.Dir, "sick")
	writeFile(t, sick, "")
	st := b.await("api@1", "unready", func(st Status) bool { return st.Ready == 0 })
	if i := st.Instances[0]; i.State != Unready || !strings.Contains(i.Health, "503") {
		t.Errorf("sick: %+v", i)
	}
	if err := os.Remove(sick); err != nil {
		t.Fatal(err)
	}
	if i := b.awaitReady("api@1", 1).Instances[0]; i.PID != pid || i.Health != "" {
		t.Errorf("well again: %+v", i)
	}
}

func TestCheckThatIsNotAnsweredTimesOut(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, kind := range []fleet.HealthKind{fleet.HealthHTTP, fleet.HealthGRPC} {
		err := probe(t.Context(), fleet.Health{Kind: kind, Timeout: 500 * time.Millisecond}, l.Addr().String())
		if err == nil || !strings.Contains(err.Error(), "gave no answer within 500ms") {
			t.Errorf("%s: got %v", kind, err)
		}
	}
}

func TestEndpointsAreCheckedAndNotRun(t *testing.T) {
	var well atomic.Bool
	well.Store(true)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !well.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	one, two := httptest.NewServer(handler), httptest.NewServer(handler)
	defer one.Close()
	defer two.Close()
	at := func(s *httptest.Server) string { return s.Listener.Addr().String() }

	b := newBench(t)
	s := b.spec("1")
	s.Version.Run, s.Version.Endpoints = nil, []string{at(one), at(two)}
	b.ensure(s)
	st := b.awaitReady("api@1", 2)
	if i := st.Instances[0]; i.Addr != at(one) || i.ID != at(one) || i.PID != 0 {
		t.Errorf("endpoint is %+v", i)
	}
	well.Store(false)
	b.await("api@1", "unready", func(st Status) bool { return st.Ready == 0 && st.Failed == "" })
	b.Stop("api@1", time.Hour)
	b.awaitGone("api@1")
	if err := b.Remove("api@1"); err != nil {
		t.Error(err)
	}
	if _, known := b.Observe()["api@1"]; known {
		t.Error("removed, yet observed")
	}
}

func TestEndpointsThatComeLateAreNoLongerFailed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	b := newBench(t)
	s := b.spec("1")
	s.Version.Run, s.Version.Endpoints = nil, []string{addr}
	s.Service.Health.StartWithin = 200 * time.Millisecond
	s.Service.Health.Kind = fleet.HealthTCP
	b.ensure(s)
	st := b.await("api@1", "failed", func(st Status) bool { return st.Failed != "" })
	if !strings.Contains(st.Failed, "endpoint "+addr+": not ready within 200ms") || !strings.Contains(st.Failed, "connection refused") {
		t.Errorf("reason: %s", st.Failed)
	}
	l, err = net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b.awaitReady("api@1", 1)
}

// Checks of many instances come together, none of them much sooner or later.
func TestChecksKeepStep(t *testing.T) {
	for range 1000 {
		now, pause := rand.N(time.Hour), rand.N(4*time.Second)
		got := inStep(now, pause)
		switch short := pause < 5*step; {
		case short && got != pause:
			t.Errorf("%v at %v became %v", pause, now, got)
		case !short && ((now+got)%step != 0 || (got-pause).Abs() > step/2):
			t.Errorf("%v at %v became %v, which ends at %v", pause, now, got, now+got)
		}
	}
}
