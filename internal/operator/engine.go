package operator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/internal/controller"
	"github.com/greenroom-dev/greenroom/internal/dashboard"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/operator/job"
	"github.com/greenroom-dev/greenroom/internal/operator/journal"
	"github.com/greenroom-dev/greenroom/internal/operator/passbook"
	"github.com/greenroom-dev/greenroom/internal/pass"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
	"github.com/greenroom-dev/greenroom/internal/release"
	"github.com/greenroom-dev/greenroom/internal/stage"
	"github.com/greenroom-dev/greenroom/internal/verbs"
)

// Deps are what every Engine works with.
type Deps struct {
	Cache   client.Reader           // what is watched; of Istio's objects those of others
	Ours    client.Reader           // the metadata of what greenroom makes
	Direct  client.Client           // the API server itself
	Switch  client.Client           // the same for what a switch writes, which never waits its turn
	Put     putStatus               // of Fleets, for all that a switch waits for
	Pods    corev1client.PodsGetter // for their logs
	Access  func(namespace string) httpapi.Access
	Grants  func(namespace string) httpapi.Access // for what pages show; Access decides
	logins  *logins
	Asked   func(fleet types.NamespacedName, version string) (time.Time, bool) // when it asked for the stage last
	Metrics *Metrics
	Log     *slog.Logger
	Now     func() time.Time
	Version string // of greenroom

	Pages         *kubernetes.Backend // who answers below /.greenroom/; nil: nobody
	ClusterDomain string              // cluster.local if empty
	RootNamespace string              // of the mesh; istio-system if empty
}

// stageLease is how long an instance may stay on stage without asking again.
const stageLease = 10 * time.Second

// Engine keeps one fleet.
type Engine struct {
	*verbs.Verbs[kubernetes.Value]
	d   Deps
	key types.NamespacedName
	log *slog.Logger

	meters       fleetMetrics
	controller   *controller.Controller[kubernetes.Value]
	status       *status
	applier      *applier
	book         *passbook.Book
	journal      *journal.Journal
	jobs         *job.Runner
	stage        *stage.Keeper
	world        atomic.Pointer[world]
	arrivals     arrivals
	way          way
	telling      *telling
	guardSeen    guardCheck
	gatewaySeen  gatewayLabels // used by rounds alone
	scheme       edgeScheme
	planned      *plan             // nil: everything has to be looked at; used by rounds alone
	damagedNotes map[string]string // by object: the note that was told to be unreadable; used by rounds alone
	api          *httpapi.Server
	dashboard    func() (*dashboard.Dashboard, error)
	run          context.Context // ends with the Engine
	onEnd        func()

	again  chan struct{} // asks for a round
	cancel context.CancelFunc
	loops  sync.WaitGroup
	ended  atomic.Bool // its state is no longer the one in the cluster

	mu       sync.Mutex
	troubles map[string]kubernetes.Condition // by Rollout and Release: what could not be done there
	refused  []kubernetes.Condition          // why the Fleet is not followed as it is now
}

// unusable is why no Engine could be started: what has to change first is told
// as conditions of the Fleet.
type unusable struct{ conditions []kubernetes.Condition }

func (u *unusable) Error() string {
	return fmt.Sprintf("the fleet cannot be kept: %s: %s", u.conditions[0].Type, u.conditions[0].Message)
}

// StartEngine begins to keep the fleet that w shows. Its error is *unusable
// where people have to do something first. ended is called when the Engine has
// to be replaced by another.
func StartEngine(ctx context.Context, d Deps, key types.NamespacedName, w *world, ended func()) (_ *Engine, err error) {
	e := &Engine{
		d: d, key: key, log: d.Log.With("fleet", key.String()), meters: d.Metrics.of(key), again: make(chan struct{}, 1), onEnd: ended,
		troubles: map[string]kubernetes.Condition{}, damagedNotes: map[string]string{},
	}
	e.world.Store(w)
	if invalid := kubernetes.Check(w.fleet); len(invalid) > 0 {
		return nil, &unusable{invalid}
	}
	if e.book, err = passbook.Open(ctx, d.Direct, key, d.Now()); err != nil {
		return nil, err
	}
	if e.journal, err = journal.Open(ctx, d.Direct, key); err != nil {
		return nil, err
	}
	e.status = &status{put: d.Put, live: d.Direct, key: key, now: d.Now, lost: e.end}
	e.telling = e.newTelling()
	e.applier = newApplier(d.Direct, e.log, d.Now, e.status.holds)
	e.applier.edges, e.applier.clear = d.Switch, e.way.await
	e.stage = stage.New(stageLease, d.Now().Add(stageLease))
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			cancel()
		}
	}()
	e.cancel = cancel
	e.jobs = e.newJobs(run)
	e.controller, err = controller.New(controller.Options[kubernetes.Value]{
		Store: e.status, Platform: platform{e}, Hops: hops{e: e, run: run}, Hooks: e.jobs, Metrics: e.meters,
		Log: e.log, Now: d.Now, Tick: time.Second, Fit: e.fit,
	}, func(now time.Time) (kubernetes.Value, error) { return e.first(ctx, w, now) })
	if err != nil {
		return nil, err
	}
	e.Verbs = &verbs.Verbs[kubernetes.Value]{Controller: e.controller, Now: d.Now, Show: e.showRelease}
	e.api = httpapi.New(httpapi.Options{
		Operations: e, Access: d.Access(key.Namespace), Pages: http.HandlerFunc(e.browse), Version: d.Version, Log: e.log, Now: d.Now,
	})
	e.run, e.dashboard = run, sync.OnceValues(e.newDashboard)
	e.loops.Go(func() { _ = e.controller.Run(run) }) // it ends with run
	e.loops.Go(func() { e.rounds(run) })
	e.loops.Go(func() { e.keepBooks(run) })
	e.loops.Go(func() { e.telling.Run(run) })
	e.loops.Go(func() { e.watchViews(run) })
	e.ask()
	return e, nil
}

