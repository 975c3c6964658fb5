package kubectl

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/breakglass"
	"github.com/greenroom-dev/greenroom/internal/command"
	"github.com/greenroom-dev/greenroom/internal/pass"
	engine "github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// rollbackCommand is the one of both engines, and the way without the operator.
func (a *app) rollbackCommand() *cobra.Command {
	cmd := a.RollbackCommand()
	usual := cmd.RunE
	var without, force bool
	cmd.Long = `Puts back what served before a release: all of its services at once.

With --break-glass it is done without the operator, when that does not run: the
VirtualServices of the fleet's gateways are written with your own credentials, by
what the Fleet's status says. The operator takes it in when it is back. Calls
between services that carry no stamp follow only then.`
	cmd.Flags().BoolVar(&without, "break-glass", false, "write the gateways' VirtualServices yourself, when the operator is down")
	cmd.Flags().BoolVar(&force, "force", false, "with --break-glass: although the operator seems to run")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if force && !without {
			return command.BadInputf("--force goes with --break-glass")
		}
		if !without {
			return usual(cmd, args)
		}
		var c command.Changing
		var err error
		if c.Reason, err = cmd.Flags().GetString("reason"); err != nil {
			return err
		}
		if c.DryRun, err = cmd.Flags().GetBool("dry-run"); err != nil {
			return err
		}
		if c.Yes, err = cmd.Flags().GetBool("yes"); err != nil {
			return err
		}
		return a.breakGlass(cmd.Context(), args, c, force)
	}
	return cmd
}

// breakGlass rolls back without the operator.
func (a *app) breakGlass(ctx context.Context, args []string, c command.Changing, force bool) error {
	if err := a.MayAsk(&c, "rollback --break-glass"); err != nil {
		return err
	}
	k, err := a.flags.cluster()
	if err != nil {
		return err
	}
	set, err := kubernetes.NewForConfig(k.config)
	if err != nil {
		return fmt.Errorf("set up a client of the cluster: %w", err)
	}
	objects, err := k.client()
	if err != nil {
		return err
	}
	now := time.Now()
	if err := mayBreak(ctx, set, a.flags.operator, force, now); err != nil {
		return err
	}
	name, err := fleetName(ctx, a.flags.fleet, objects, k.namespace)
	if err != nil {
		return err
	}
	who, err := whoAmI(ctx, set)
	if err != nil {
		return err
	}
	in, err := readGlass(ctx, objects, k.namespace, name)
	if err != nil {
		return err
	}
	g, err := decide(in, args, release.Actor{Who: who, Why: c.Reason}, now)
	if err != nil {
		return err
	}
	if !c.Yes && !c.DryRun {
		fmt.Fprintf(a.Env.Stderr, "%s serves, and the operator does not run.\n", g.note.Release)
		question := fmt.Sprintf("Ordinary requests will get %s again. Roll %s back without the operator?", g.back, g.note.Release)
		if err := a.Confirm(ctx, &c, question); err != nil {
			return err
		}
	}
	if err := g.write(ctx, objects, c.DryRun); err != nil {
		return err
	}
	done := client.Changed{Changed: !c.DryRun, Message: fmt.Sprintf("%s is rolled back at the gateways; ordinary requests get %s again", g.note.Release, g.back)}
	if c.DryRun {
		done.Message = fmt.Sprintf("%s would be rolled back at the gateways; ordinary requests would get %s again", g.note.Release, g.back)
		return a.PrintChanged(done)
	}
	done.Notes = []string{
		"istiod tells the gateways; /.greenroom/default at the edge answers with " + g.note.To + " when it has arrived",
		"the operator takes it in when it is back, and then moves what is behind the edge",
	}
	return a.Print(done, func(w io.Writer) {
		fmt.Fprintln(w, command.Sentence(done.Message))
		for _, n := range done.Notes {
			fmt.Fprintln(w, "Note: "+n)
		}
	})
}

