// Package app builds a whole embedded greenroom and runs it: the state, the
// processes, the edge and the mesh, and the API.
//
// It owns the wiring, the order of starting and stopping, and the operations
// that the API offers, which it composes of what the other packages do. Rules
// are release's, forwarding is gateway's, processes are platform/local's. It
// knows no flags and no terminal; cli and tests embed it.
//
// Start at New, Start and Stop; the operations are in files by their noun.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	runtimemetrics "runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/controller"
	"github.com/greenroom-dev/greenroom/internal/dashboard"
	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/edge"
	"github.com/greenroom-dev/greenroom/internal/gateway/mesh"
	"github.com/greenroom-dev/greenroom/internal/hook"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/login"
	"github.com/greenroom-dev/greenroom/internal/metrics"
	"github.com/greenroom-dev/greenroom/internal/notify"
	"github.com/greenroom-dev/greenroom/internal/pass"
	"github.com/greenroom-dev/greenroom/internal/platform/local"
	"github.com/greenroom-dev/greenroom/internal/release"
	"github.com/greenroom-dev/greenroom/internal/signon"
	"github.com/greenroom-dev/greenroom/internal/stage"
	"github.com/greenroom-dev/greenroom/internal/store"
	"github.com/greenroom-dev/greenroom/internal/verbs"
)

// Options are what a greenroom is started with.
type Options struct {
	State     string       // folder of everything that is kept; made with mode 0700
	Fleet     *fleet.Fleet // as its document says; nil: as it was last applied
	Adopt     bool         // release changed versions of Fleet, to go live at once
	Shim      []string     // command that runs local.ShimMain, without its last argument
	Version   string       // of greenroom
	Who       string       // who starts it
	Log       *slog.Logger
	AccessLog io.Writer      // request lines; nil: none
	Listeners edge.Listeners // opened by a service manager, if any
	Lease     time.Duration  // how long who is on stage may stay without asking again; at least a second, 10 s when 0; the same at every start on a state
	Now       func() time.Time
}

// ErrNoFleet is returned by New when there is neither a document nor a state.
var ErrNoFleet = errors.New("there is no fleet yet: greenroom init writes a first document, greenroom up -f starts it")

// App is one embedded greenroom.
type App struct {
	o          Options
	store      *store.Store
	keys       *pass.Keys
	local      *local.Platform
	mesh       *mesh.Mesh
	meters     *metrics.Metrics
	edge       *edge.Server
	hops       *hops
	platform   *platform
	hooks      *hooks
	passes     *passes
	controller *Controller
	notifier   *notify.Notifier
	*verbs.Verbs[Record]
	api       *httpapi.Server
	dashboard *dashboard.Dashboard
	logins    *login.Links
	signOn    *signon.Provider
	apiSocket net.Listener
	apiTCP    net.Listener
	apiTLS    bool

	calling   sync.Mutex    // held while the edge is told of callback addresses
	following sync.Mutex    // held while what runs is made to follow the fleet
	followed  *fleet.Fleet  // the one that tell was told of last; guarded by following
	keeping   sync.RWMutex  // held while executables are kept that no Record names yet
	world     chan struct{} // told when instances change
	asked     chan client.Shutdown
	askOnce   sync.Once
	cancel    context.CancelFunc
	loops     sync.WaitGroup // what may start processes; ends with cancel
	work      sync.WaitGroup
	closers   []func() error // undo New, last first
	broken    atomic.Pointer[brokenListener]
	stopOnce  sync.Once
	stopped   error
}

