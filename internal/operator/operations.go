package operator

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	api "github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/operator/journal"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
	"github.com/greenroom-dev/greenroom/internal/release"
	"github.com/greenroom-dev/greenroom/internal/verbs"
)

var _ httpapi.Operations = (*Engine)(nil)

// promoteTimeout is how long a promotion waits until it is known what speaks against a
// promotion, and until every proxy knows what it leads to.
const promoteTimeout = time.Minute

// tooEarly is why a view cannot serve yet: not every proxy knows it.
type tooEarly struct{ stamp string }

func (t *tooEarly) Error() string {
	return "the routes of " + t.stamp + " are not at the proxies yet"
}

// Promote makes a release what ordinary requests get, and returns when every
// gateway's pod gives it to them. What speaks against it is asked in the very
// change that switches, since the view that a release has may be another one
// after every wait.
func (e *Engine) Promote(ctx context.Context, who, name string, in api.Promote) (api.Changed, error) {
	waits, cancel := context.WithTimeout(ctx, promoteTimeout)
	defer cancel()
	if err := e.status.awaitTold(waits); err != nil {
		return api.Changed{}, err
	}
	for {
		out, err := e.switching(ctx, in.DryRun, func() (api.Changed, error) {
			return e.Verbs.PromoteIf(ctx, who, name, in, func(next release.State) error { return e.mayServe(name, next.Default, in.DryRun) })
		})
		var early *tooEarly
		if !errors.As(err, &early) {
			return out, err
		}
		if err := e.season(waits, name, early.stamp); err != nil {
			return api.Changed{}, err
		}
	}
}

// mayServe is what the cluster has to say about a view of a release that would
// serve.
func (e *Engine) mayServe(name, stamp string, dryRun bool) error {
	if check := e.conditionCheck(name); !check.OK {
		return &release.Refused{Rule: check.Rule, Reason: check.Detail, Remedy: check.Remedy}
	}
	if !dryRun && e.unseasoned(stamp) > 0 {
		return &tooEarly{stamp}
	}
	return nil
}

// fit is what the cluster has to say about the views of releases that go live
// by themselves, by stamp: "" where it has nothing against them.
func (e *Engine) fit(v kubernetes.Value) map[string]string {
	out := map[string]string{}
	for name, r := range v.State.Releases {
		if r.Plan == nil && !r.Auto || r.View == "" || !e.status.hasTold() {
			continue
		}
		out[r.View] = ""
		if err := e.mayServe(name, r.View, false); err != nil {
			out[r.View] = err.Error()
		}
	}
	return out
}

// Rollback puts back what served before a release, and returns when every
// gateway's pod gives it to ordinary requests.
func (e *Engine) Rollback(ctx context.Context, who, name string, in api.Asked) (api.Changed, error) {
	return e.switching(ctx, in.DryRun, func() (api.Changed, error) { return e.Verbs.Rollback(ctx, who, name, in) })
}

// Abort ends a release. From Live it goes back first.
func (e *Engine) Abort(ctx context.Context, who, name string, in api.Asked) (api.Changed, error) {
	return e.switching(ctx, in.DryRun, func() (api.Changed, error) { return e.Verbs.Abort(ctx, who, name, in) })
}

// switching does what may switch the edge, and waits until it has arrived. The
// gateways are looked up behind it: it takes istiod a tenth of a second at least
// to send it on, and whatever the API server is asked before delays it.
func (e *Engine) switching(ctx context.Context, dryRun bool, do func() (api.Changed, error)) (api.Changed, error) {
	before, asked := e.controller.Record().State.Default, e.d.Now()
	if !dryRun {
		defer e.way.take()()
	}
	out, err := do()
	if err != nil || dryRun {
		return out, err
	}
	now := e.controller.Record().State.Default
	if now == before && !out.Changed {
		return out, nil
	}
	gates, unknown := e.findGates(ctx)
	switch {
	case errors.Is(unknown, errNoGate) || refusedByServer(unknown):
		out.Notes = append(out.Notes, "whether the switch has arrived is not known: "+unknown.Error())
		return out, nil
	case unknown != nil: // nor whether the edge could be written: its text, since it is not the switch that was not done in time
		return out, fmt.Errorf("the switch is made, and whether it has arrived is not known: %s; look at the API server, greenroom goes on trying", unknown.Error())
	}
	if err := e.awaitGates(ctx, gates, now); err != nil {
		return out, fmt.Errorf("the switch is made, and has not arrived everywhere: %w; look at istiod and these pods, greenroom goes on trying", err)
	}
	if now != before {
		e.meters.arrived(e.d.Now().Sub(asked))
	}
	return out, nil
}

