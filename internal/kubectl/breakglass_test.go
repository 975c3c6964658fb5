package kubectl

import (
	"strings"
	"testing"
	"time"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/breakglass"
	"github.com/greenroom-dev/greenroom/internal/command"
	engine "github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// liveState is that of a fleet in which r42 is live over the baseline.
func liveState(now time.Time) engine.Value {
	s := release.New(map[string]release.Service{"api": {Drain: time.Second}},
		[]release.Version{{ID: "api@v1", Service: "api", Name: "v1", Digest: "1", Replicas: 1}}, release.Settings{Quiet: time.Second, History: 10},
		release.Actor{Who: "ann"}, now.Add(-time.Hour))
	s.Versions["api@v2"] = release.Version{ID: "api@v2", Service: "api", Name: "v2", Digest: "2", Replicas: 1}
	s.Views["r42"] = release.View{Stamp: "r42", Release: "r42", Over: release.Baseline,
		Versions: map[string]string{"api": "api@v2"}, Own: map[string]string{"api": "api@v2"}}
	s.Default, s.Since = "r42", now
	s.Live["r42"] = "uid"
	s.Releases["r42"] = release.Release{Name: "r42", UID: "uid", Phase: release.Live, Since: now, OpenedAt: now, OpenedBy: "ann", Generation: 1,
		Versions: map[string]string{"api": "api@v2"}, Replaces: map[string]string{"api": "api@v1"}, View: "r42", Views: 1,
		Former: release.Baseline, WindowEnds: now.Add(time.Hour), RollbackWindow: time.Hour, Keep: time.Hour}
	return engine.Value{State: s, Templates: map[string]engine.Template{"api@v1": {Hash: "aaa"}, "api@v2": {Hash: "bbb"}}}
}

// keepFleet makes a fleet with a state, and its gateway's object as the
// operator writes it.
func (p *place) keepFleet(v engine.Value) {
	p.t.Helper()
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: p.shop, Name: "api"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80}}}}
	p.make(service)
	f := someFleet(p.shop, "live")
	p.make(f)
	state, err := engine.EncodeValue(v)
	if err != nil {
		p.t.Fatal(err)
	}
	f.Status.State = state
	if err := p.objects.Status().Update(p.t.Context(), f); err != nil {
		p.t.Fatal(err)
	}
	in := engine.Input{Fleet: f, Value: v, Services: map[string]*corev1.Service{"api": service}, Pages: &engine.Backend{Host: "pages.greenroom-system.svc", Port: 8084}}
	for _, vs := range engine.Edges(in) {
		u, err := edgeObject(vs)
		if err != nil {
			p.t.Fatal(err)
		}
		if err := p.objects.Apply(p.t.Context(), kube.ApplyConfigurationFromUnstructured(u), kube.FieldOwner(engine.FieldManager), kube.ForceOwnership); err != nil {
			p.t.Fatal(err)
		}
	}
}

// edge is the gateway's object as it is.
func (p *place) edge() *networkingv1.VirtualService {
	p.t.Helper()
	var list networkingv1.VirtualServiceList
	if err := p.objects.List(p.t.Context(), &list, kube.InNamespace(p.shop)); err != nil {
		p.t.Fatal(err)
	}
	if len(list.Items) != 1 {
		p.t.Fatalf("%d VirtualServices", len(list.Items))
	}
	return list.Items[0]
}

func (p *place) fleet() *crd.Fleet {
	p.t.Helper()
	f := &crd.Fleet{}
	if err := p.objects.Get(p.t.Context(), kube.ObjectKey{Namespace: p.shop, Name: "live"}, f); err != nil {
		p.t.Fatal(err)
	}
	return f
}

func TestBreakGlass(t *testing.T) {
	p := newPlace(t)
	p.keepFleet(liveState(time.Now().Truncate(time.Second)))
	ann, eve := p.kubeconfig("ann", p.cluster.As(t, "ann")), p.kubeconfig("eve", p.cluster.As(t, "eve"))
	serves := func() string { stamp, _ := engine.Served(p.edge()); return stamp }
	refused := func(want string, code int, got result) {
		t.Helper()
		if got.code != code || !strings.Contains(got.errors, want) {
			t.Errorf("it ended with %d: %s; want %d and %s", got.code, got.errors, code, want)
		}
		if serves() != "r42" || p.fleet().Annotations[breakglass.Annotation] != "" {
			t.Error("it was done all the same")
		}
	}
	p.lead("operator-1", 0)
	refused("the operator runs: operator-1 was seen at", command.Refused, run(ann, "rollback", "--break-glass", "--yes"))
	p.lead("operator-1", time.Minute)
	refused("asks first, and there is no terminal", command.Refused, run(ann, "rollback", "--break-glass"))
	refused("there is no release r41", command.BadInput, run(ann, "rollback", "r41", "--break-glass", "--yes"))
	refused("--force goes with --break-glass", command.BadInput, run(ann, "rollback", "--force", "--yes"))
	refused("forbidden", command.Refused, run(eve, "rollback", "--break-glass", "--yes", "--force"))
	dry := run(ann, "rollback", "--break-glass", "--dry-run")
	refused("", command.Done, dry)
	if !strings.Contains(dry.out, "r42 would be rolled back at the gateways; ordinary requests would get baseline (api v1) again.") {
		t.Errorf("a dry run says %s", dry.out)
	}

	got := run(ann, "rollback", "--break-glass", "--yes", "--reason", "gifts are sent thrice")
	if got.code != command.Done || !strings.Contains(got.out, "r42 is rolled back at the gateways; ordinary requests get baseline (api v1) again.") {
		t.Fatalf("it ended with %d: %s%s", got.code, got.out, got.errors)
	}
	if serves() != release.Baseline {
		t.Errorf("the gateway gives ordinary requests %s", serves())
	}
	for what, annotations := range map[string]map[string]string{"Fleet": p.fleet().Annotations, "VirtualService": p.edge().Annotations} {
		n, err := breakglass.Decode(annotations)
		if err != nil || n.Release != "r42" || n.To != release.Baseline || n.Who != "ann" || n.Why != "gifts are sent thrice" || time.Since(n.At) > time.Minute {
			t.Errorf("the %s says %s, %v", what, annotations, err)
		}
	}
	if pages := pagesOf([]*networkingv1.VirtualService{p.edge()}); pages == nil || *pages != (engine.Backend{Host: "pages.greenroom-system.svc", Port: 8084}) {
		t.Errorf("the operator's pages are at %v", pages)
	}
	if again := run(ann, "rollback", "r42", "--break-glass", "--yes"); again.code != command.Done || serves() != release.Baseline {
		t.Errorf("again: %d %s", again.code, again.errors)
	}
}
