package operator

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
	"github.com/greenroom-dev/greenroom/internal/release"
)

const (
	// seasoning is how long the objects of a view must have been there before
	// ordinary requests get it: istiod's own delay, and the time that proxies
	// take. Sidecars answer nobody, and to ask istiod what it has sent takes
	// rights over the whole mesh.
	seasoning = 3 * time.Second
	// behindGates is how long after the last gateway's pod showed a view it may
	// be that a sidecar has yet to hear of it: istiod sends to all at once.
	behindGates = time.Second
	// viewsEvery is how often gateways are asked for views that they have not
	// shown.
	viewsEvery = 500 * time.Millisecond
)

// arrivals are since when the objects of each view have been in the cluster,
// and since when all gateways' pods have shown it. What a gateway shows was
// written after all that it leads to, so that istiod has handed that on as well.
type arrivals struct {
	mu    sync.Mutex
	there map[string]arrival // by stamp
	mute  bool               // no gateway can be asked
}

type arrival struct {
	since time.Time // its objects have been there
	shown time.Time // zero: not every gateway's pod has
}

// note says that the objects of a state are all there.
func (a *arrivals) note(s release.State, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	next := map[string]arrival{}
	for stamp := range s.Views {
		next[stamp] = arrival{since: now}
		if at, known := a.there[stamp]; known {
			next[stamp] = at
		}
	}
	a.there = next
}

// unshown are the stamps of views whose objects are there and that not every
// gateway has shown.
func (a *arrivals) unshown() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []string
	for stamp, at := range a.there {
		if at.shown.IsZero() {
			out = append(out, stamp)
		}
	}
	return out
}

// show says that every gateway's pod shows a view.
func (a *arrivals) show(stamp string, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if at, ok := a.there[stamp]; ok {
		at.shown = now
		a.there[stamp] = at
	}
}

// silent says whether no gateway can be asked: then age alone decides.
func (a *arrivals) silent(mute bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mute = mute
}

// wait is how long a view has to wait yet, at least, before it counts as known
// to every proxy; 0 or less: it does.
func (a *arrivals) wait(stamp string, now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	at, ok := a.there[stamp]
	if !ok {
		return seasoning
	}
	age := seasoning - now.Sub(at.since)
	switch {
	case a.mute:
		return age
	case at.shown.IsZero():
		return max(age, behindGates)
	}
	return max(age, behindGates-now.Sub(at.shown))
}

// watchViews asks the gateways' pods for views that they have not shown yet.
func (e *Engine) watchViews(ctx context.Context) {
	tick := time.NewTicker(viewsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if missing := e.arrivals.unshown(); len(missing) > 0 {
			e.askViews(ctx, missing)
		}
	}
}

func (e *Engine) askViews(ctx context.Context, missing []string) {
	gates, err := e.gates(ctx, e.world.Load().fleet)
	e.arrivals.silent(errors.Is(err, errNoGate))
	if err != nil {
		return // it is asked again
	}
	state := e.applier.value().State
	answers := make([]string, len(gates))
	transport := askingTransport()
	defer transport.CloseIdleConnections()
	var wg sync.WaitGroup
	for i, g := range gates {
		wg.Go(func() { answers[i], _ = g.ask(ctx, transport, "/.greenroom/views") }) // no answer shows nothing
	}
	wg.Wait()
	for _, stamp := range missing {
		if !slices.ContainsFunc(answers, func(a string) bool { return !kubernetes.Shows(state, a, stamp) }) {
			e.arrivals.show(stamp, e.d.Now())
		}
	}
}

// unseasoned is how long a view has to wait yet before it may serve.
func (e *Engine) unseasoned(stamp string) time.Duration {
	return e.arrivals.wait(stamp, e.d.Now())
}

// season waits until every proxy knows a release's view, or the release has
// another one.
func (e *Engine) season(ctx context.Context, name, stamp string) error {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for e.unseasoned(stamp) > 0 && e.controller.Record().State.Releases[name].View == stamp {
		select {
		case <-ctx.Done():
			return &release.Refused{Rule: "routes", Reason: (&tooEarly{stamp}).Error(),
				Remedy: "the Fleet's conditions say what keeps them (kubectl greenroom doctor), and whether the gateways answer; then promote again"}
		case <-tick.C:
		}
	}
	return nil
}