// Rebase takes what ordinary requests get now as what the release replaces.
func (e *Engine) Rebase(ctx context.Context, who, name string, in api.Asked) (api.Changed, error) {
	out, err := e.takeIn(ctx, who, name, in, true)
	if err == nil && !in.DryRun {
		out.Message = name + " now builds on " + out.Serving.Named
		if !out.Changed {
			out.Message = name + " builds on " + out.Serving.Named + " already"
		}
	}
	return out, err
}

func (e *Engine) takeIn(ctx context.Context, who, name string, in api.Asked, rebase bool) (api.Changed, error) {
	r := &crd.Release{}
	if err := e.d.Direct.Get(ctx, types.NamespacedName{Namespace: e.key.Namespace, Name: name}, r); err != nil {
		return api.Changed{}, fmt.Errorf("%w: there is no Release %s in namespace %s", release.ErrUnknown, name, e.key.Namespace)
	}
	w := e.world.Load()
	if in.DryRun {
		_, _, conditions := kubernetes.Opening(r, w.fleet, w.seen)
		if len(conditions) > 0 {
			return api.Changed{}, refusedBy(name, conditions[0])
		}
		return e.changed(name, false, name+" would be opened"), nil
	}
	changed, conditions, err := e.open(ctx, w, r, release.Actor{Who: who, Why: in.Reason}, rebase)
	switch {
	case err != nil:
		return api.Changed{}, err
	case len(conditions) > 0:
		return api.Changed{}, refusedBy(name, conditions[0])
	case !changed:
		return e.changed(name, false, name+" is open with this content already"), nil
	}
	return e.changed(name, true, name+" is open; its preview is being made ready"), nil
}

func refusedBy(name string, c kubernetes.Condition) error {
	return &release.Refused{Rule: c.Type, Reason: fmt.Sprintf("%s cannot be opened yet: %s: %s", name, c.Object, c.Message), Remedy: c.Remedy}
}

// changed reports a release as it is now.
func (e *Engine) changed(name string, changed bool, message string) api.Changed {
	v := e.controller.Record()
	out := api.Changed{Changed: changed, Message: message, Serving: verbs.Serving(v.State), Notes: []string{}}
	if r, ok := v.State.Releases[name]; ok {
		shown := e.showRelease(v, r, e.controller.Observe())
		out.Release = &shown
	}
	return out
}

// Revert makes a Release of the versions that another one replaced.
func (e *Engine) Revert(ctx context.Context, who, name string, in api.Revert) (api.Changed, error) {
	v := e.controller.Record()
	r, ok := v.State.Releases[name]
	if !ok {
		return api.Changed{}, fmt.Errorf("%w: %s", release.ErrUnknown, name)
	}
	if r.Phase != release.Settling && r.Phase != release.Settled {
		return api.Changed{}, &release.Refused{Rule: "phase", Reason: fmt.Sprintf("%s is %s", name, r.Phase),
			Remedy: "a release that is not past the point of no return is rolled back: kubectl greenroom rollback " + name}
	}
	object, there := e.releaseObject(name)
	next := kubernetes.Revert(r, v, object)
	if in.Name != "" {
		next.Name = in.Name
	}
	if len(next.Spec.Services) == 0 {
		return api.Changed{}, &release.Refused{Rule: "version", Reason: "what " + name + " replaced serves again, or is not known any more", Remedy: "name the images in a Release of your own"}
	}
	next.Namespace, next.Spec.Fleet = e.key.Namespace, e.key.Name
	out := e.changed(name, false, next.Name+" would be opened")
	if !there || !object.Spec.Services[0].Apply {
		out.Notes = append(out.Notes, "the images that "+name+" replaced have to come from where the Rollouts' manifests are kept (git revert); the release takes them in")
	}
	if in.DryRun {
		return out, nil
	}
	if err := e.d.Direct.Create(ctx, next); err != nil {
		return api.Changed{}, fmt.Errorf("make Release %s: %w", next.Name, err)
	}
	e.note(ctx, api.Event{Type: "ReleaseReverting", Release: next.Name, Who: who, Why: in.Reason, Message: "made to go back to what " + name + " replaced"})
	out.Changed, out.Message = true, next.Name+" is made of the versions that "+name+" replaced; promote it to go back"
	return out, nil
}