// New opens the state and every listener, finds the processes that a former
// greenroom left, and starts nothing. Its errors name what is in the way.
func New(o Options) (_ *App, err error) {
	o.Lease = cmp.Or(o.Lease, stageLease)
	a := &App{o: o, world: make(chan struct{}, 1), asked: make(chan client.Shutdown, 1)}
	defer func() {
		if err != nil {
			_ = a.close()
		}
	}()
	if err := os.MkdirAll(o.State, 0o700); err != nil {
		return nil, fmt.Errorf("make the state folder: %w", err)
	}
	if a.store, err = store.Open(a.path("greenroom.db")); err != nil {
		return nil, err
	}
	a.onClose(a.store.Close)
	if a.keys, err = pass.OpenKeys(a.path("keys", "passes.json")); err != nil {
		return nil, err
	}
	f, restarted, err := a.beginning()
	if err != nil {
		return nil, err
	}
	meters := metrics.New(o.Version)
	a.meters = meters
	a.passes = newPasses(a.keys, a.store, o.Now)
	gw := gateway.New(gateway.Options{
		Passes: a.passes, Callbacks: a.passes, Metrics: meters, Log: o.Log, AccessLog: o.AccessLog, Now: o.Now,
	})
	a.onClose(func() error { gw.Close(); return nil })
	if err := a.listen(gw, f, meters.Handler()); err != nil {
		return nil, err
	}
	a.local, err = local.New(local.Options{
		Dir: a.path("services"), Shim: o.Shim, Log: o.Log, Changed: a.worldChanged,
		Busy: func(version, instance string) bool { return a.platform.busy(version, instance) }, // of what platform runs
	})
	if err != nil {
		return nil, err
	}
	a.onClose(a.local.Close)
	return a, a.assemble(gw, meters, f, restarted)
}

// beginning is the fleet that greenroom begins with: the one last applied, with
// what only a start can change taken from the document, or the document's.
func (a *App) beginning() (f fleet.Fleet, restarted bool, err error) {
	rec, ok, err := (&records{store: a.store}).Load()
	if err != nil {
		return fleet.Fleet{}, false, err
	}
	switch {
	case !ok && a.o.Fleet == nil:
		return fleet.Fleet{}, false, ErrNoFleet
	case !ok:
		return *a.o.Fleet, false, nil
	case a.o.Fleet == nil || a.o.Fleet.Name != rec.Fleet.Name:
		return rec.Fleet, true, nil
	}
	f = rec.Fleet
	f.Edge.Listen, f.Edge.TLS = a.o.Fleet.Edge.Listen, a.o.Fleet.Edge.TLS
	f.API, f.StampHeader = a.o.Fleet.API, a.o.Fleet.StampHeader
	return f, true, nil
}

// listen opens the edge and the API, before anything is started that would be
// of no use without them.
func (a *App) listen(gw *gateway.Gateway, f fleet.Fleet, meters http.Handler) error {
	var err error
	if a.edge, err = edge.Open(gw, f.Edge, a.o.Listeners, edge.Options{}); err != nil {
		return err
	}
	a.onClose(func() error {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		_ = a.edge.Shutdown(now) // breaks off what Stop left
		return nil
	})
	if err := a.openPages(meters); err != nil {
		return err
	}
	if a.apiSocket, err = listenSocket(SocketPath(a.o.State)); err != nil {
		return err
	}
	a.onClose(a.apiSocket.Close)
	if f.API.Listen == "" {
		return nil
	}
	if a.apiTCP, err = listenAPI(f.API, a.o.Log); err != nil {
		return err
	}
	a.apiTLS = f.API.TLS != nil
	a.onClose(a.apiTCP.Close)
	return nil
}