// mayBreak refuses while an operator leads, which would put back what was
// written past it.
func mayBreak(ctx context.Context, k kubernetes.Interface, namespace string, force bool, now time.Time) error {
	if force {
		return nil
	}
	lease, err := k.CoordinationV1().Leases(namespace).Get(ctx, leaseName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return &command.CodedError{Err: fmt.Errorf("whether the operator runs is not known (%s); give --force if it does not", reasonOf(err)), Code: command.Refused}
	}
	if l := readLease(lease, now); l.pod != "" && !l.late {
		return &command.CodedError{Err: fmt.Errorf("the operator runs: %s was seen at %s; use greenroom rollback, or give --force if it does not answer",
			l.pod, l.seen.Local().Format(time.TimeOnly)), Code: command.Refused}
	}
	return nil
}

// whoAmI is how the API server knows the caller.
func whoAmI(ctx context.Context, k kubernetes.Interface) (string, error) {
	review, err := k.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return "", clusterError(err, "ask who you are")
	}
	return review.Status.UserInfo.Username, nil
}

// readGlass reads what the gateways' objects follow from.
func readGlass(ctx context.Context, c kube.Client, namespace, fleet string) (engine.Input, error) {
	f := &crd.Fleet{}
	if err := c.Get(ctx, kube.ObjectKey{Namespace: namespace, Name: fleet}, f); err != nil {
		return engine.Input{}, clusterError(err, "read the Fleet "+fleet)
	}
	v, err := engine.DecodeValue(f.Status.State)
	if err != nil {
		return engine.Input{}, &command.CodedError{Err: fmt.Errorf("%w; without it nobody knows what served before", err), Code: command.Failed}
	}
	in := engine.Input{Fleet: f, Value: v, Services: map[string]*corev1.Service{}}
	// Who holds a pass goes on seeing what it opens. Where no gateway knows
	// keys, a route that asks for their claims matches nobody.
	in.Passes = engine.Passes{Issuer: pass.Issuer + "/" + namespace + "/" + fleet, Audience: pass.Audience, JWKS: "{}"}
	var services corev1.ServiceList
	if err := c.List(ctx, &services, kube.InNamespace(namespace)); err != nil {
		return engine.Input{}, clusterError(err, "read the Services of "+namespace)
	}
	for _, s := range f.Spec.Services {
		name := cmp.Or(s.Service, s.Name)
		if i := slices.IndexFunc(services.Items, func(o corev1.Service) bool { return o.Name == name }); i >= 0 {
			in.Services[s.Name] = &services.Items[i]
		}
	}
	var routes networkingv1.VirtualServiceList
	if err := c.List(ctx, &routes, kube.InNamespace(namespace), kube.MatchingLabels(engine.Labels(f))); err != nil {
		return engine.Input{}, clusterError(err, "read the VirtualServices of "+namespace)
	}
	in.VirtualServices = routes.Items
	in.Pages = pagesOf(routes.Items)
	return in, nil
}

// pagesOf is where the gateways find the operator's pages now.
func pagesOf(routes []*networkingv1.VirtualService) *engine.Backend {
	for _, vs := range routes {
		for _, r := range vs.Spec.Http {
			if r.Name == engine.PagesRoute && len(r.Route) == 1 && r.Route[0].Destination != nil {
				d := r.Route[0].Destination
				return &engine.Backend{Host: d.Host, Port: int(d.GetPort().GetNumber())}
			}
		}
	}
	return nil
}

// glass is a rollback without the operator, decided and not done.
type glass struct {
	fleet *crd.Fleet
	note  breakglass.Note
	back  string // the release that serves again
	edges []*networkingv1.VirtualService
}

// decide says what a rollback writes: what the operator would, from the same
// state by the same rules.
func decide(in engine.Input, args []string, by release.Actor, now time.Time) (glass, error) {
	name, err := rolledBack(in.Value.State, args)
	if err != nil {
		return glass{}, err
	}
	after, err := in.Value.State.Rollback(name, by, now)
	if err != nil {
		return glass{}, &command.CodedError{Err: err, Code: command.Refused}
	}
	in.Value = in.Value.With(after)
	g := glass{
		fleet: in.Fleet, back: after.Serving().Named,
		note: breakglass.Note{Release: name, To: after.Default, Who: by.Who, At: now, Why: by.Why},
	}
	if len(engine.Check(in.Fleet)) == 0 {
		g.edges = engine.Edges(in)
	}
	if len(g.edges) == 0 {
		return glass{}, &command.CodedError{Err: fmt.Errorf("the Fleet %s has no gateway that can be written: kubectl describe fleet %s says why", in.Fleet.Name, in.Fleet.Name), Code: command.Refused}
	}
	note, err := breakglass.Encode(g.note)
	if err != nil {
		return glass{}, err
	}
	for _, vs := range g.edges {
		for key, text := range note {
			vs.Annotations = with(vs.Annotations, key, text)
		}
	}
	return g, nil
}