// Fleet shows the fleet, as a document that would start what serves now.
func (e *Engine) Fleet(context.Context) (api.Fleet, error) {
	v, w := e.controller.Record(), e.world.Load()
	clean := &crd.Fleet{TypeMeta: metav1.TypeMeta{APIVersion: crd.GroupVersion().String(), Kind: "Fleet"},
		ObjectMeta: metav1.ObjectMeta{Namespace: w.fleet.Namespace, Name: w.fleet.Name}, Spec: w.fleet.Spec}
	document, err := yaml.Marshal(clean)
	if err != nil {
		return api.Fleet{}, fmt.Errorf("write the fleet as a document: %w", err)
	}
	out := api.Fleet{Name: e.key.Name, Document: string(document), Routes: []api.Route{}, Serving: verbs.Serving(v.State)}
	for _, r := range w.fleet.Spec.Edge.Routes {
		out.Routes = append(out.Routes, api.Route{Host: r.Host, Path: r.Path, Methods: r.Methods, Service: r.Service})
	}
	return out, nil
}

// ApplyFleet refuses: a Fleet is an object.
func (e *Engine) ApplyFleet(context.Context, string, api.FleetApply) (api.FleetChange, error) {
	return api.FleetChange{}, &httpapi.InputError{Problem: "a Fleet is an object of the cluster", Remedy: "kubectl apply -f applies it"}
}

// Events returns what happened, in order.
func (e *Engine) Events(ctx context.Context, q httpapi.EventQuery) ([]api.Event, error) {
	f := journal.Filter{Release: q.Release, Limit: q.Limit}
	var found []journal.Event
	var err error
	if q.Tail {
		found, err = e.journal.Before(ctx, q.Before, f)
	} else {
		found, err = e.journal.After(ctx, q.After, f)
	}
	if err != nil {
		return nil, fmt.Errorf("read the event log: %w", err)
	}
	out := make([]api.Event, 0, len(found))
	for _, one := range found {
		out = append(out, one.Event)
	}
	return out, nil
}

// Flow says where traffic is measured here: proxies carry it, not greenroom.
func (e *Engine) Flow(context.Context, int) (api.Flow, error) {
	return api.Flow{Series: []api.FlowSeries{}, Calls: []api.FlowCall{},
		Note: "the mesh carries the traffic here, and measures it: its istio_requests_total by destination_service_name"}, nil
}

// errTokens says how people are known here.
func errTokens() error {
	return &httpapi.InputError{Problem: "on Kubernetes people are known by their cluster credentials, and greenroom makes no tokens",
		Remedy: "kubectl create rolebinding gives somebody one of the roles greenroom-viewer, greenroom-tester, greenroom-operator"}
}

// MakeToken refuses: the cluster knows people.
func (e *Engine) MakeToken(context.Context, string, api.MakeToken) (api.MadeToken, error) {
	return api.MadeToken{}, errTokens()
}

// Tokens refuses: the cluster knows people.
func (e *Engine) Tokens(context.Context) ([]api.Token, error) { return nil, errTokens() }

// RevokeToken refuses: the cluster knows people.
func (e *Engine) RevokeToken(context.Context, string, string, api.Asked) (api.Token, error) {
	return api.Token{}, errTokens()
}

// Shutdown refuses: the cluster runs the operator.
func (e *Engine) Shutdown(context.Context, string, api.Shutdown) error {
	return &httpapi.InputError{Problem: "the operator is run by the cluster", Remedy: "kubectl -n greenroom-system scale deployment greenroom-operator --replicas 0 stops it; traffic flows on as it is"}
}
