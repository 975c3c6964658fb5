package app

import (
	"context"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/metrics"
)

// watchFlow takes the points of the history.
func (a *App) watchFlow(ctx context.Context) {
	tick := time.NewTicker(metrics.HistoryStep)
	defer tick.Stop()
	for {
		a.meters.Step(a.now())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Flow shows what goes through the fleet.
func (a *App) Flow(_ context.Context, points int) (client.Flow, error) {
	history, at := a.meters.History(points)
	out := client.Flow{At: at, Every: metrics.HistoryStep.Seconds(), Series: make([]client.FlowSeries, 0, len(history)), Calls: []client.FlowCall{}}
	for _, s := range history {
		shown := client.FlowSeries{
			Service: s.Service, Release: s.Release,
			Requests: []float64{}, Failed: []float64{}, P50: []float64{}, P99: []float64{},
		}
		for _, p := range s.Points {
			shown.Requests, shown.Failed = append(shown.Requests, p.Requests), append(shown.Failed, p.Failed)
			shown.P50, shown.P99 = append(shown.P50, p.P50), append(shown.P99, p.P99)
		}
		out.Series = append(out.Series, shown)
	}
	for _, c := range a.mesh.Calls() {
		out.Calls = append(out.Calls, client.FlowCall(c))
	}
	return out, nil
}