// rolledBack is the release that a rollback means: the one named, else the one
// in Canary, else the one that is Live.
func rolledBack(s release.State, args []string) (string, error) {
	if len(args) == 1 {
		r, known := s.Releases[args[0]]
		switch {
		case !known:
			return "", command.BadInputf("there is no release %s", args[0])
		case r.Phase != release.Live && r.Phase != release.Canary:
			return "", &command.CodedError{Err: fmt.Errorf("%s is %s; there is nothing to roll back", r.Name, r.Phase), Code: command.Refused}
		}
		return r.Name, nil
	}
	var found []string
	for name, r := range s.Releases {
		if r.Phase == release.Live || r.Phase == release.Canary {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", &command.CodedError{Err: fmt.Errorf("there is no release to roll back"), Code: command.Refused}
	}
	return "", command.BadInputf("several releases fit: %s; name the one to roll back", strings.Join(found, ", "))
}

// write tries all of it without doing it first. Then the note goes before the
// deed: an operator that comes back in between does what the note says.
func (g glass) write(ctx context.Context, c kube.Client, dryRun bool) error {
	for _, vs := range g.edges {
		if err := applyEdge(ctx, c, vs, kube.DryRunAll); err != nil {
			return err
		}
	}
	annotations, err := breakglass.Encode(g.note)
	if err != nil {
		return err
	}
	note := &unstructured.Unstructured{}
	note.SetGroupVersionKind(crd.GroupVersion().WithKind("Fleet"))
	note.SetNamespace(g.fleet.Namespace)
	note.SetName(g.fleet.Name)
	options := []kube.PatchOption{kube.FieldOwner(breakglass.FieldManager)}
	if dryRun {
		options = append(options, kube.DryRunAll)
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
	if err != nil {
		return err
	}
	if err := c.Patch(ctx, note, kube.RawPatch(types.MergePatchType, patch), options...); err != nil {
		return glassError(err, "note it on the Fleet "+g.fleet.Name)
	}
	if dryRun {
		return nil
	}
	for _, vs := range g.edges {
		if err := applyEdge(ctx, c, vs); err != nil {
			return err
		}
	}
	return nil
}

func applyEdge(ctx context.Context, c kube.Client, vs *networkingv1.VirtualService, options ...kube.ApplyOption) error {
	u, err := edgeObject(vs)
	if err != nil {
		return err
	}
	options = append(options, kube.FieldOwner(breakglass.FieldManager), kube.ForceOwnership)
	if err := c.Apply(ctx, kube.ApplyConfigurationFromUnstructured(u), options...); err != nil {
		return glassError(err, "write VirtualService "+vs.Name)
	}
	return nil
}

// edgeObject is what is applied of a VirtualService.
func edgeObject(vs *networkingv1.VirtualService) (*unstructured.Unstructured, error) {
	data, err := json.Marshal(vs) // Istio's types write themselves by protobuf's rules
	if err != nil {
		return nil, fmt.Errorf("encode VirtualService %s: %w", vs.Name, err)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(data); err != nil {
		return nil, fmt.Errorf("encode VirtualService %s: %w", vs.Name, err)
	}
	unstructured.RemoveNestedField(u.Object, "status")
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	return u, nil
}

func glassError(err error, doing string) error {
	if apierrors.IsForbidden(err) {
		return &command.CodedError{Err: fmt.Errorf("%s: %s; breaking the glass takes patch on virtualservices.networking.istio.io and fleets.greenroom.dev, and create besides", doing, reasonOf(err)), Code: command.Refused}
	}
	return clusterError(err, doing)
}
