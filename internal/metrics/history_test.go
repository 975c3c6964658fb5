package metrics_test

import (
	"math"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/metrics"
)

func TestHistory(t *testing.T) {
	m := metrics.New("")
	now := time.Unix(1000, 0)
	step := func() { now = now.Add(metrics.HistoryStep); m.Step(now) }
	step()
	web := m.Flow("web", "r1")
	send := func(n int, hop gateway.Hop, status int, took time.Duration) {
		for range n {
			web.Began()
			web.Ended(hop, status, took)
		}
	}
	send(98, gateway.Edge, 200, 3*time.Millisecond)
	send(1, gateway.Mesh, 500, 300*time.Millisecond)
	send(1, gateway.Edge, 0, 20*time.Millisecond)
	step()
	step()
	send(4, gateway.Mesh, 200, time.Minute)
	step()

	history, at := m.History(3)
	if len(history) != 1 || history[0].Service != "web" || history[0].Release != "r1" || !at.Equal(now) {
		t.Fatalf("%+v at %s", history, at)
	}
	p := history[0].Points
	if len(p) != 3 {
		t.Fatalf("%d points", len(p))
	}
	if p[0].Requests != 50 || p[0].Failed != 0.02 {
		t.Errorf("100 requests in 2 s, 2 failed: %+v", p[0])
	}
	if p[0].P50 < .0025 || p[0].P50 > .005 || p[0].P99 < .01 || p[0].P99 > .025 {
		t.Errorf("98 %% of 3 ms, one of 20 ms, one of 300 ms: %+v", p[0])
	}
	if p[1] != (metrics.Point{}) {
		t.Errorf("without requests: %+v", p[1])
	}
	if p[2].Requests != 2 || p[2].P50 != 30 || math.IsNaN(p[2].Failed) {
		t.Errorf("beyond all buckets: %+v", p[2])
	}
	for range 2 * metrics.HistoryPoints {
		step()
	}
	if history, _ := m.History(1000); len(history[0].Points) != metrics.HistoryPoints {
		t.Errorf("%d points are kept", len(history[0].Points))
	}
	m.Forget("r1")
	if history, _ := m.History(1); len(history) != 0 {
		t.Errorf("a release that was forgotten: %+v", history)
	}
}
