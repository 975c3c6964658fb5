// Package app builds a whole embedded greenroom and runs it: the state, the
// processes, the edge and the mesh, and the API.
//
// It owns the wiring, the order of starting and stopping, and the operations
// that the API offers, which it composes of what the other packages do. Rules
// are release's, forwarding is gateway's, processes are platform/local's. It
// knows no flags and no terminal; cli and tests embed it.
//
// Start at New, which assembles it, and at Start and Stop in life.go; the
// operations are in files by their noun.
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
	"github.com/greenroom-dev/greenroom/internal/durable"
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

// Files of the state folder.
const (
	notifyFile  = "notify.json"    // how far notifications have come
	addressFile = "addresses.json" // the mesh addresses that processes have learnt
)

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
	sessions   *sessions
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
	for _, file := range []string{notifyFile, addressFile} { // nobody else writes them now: the store is locked
		if err := durable.Sweep(a.path(file)); err != nil {
			o.Log.Warn("what a killed greenroom was writing is left behind", "error", err)
		}
	}
	if a.keys, err = pass.OpenKeys(a.path("keys", "passes.json")); err != nil {
		return nil, err
	}
	f, restarted, err := a.beginning()
	if err != nil {
		return nil, err
	}
	meters := metrics.New(o.Version)
	a.meters = meters
	a.passes = newPasses(a.keys, a.store, o.Log, o.Now)
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
	if a.platform, err = newPlatform(a.local, a.mesh, a.hops, a.path(addressFile)); err != nil {
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
