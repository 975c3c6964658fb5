package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/platform/local"
)

// Start brings up what the state says and serves it. What a former greenroom
// left running is served before the edge takes its first request. The notes
// say what of the document was not applied, and why.
func (a *App) Start(ctx context.Context) (notes []string, err error) {
	ctx, a.cancel = context.WithCancel(context.WithoutCancel(ctx))
	adopted := a.local.Observe()
	rec := a.controller.Record()
	for _, version := range rec.State.Desired() {
		if _, runs := adopted[version]; !runs {
			continue
		}
		if err := a.platform.Run(ctx, rec, version); err != nil {
			a.o.Log.Error("a version that runs can not be taken over", "version", version, "error", err)
		}
	}
	a.loops.Go(func() { a.watchWorld(ctx) })
	a.loops.Go(func() { a.watchFlow(ctx) })
	a.tell(rec.Fleet)
	a.loops.Go(func() { a.notifier.Run(ctx) })
	a.loops.Go(func() { _ = a.controller.Run(ctx) }) // it ends with ctx
	if a.o.Fleet != nil {
		notes = a.applyAtStart(ctx)
	}
	a.awaitAdopted(ctx, adopted)
	a.serve("edge", a.edge.Serve)
	a.serve("api socket", func() error { return a.api.ServeSocket(a.apiSocket) })
	if a.apiTCP != nil {
		a.serve("api", func() error { return a.api.ServeTCP(a.apiTCP) })
	}
	return notes, nil
}

// serve runs a listener. One that fails ends greenroom, as a failure that Stop
// returns, and leaves the services: the next greenroom may fare better.
func (a *App) serve(what string, run func() error) {
	a.work.Go(func() {
		if err := run(); err != nil && !errors.Is(err, net.ErrClosed) {
			a.o.Log.Error("greenroom ends, since a listener failed", "listener", what, "error", err)
			a.broken.CompareAndSwap(nil, &brokenListener{what, err})
			a.ask(client.Shutdown{Asked: client.Asked{Reason: err.Error()}, LeaveServices: true})
		}
	})
}

// brokenListener is why greenroom ended by itself.
type brokenListener struct {
	what string
	err  error
}

func (b *brokenListener) Error() string {
	return fmt.Sprintf("the listener of the %s failed: %v; greenroom up takes the fleet over again", b.what, b.err)
}

func (b *brokenListener) Unwrap() error { return b.err }

// applyAtStart applies the document. What may not be applied must not keep the
// fleet from being served: it runs on as the state says.
func (a *App) applyAtStart(ctx context.Context) []string {
	change, err := a.applyFleet(ctx, a.o.Who, *a.o.Fleet, client.FleetApply{Adopt: a.o.Adopt}, true)
	if err != nil {
		return append(change.Behind, "the document is not applied, and the fleet runs as before: "+err.Error())
	}
	return change.Behind
}

// adoptionPatience is how long the edge waits for adopted instances to be seen
// ready again.
const adoptionPatience = 5 * time.Second

// awaitAdopted waits until each service of which an instance runs already has
// one that is known to be ready, so that the first requests find it.
func (a *App) awaitAdopted(ctx context.Context, adopted map[string]local.Status) {
	ctx, cancel := context.WithTimeout(ctx, adoptionPatience)
	defer cancel()
	state := a.controller.Record().State
	view := state.Views[state.Default]
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		waiting := false
		now := a.local.Observe()
		for _, version := range view.Versions {
			if len(adopted[version].Instances) > 0 && now[version].Ready == 0 {
				waiting = true
			}
		}
		if !waiting {
			a.platform.refresh()
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
		}
	}
}

// worldChanged is told of changed instances; it never blocks.
func (a *App) worldChanged() {
	select {
	case a.world <- struct{}{}:
	default:
	}
}

func (a *App) watchWorld(ctx context.Context) {
	flush := time.NewTicker(lastUseEvery)
	defer flush.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.world:
			a.platform.refresh()
			a.controller.Kick()
		case <-flush.C:
			a.passes.flush()
			a.sessions.forgetEnded()
		}
	}
}

// Asked tells when somebody asked over the API that greenroom ends.
func (a *App) Asked() <-chan client.Shutdown { return a.asked }

// Shutdown asks whoever runs greenroom to stop it.
func (a *App) Shutdown(_ context.Context, who string, in client.Shutdown) error {
	if in.DryRun {
		return nil
	}
	what := "services drain and stop"
	if in.LeaveServices {
		what = "services run on"
	}
	if err := a.store.Append(a.event("ShutdownAsked", "", who, in.Reason, what)); err != nil {
		a.o.Log.Warn("the shutdown is not in the event log", "error", err)
	}
	a.ask(in)
	return nil
}

func (a *App) ask(in client.Shutdown) { a.askOnce.Do(func() { a.asked <- in }) }

// Stop ends greenroom. New connections are refused, streams are told to end,
// requests under way end, and then services drain and stop, unless they are
// left to be adopted. When ctx is done first, what is left is broken off.
func (a *App) Stop(ctx context.Context, leaveServices bool) error {
	a.stopOnce.Do(func() { a.stopped = a.stop(ctx, leaveServices) })
	return a.stopped
}

func (a *App) stop(ctx context.Context, leaveServices bool) error {
	a.hops.gateway.EndStreams()
	if err := a.edge.Shutdown(ctx); err != nil {
		a.o.Log.Warn("requests were broken off", "error", err)
	}
	if a.cancel != nil {
		a.cancel() // no step may start again what stops now
		a.loops.Wait()
	}
	var errs []error
	if !leaveServices {
		errs = append(errs, a.local.StopAll(ctx))
	}
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_ = a.mesh.Shutdown(short) // who still calls is told by the end of the connection
	a.dashboard.Close()
	_ = a.api.Shutdown(short)
	a.passes.flush()
	a.sessions.forgetEnded()
	a.work.Wait()
	if broken := a.broken.Load(); broken != nil {
		errs = append(errs, broken)
	}
	return errors.Join(append(errs, a.close())...)
}
