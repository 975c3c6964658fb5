// Package job runs a release's hooks in a cluster: Jobs made from the template
// of a CronJob, AnalysisRuns made from an AnalysisTemplate of Argo Rollouts, and
// checks over HTTP.
//
// It owns what it makes for that, named after the run that was asked for: the
// same run finds its Job again after a restart, and none is made twice. It owns
// how long that stays and what of a Job's output is kept. When hooks run and
// what their results mean is the state machine's; package hook asks over HTTP.
//
// Jobs and AnalysisRuns go a day after they ended, when their release is
// forgotten (Sweep), or by hand:
//
//	kubectl -n NAMESPACE delete jobs,analysisruns -l greenroom.dev/fleet=FLEET,greenroom.dev/part=hook
//
// The pass that a hook looks at its release with lies in a Secret of the same
// name as its Job, which goes with it.
//
// The client must read from the API server itself, not from a cache: a Job that
// was just made would be missing in it.
//
// Start at Runner.Run. make.go turns templates into objects, await.go and
// analysis.go look how they are doing, follow.go keeps what a Job's pod said.
package job

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/hook"
	"github.com/greenroom-dev/greenroom/internal/pass"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// Options are what a Runner needs. All but Every are needed.
type Options struct {
	Client client.Client
	Pods   corev1client.PodsGetter // for their logs
	Fleet  types.NamespacedName
	// Hooks returns the hooks of a release as it was opened, false where there
	// is no such release.
	Hooks func(release string) (crd.Hooks, bool)
	// EdgeURL is where a hook finds the fleet: http(s)://host:port, no trailing
	// slash.
	EdgeURL func() string
	// Sign makes a pass.
	Sign func(pass.Claims) (string, error)
	// Record keeps how a hook ended, and Done is called after it.
	Record func(release.RunHook, hook.Result)
	Done   func()
	Log    *slog.Logger
	Now    func() time.Time
	Every  time.Duration // between looks at a Job that runs; 1s when 0
}

// Runner is the controller's Hooks for one fleet. It is safe for concurrent use.
type Runner struct {
	o    Options
	http *hook.Runner
	ctx  context.Context // ends with the operator
	work sync.WaitGroup

	mu   sync.Mutex
	runs map[string]run // by RunHook.ID
}

type run struct {
	release string
	running bool
	result  hook.Result
}

// New returns a Runner whose hooks are looked after until ctx is done. Jobs run
// on after that, and the next Runner finds them.
func New(ctx context.Context, o Options) *Runner {
	if o.Every == 0 {
		o.Every = time.Second
	}
	return &Runner{o: o, http: hook.New(""), ctx: ctx, runs: map[string]run{}}
}

// Wait returns when nothing is looked after any more, which ctx's end brings
// about.
func (r *Runner) Wait() { r.work.Wait() }

// task is one run of one hook.
type task struct {
	id      string // of release.RunHook
	release string
	uid     string // of the release
	moment  release.Moment
	hook    crd.Hook
	timeout time.Duration
	edgeURL string
	token   string // the pass; made when it is needed
}

// Run starts a hook; asked again for one that runs or ran, it does nothing.
func (r *Runner) Run(rec kubernetes.Value, ask release.RunHook) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.runs[ask.ID]; known || r.ctx.Err() != nil {
		return
	}
	r.forgetOld(rec.State)
	r.runs[ask.ID] = run{release: ask.Release, running: true}
	r.work.Go(func() {
		result := r.perform(rec.State.Releases[ask.Release], ask)
		if r.ctx.Err() != nil {
			return // cut short by the operator's own end: the next one goes on
		}
		r.mu.Lock()
		r.runs[ask.ID] = run{release: ask.Release, result: result}
		r.mu.Unlock()
		r.o.Record(ask, result)
		r.o.Done()
	})
	r.work.Go(func() {
		if err := r.Sweep(r.ctx, rec.State); err != nil && r.ctx.Err() == nil {
			r.o.Log.Warn("what hooks of forgotten releases left could not be removed", "fleet", r.o.Fleet, "error", err)
		}
	})
}