func (a *App) assemble(gw *gateway.Gateway, meters *metrics.Metrics, f fleet.Fleet, restarted bool) error {
	keeper := stage.New(a.o.Lease, settledAfter(restarted, a.now(), a.o.Lease))
	a.hops = newHops(gw, keeper)
	revoked, err := a.revoked()
	if err != nil {
		return err
	}
	a.hops.revoke(revoked...)
	a.passes.spent = a.followCallbacks
	a.followCallbacks()
	a.mesh = mesh.New(gw, mesh.Options{Seed: a.o.State, Status: func(version string) http.Handler {
		return stage.Handler(keeper, service(version), version, a.o.Now)
	}})
	if a.platform, err = newPlatform(a.local, a.mesh, a.hops, a.path("addresses.json")); err != nil {
		return err
	}
	a.platform.forgotten = a.pruneExecutables
	hookContext, endHooks := context.WithCancel(context.Background())
	a.hooks = &hooks{
		runner: hook.New(a.path("hooks")), keys: a.keys, edgeURL: a.EdgeURL, log: a.o.Log, now: a.o.Now,
		ctx: hookContext, runs: map[string]hookRun{}, done: a.worldChanged, record: a.recordHook,
	}
	a.onClose(func() error { endHooks(); a.hooks.work.Wait(); return nil })
	if err := a.hooks.runner.EndLeftovers(hookContext); err != nil {
		return err
	}
	a.controller, err = controller.New(controller.Options[Record]{
		Store: &records{store: a.store}, Platform: a.platform, Hops: a.hops, Hooks: a.hooks, Metrics: meters,
		Log: a.o.Log, Now: a.o.Now, Rest: collect,
	}, func(now time.Time) (Record, error) {
		var versions []fleet.Version
		for _, s := range f.Services {
			versions = append(versions, s.First)
		}
		if err := a.keepExecutables(versions); err != nil {
			return Record{}, err
		}
		return first(f, release.Actor{Who: a.o.Who}, now), nil
	})
	a.notifier = a.newNotifier(f.Name)
	meters.FollowHold(a.held)
	a.Verbs = &verbs.Verbs[Record]{Controller: a.controller, Now: a.o.Now, Show: a.showRelease}
	return err
}

// collect frees memory when a change is done and nobody waits for it, where a
// collection is half due already. It would else come in the middle of one of
// the next changes, on the processor that the first requests of a new release
// need (TestSwitchCostsTheSame shows what that costs).
func collect() {
	heap := []runtimemetrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}}
	runtimemetrics.Read(heap)
	if left, now := heap[0].Value.Uint64(), heap[1].Value.Uint64(); now > left+left/2 {
		runtime.GC()
	}
}

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
		}
	}
}

// pruneExecutables removes copies of executables that nothing speaks of. While
// somebody opens a release it is left for the next time.
func (a *App) pruneExecutables() {
	if !a.keeping.TryLock() {
		return
	}
	defer a.keeping.Unlock()
	keep := map[string]bool{}
	for _, v := range a.controller.Record().Catalog {
		if v.Run != nil {
			keep[v.Run.SHA256] = true
		}
	}
	if err := a.local.Prune(keep); err != nil {
		a.o.Log.Warn("executables that nobody needs could not be removed", "error", err)
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
	a.work.Wait()
	if broken := a.broken.Load(); broken != nil {
		errs = append(errs, broken)
	}
	return errors.Join(append(errs, a.close())...)
}

func (a *App) onClose(f func() error) { a.closers = append(a.closers, f) }

func (a *App) close() error {
	var errs []error
	for i := len(a.closers) - 1; i >= 0; i-- {
		if err := a.closers[i](); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	a.closers = nil
	return errors.Join(errs...)
}

func (a *App) path(names ...string) string {
	return filepath.Join(append([]string{a.o.State}, names...)...)
}

func (a *App) now() time.Time { return a.o.Now() }

// EdgeURL returns where the edge listens, as a URL on this machine.
func (a *App) EdgeURL() string {
	addr, scheme := a.edge.Addr(), "http"
	if addr == nil {
		addr, scheme = a.edge.TLSAddr(), "https"
	}
	return scheme + "://" + onThisMachine(addr)
}

// DashboardURL returns where the dashboard is, as a URL on this machine; "" where
// the API listens at its socket alone.
func (a *App) DashboardURL() string {
	if a.apiTCP == nil {
		return ""
	}
	scheme := "http"
	if a.apiTLS {
		scheme = "https"
	}
	return scheme + "://" + onThisMachine(a.apiTCP.Addr())
}

// onThisMachine is an address at which a listener is reached from here.
func onThisMachine(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
