package app

import (
	"context"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/config"
	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/metrics"
	"github.com/greenroom-dev/greenroom/internal/release"
	"github.com/greenroom-dev/greenroom/internal/verbs"
)

// Hold shows what the edge keeps waiting or turns away.
func (a *App) Hold(context.Context) (client.Hold, error) {
	return a.showHold(a.controller.Record().State), nil
}

func (a *App) showHold(s release.State) client.Hold {
	out, kept := verbs.Hold(s), a.hops.gateway.Kept()
	out.Waiting, out.Bytes, out.UnderWay, out.Countable = kept.Waiting, kept.Bytes, kept.UnderWay, true
	return out
}

// held is what the metrics say of the hold.
func (a *App) held() metrics.Held {
	out := metrics.Held{Waiting: a.hops.gateway.Kept().Waiting}
	if h := a.controller.Record().State.Hold; h != nil {
		out.Mode = string(h.Mode)
	}
	return out
}

// HoldOn begins a hold, or changes the one that is on.
func (a *App) HoldOn(ctx context.Context, who string, in client.HoldOn) (client.HoldChanged, error) {
	rec := a.controller.Record()
	out, err := a.Verbs.HoldOn(ctx, who, in, holdSettings(rec.Fleet).MaxWait)
	return a.counted(out), err
}

// HoldOff ends the hold.
func (a *App) HoldOff(ctx context.Context, who string, in client.Asked) (client.HoldChanged, error) {
	out, err := a.Verbs.HoldOff(ctx, who, in)
	return a.counted(out), err
}

func (a *App) counted(out client.HoldChanged) client.HoldChanged {
	kept := a.hops.gateway.Kept()
	out.Hold.Waiting, out.Hold.Bytes, out.Hold.UnderWay, out.Hold.Countable = kept.Waiting, kept.Bytes, kept.UnderWay, true
	return out
}

// holdSettings are a fleet's, or the usual ones of a state that was written
// before there were holds.
func holdSettings(f fleet.Fleet) fleet.Hold {
	if f.Edge.Hold.MaxRequests == 0 {
		return config.DefaultHold()
	}
	return f.Edge.Hold
}

// holdOf is the hold of a Record as the edge follows it.
func holdOf(rec Record) *gateway.Hold {
	h := rec.State.Hold
	if h == nil {
		return nil
	}
	out := &gateway.Hold{Until: h.Until, Settings: holdSettings(rec.Fleet)}
	switch h.Mode {
	case release.HoldWait:
		out.Mode = gateway.HoldWait
	case release.HoldWrites:
		out.Mode = gateway.HoldWrites
	default:
		out.Mode = gateway.HoldPage
	}
	for _, r := range h.Routes {
		out.Routes = append(out.Routes, fleet.Route{Host: r.Host, Path: r.Path})
	}
	return out
}