// perform runs a hook to its end.
func (r *Runner) perform(rel release.Release, ask release.RunHook) hook.Result {
	t, err := r.task(rel, ask)
	if err != nil {
		now := r.o.Now()
		return hook.Result{Err: err.Error(), Started: now, Ended: now}
	}
	switch {
	case t.hook.Job != "":
		return r.job(r.ctx, t)
	case t.hook.Analysis != "":
		return r.analysis(r.ctx, t)
	}
	return r.check(r.ctx, t)
}

// task finds out what is asked for.
func (r *Runner) task(rel release.Release, ask release.RunHook) (task, error) {
	hooks, ok := r.o.Hooks(ask.Release)
	if !ok {
		return task{}, fmt.Errorf("the Release %s/%s does not exist any more", r.o.Fleet.Namespace, ask.Release)
	}
	var name string
	if names := rel.Hooks[ask.Moment]; ask.Index < len(names) {
		name = names[ask.Index]
	}
	for _, h := range momentOf(hooks, ask.Moment) {
		if h.Name != name {
			continue
		}
		timeout := time.Minute
		if h.Timeout != "" {
			var err error
			if timeout, err = h.Timeout.Parse(); err != nil {
				return task{}, fmt.Errorf("hook %s: timeout: %w", h.Name, err)
			}
		}
		return task{
			id: ask.ID, release: ask.Release, uid: rel.UID, moment: ask.Moment, hook: h, timeout: timeout, edgeURL: r.o.EdgeURL(),
		}, nil
	}
	return task{}, fmt.Errorf("the Release %s/%s has no %s hook %q any more: put it back, or open the release again", r.o.Fleet.Namespace, ask.Release, ask.Moment, name)
}

func momentOf(h crd.Hooks, m release.Moment) []crd.Hook {
	switch m {
	case release.Prepare:
		return h.Prepare
	case release.Verify:
		return h.Verify
	case release.OnSettle:
		return h.Settle
	case release.OnRollback:
		return h.Rollback
	case release.OnAbort:
		return h.Abort
	}
	return nil
}

// check asks over HTTP.
func (r *Runner) check(ctx context.Context, t task) hook.Result {
	token, err := r.sign(t)
	if err != nil {
		now := r.o.Now()
		return hook.Result{Err: err.Error(), Started: now, Ended: now}
	}
	h := fleet.Hook{Name: t.hook.Name, Timeout: t.timeout}
	if c := t.hook.HTTP; c != nil {
		h.HTTP = &fleet.HTTPCheck{Path: c.Path, Method: c.Method}
		if c.Status != nil {
			h.HTTP.Status = *c.Status
		}
	}
	return r.http.Run(ctx, h, hook.Context{ID: t.id, Release: t.release, EdgeURL: t.edgeURL, Pass: token})
}

// sign makes the pass that a hook looks at its release with.
func (r *Runner) sign(t task) (string, error) {
	now := r.o.Now()
	token, err := r.o.Sign(pass.Claims{
		ID: "hook-" + rand.Text(), Release: t.release, UID: t.uid, Subject: "hook",
		IssuedAt: now, ExpiresAt: now.Add(t.timeout + time.Minute),
	})
	if err != nil {
		return "", fmt.Errorf("hook %s: making its pass: %w", t.hook.Name, err)
	}
	return token, nil
}

// forgetOld drops what is known of releases that are gone. The caller holds mu.
func (r *Runner) forgetOld(s release.State) {
	maps.DeleteFunc(r.runs, func(_ string, one run) bool {
		_, kept := s.Releases[one.release]
		return !kept && !one.running
	})
}

// Observe returns how every hook is doing.
func (r *Runner) Observe() map[string]release.HookStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[string]release.HookStatus, len(r.runs))
	for id, one := range r.runs {
		out[id] = release.HookStatus{Running: one.running, Passed: one.result.Passed, Message: one.result.Err}
	}
	return out
}

// Output returns what a hook printed, by the run's ID, as far as it is known
// since the operator's start.
func (r *Runner) Output(id string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.runs[id].result.Output
}
