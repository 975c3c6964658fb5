package operator_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	networkingapi "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/breakglass"
	"github.com/greenroom-dev/greenroom/internal/operator"
	"github.com/greenroom-dev/greenroom/internal/operator/operatortest"
)

const openedBy = "greenroom.dev/opened-by"

// policies is an API server with the admission policies that are installed, and
// people who may do what operators of releases and people on call may.
type policies struct {
	rig
	ann, eve client.Client
}

// TestPolicies is that nobody writes another one's name where the operator
// believes names.
func TestPolicies(t *testing.T) {
	t.Parallel()
	cluster := operatortest.Start(t, operatortest.User{Name: "ann"}, operatortest.User{Name: "eve"})
	install(t, cluster)
	scheme, err := operator.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	admin, err := client.New(cluster.Admin(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	p := &policies{rig: rig{t: t, cluster: cluster, c: admin, ns: cluster.Namespace(t)}}
	for who, c := range map[string]*client.Client{"ann": &p.ann, "eve": &p.eve} {
		for _, role := range []string{"greenroom-operator", "greenroom-break-glass"} {
			p.bind(who, role)
		}
		if *c, err = client.New(cluster.As(t, who), client.Options{Scheme: scheme}); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("opened-by", p.openedBy)
	t.Run("break-glass", p.breakGlassBy)
}

// isRefused reports whether a policy refused something.
func isRefused(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "ValidatingAdmissionPolicy")
}

// want holds an answer to what it should be.
func want(t *testing.T, what string, refused bool, err error) {
	t.Helper()
	switch {
	case err == nil && refused:
		t.Errorf("%s: nobody refused it", what)
	case err != nil && !(refused && isRefused(err)):
		t.Errorf("%s: %v", what, err)
	}
}

func (p *policies) opening(name string, annotations map[string]string) *crd.Release {
	o := &crd.Release{ObjectMeta: p.meta(name), Spec: crd.ReleaseSpec{Services: []crd.ReleaseService{{Name: "api", Image: image("api", "2")}}}}
	o.Annotations = annotations
	return o
}

func (p *policies) openedBy(t *testing.T) {
	ctx := t.Context()
	forged := p.opening("forged", map[string]string{openedBy: "ann"})
	p.until("the policy is in force", func() error {
		return inForce(p.eve.Create(ctx, forged.DeepCopy(), client.DryRunAll))
	})
	want(t, "eve opens as ann", true, p.eve.Create(ctx, forged))
	if err := p.ann.Create(ctx, p.opening("anns", map[string]string{openedBy: "ann", "greenroom.dev/reason": "gifts"})); err != nil {
		t.Fatal(err)
	}
	if err := p.ann.Create(ctx, p.opening("plain", nil)); err != nil {
		t.Fatal(err)
	}
	const newImage = `"spec":{"services":[{"name":"api","image":"registry.test/api:evil"}]}`
	for _, c := range []struct {
		what, name, patch string
		refused           bool
	}{
		{"another name than one's own", "anns", `{"metadata":{"annotations":{"greenroom.dev/opened-by":"carol"}}}`, true},
		{"a name where there was none", "plain", `{"metadata":{"annotations":{"greenroom.dev/opened-by":"ann"}}}`, true},
		{"other images under a name that is there", "anns", `{` + newImage + `}`, true},
		{"another reason under it", "anns", `{"metadata":{"annotations":{"greenroom.dev/reason":"none"}}}`, true},
		{"a label beside it", "anns", `{"metadata":{"labels":{"team":"shop"}}}`, false},
		{"other images where there is no name", "plain", `{` + newImage + `}`, false},
		{"other images without the name", "anns", `{"metadata":{"annotations":{"greenroom.dev/opened-by":null}},` + newImage + `}`, false},
		{"one's own name", "plain", `{"metadata":{"annotations":{"greenroom.dev/opened-by":"eve"}}}`, false},
	} {
		o := p.opening(c.name, nil)
		err := p.eve.Patch(ctx, o, client.RawPatch(types.MergePatchType, []byte(c.patch)), client.DryRunAll, client.FieldOwner("kubectl-greenroom"))
		want(t, "eve writes "+c.what, c.refused, err)
	}
	// The operator marks what people opened.
	scheme, err := operator.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(p.cluster.ByToken(p.cluster.ServiceAccountToken(t, "greenroom-system", "greenroom-operator")), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Patch(ctx, p.opening("anns", nil), client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":["greenroom.dev/release"]}}`)), client.DryRunAll)
	want(t, "the operator adds a finalizer", false, err)
	want(t, "the operator writes what ann opens over its API", false, c.Create(ctx, p.opening("asked", map[string]string{openedBy: "ann"}), client.DryRunAll))
}

// inForce reports why it is not known yet that a policy refuses.
func inForce(err error) error {
	if isRefused(err) {
		return nil
	}
	return apierrors.NewServiceUnavailable("it is not refused yet: " + reasonOf(err))
}

func reasonOf(err error) string {
	if err == nil {
		return "it was let pass"
	}
	return err.Error()
}

// noted are the annotations of a rollback by somebody: the same, however often.
func noted(t *testing.T, who string) map[string]string {
	t.Helper()
	out, err := breakglass.Encode(breakglass.Note{Release: "r1", To: "baseline", Who: who, At: time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC), Why: "errors"})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (p *policies) breakGlassBy(t *testing.T) {
	ctx := t.Context()
	p.rig.t = t
	p.fleet("api")
	vs := func(name string, annotations map[string]string) *networkingv1.VirtualService {
		o := &networkingv1.VirtualService{ObjectMeta: p.meta(name), Spec: networkingapi.VirtualService{
			Hosts: []string{"shop.test"},
			Http:  []*networkingapi.HTTPRoute{{Route: []*networkingapi.HTTPRouteDestination{{Destination: &networkingapi.Destination{Host: "api"}}}}},
		}}
		o.Annotations = annotations
		return o
	}
	p.create(vs("edge", nil))
	p.until("the policy is in force", func() error {
		return inForce(p.eve.Create(ctx, vs("forged", noted(t, "ann")), client.DryRunAll))
	})
	write := func(c client.Client, o client.Object, note map[string]string, options ...client.PatchOption) error {
		annotations := map[string]any{breakglass.Annotation: nil, breakglass.ByAnnotation: nil}
		for key, text := range note {
			annotations[key] = text
		}
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations, "labels": map[string]string{"touched": "yes"}}})
		if err != nil {
			return err
		}
		return c.Patch(ctx, o.DeepCopyObject().(client.Object), client.RawPatch(types.MergePatchType, patch), options...)
	}
	for kind, o := range map[string]client.Object{"Fleet": &crd.Fleet{ObjectMeta: p.meta("live")}, "VirtualService": vs("edge", nil)} {
		damaged := noted(t, "ann")
		damaged[breakglass.Annotation] = "{"
		nameless := noted(t, "eve")
		delete(nameless, breakglass.ByAnnotation)
		want(t, "eve notes a rollback of ann's on a "+kind, true, write(p.eve, o, noted(t, "ann"), client.DryRunAll))
		want(t, "eve notes a rollback of nobody's on a "+kind, true, write(p.eve, o, nameless, client.DryRunAll))
		want(t, "eve notes her own on a "+kind, false, write(p.eve, o, noted(t, "eve"), client.DryRunAll))
		want(t, "ann notes her own on a "+kind, false, write(p.ann, o, noted(t, "ann")))
		want(t, "eve damages ann's on a "+kind, true, write(p.eve, o, damaged, client.DryRunAll))
		want(t, "eve says that ann's is hers on a "+kind, false, write(p.eve, o, noted(t, "eve"), client.DryRunAll))
		want(t, "eve changes something else of a "+kind, false, write(p.eve, o, noted(t, "ann"), client.DryRunAll))
		want(t, "eve takes it away from a "+kind, false, write(p.eve, o, nil, client.DryRunAll))
	}
}