// end says that this Engine must not go on: it is replaced by one that reads
// the state anew.
func (e *Engine) end() {
	if !e.ended.Swap(true) {
		e.log.Warn("the state was changed by somebody else; it is read anew")
		e.cancel()
		go e.onEnd() // whoever holds a lock here is not waited for
	}
}

// Ended reports whether the Engine has to be replaced.
func (e *Engine) Ended() bool { return e.ended.Load() }

// Stop ends the Engine's work. What is in the cluster stays as it is.
func (e *Engine) Stop() {
	short, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = e.api.Shutdown(short) // streams end; their readers connect again
	e.cancel()
	e.loops.Wait()
	e.jobs.Wait()
}

// take lets the Engine see a newer world.
func (e *Engine) take(w *world) {
	refused := e.accept(w)
	if len(refused) > 0 {
		w = w.following(e.world.Load())
	}
	e.setRefused(refused)
	e.world.Store(w)
	e.controller.Kick()
	e.ask()
}

// ask asks for a round; it never blocks.
func (e *Engine) ask() {
	select {
	case e.again <- struct{}{}:
	default:
	}
}

// input is everything that the fleet's objects follow from.
func (e *Engine) input(v kubernetes.Value, w *world) kubernetes.Input {
	return kubernetes.Input{
		Fleet: w.fleet, Value: v, Pages: e.d.Pages,
		Passes:    kubernetes.Passes{Issuer: e.book.Issuer(), Audience: pass.Audience, JWKS: e.book.JWKS(), Revoked: e.book.Revoked(e.d.Now()), Live: e.book.Live(e.d.Now())},
		Callbacks: e.callbacks(),
		Services:  w.services, VirtualServices: w.virtualServices, DestinationRules: w.destinationRules,
		RequestAuthentications: w.requestAuthentications, Begun: w.begun(),
		ClusterDomain: e.d.ClusterDomain, RootNamespace: e.d.RootNamespace,
	}
}

// platform is the controller's Platform. Argo runs the pods: what is to be done
// about them is done by a round, from the state.
type platform struct{ e *Engine }

func (platform) Run(context.Context, kubernetes.Value, string) error { return nil }
func (platform) Stop(string, time.Duration)                          {}
func (platform) Forget(string)                                       {}

func (p platform) Observe() map[string]release.VersionStatus {
	w := p.e.world.Load()
	return kubernetes.Observe(w.fleet, p.e.applier.value(), w.seen)
}

// hops is the controller's Hops: the gateways and sidecars, by Istio's objects.
type hops struct {
	e   *Engine
	run context.Context
}

// Prepare says what the edges become, if v switches what they give ordinary
// requests. Everything else is a round's work, which puts destinations first.
func (h hops) Prepare(v kubernetes.Value) (func(), error) {
	e := h.e
	last := e.applier.value()
	first := len(last.State.Views) == 0
	if first || last.State.Default == v.State.Default {
		return func() {
			e.applier.follow(h.run, v, nil)
			e.stage.Follow(v.State, first)
			e.ask()
		}, nil
	}
	began := e.d.Now()
	edges := kubernetes.Edges(e.input(v, e.world.Load()))
	if len(edges) == 0 {
		return nil, errors.New("no gateway of the fleet can be routed: its conditions say why")
	}
	translated := e.d.Now().Sub(began)
	return func() {
		edgeWritten := e.escort(h.run, v.State.Default)
		durable := e.d.Now()
		switched := e.applier.follow(h.run, v, edges)
		edgeWritten()
		edge := e.d.Now().Sub(durable)
		e.stage.Follow(v.State, false)
		e.ask()
		if state := e.status.lastSave(); switched {
			e.log.Info("the edge is switched", "stamp", v.State.Default, "translated", translated, "encoded", state.encoded, "durable", state.written, "edge", edge)
		}
	}, nil
}

// EndView does nothing: a stamp that no route knows gets the default.
func (h hops) EndView(string) {}

// Observe returns that requests of views that end may be under way: nobody
// counts them here, so that a view ends with its drain and not before. Nor does
// anybody see here which calls lose a stamp.
func (h hops) Observe() (map[string]release.StampStatus, map[string][]release.Drop) {
	out := map[string]release.StampStatus{}
	for stamp, view := range h.e.applier.value().State.Views {
		if view.Ending() {
			out[stamp] = release.StampStatus{InFlight: 1}
		}
	}
	return out, nil
}
