package operator_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	networkingapi "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	api "github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/deploy"
	"github.com/greenroom-dev/greenroom/internal/operator"
	"github.com/greenroom-dev/greenroom/internal/operator/operatortest"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
)

// rig is a fleet of services in a namespace of a real API server, an Argo and a
// gateway that do as they are told, and an operator.
type rig struct {
	t       *testing.T
	cluster *operatortest.Cluster
	config  *rest.Config  // of the operator, with its own rights
	c       client.Client // as admin
	ns      string
	api     *api.Client
	url     string // of the operator's API
	stop    func() // the operator
	argo    *argo
	meters  *prometheus.Registry // of the operator that runs, or ran last
	gateway *httptest.Server
	hidden  atomic.Value // a path that the gateway does not answer
}

// wait bounds every wait, on a machine that is busy.
const wait = 2 * time.Minute

func newRig(t *testing.T, cluster *operatortest.Cluster, services ...string) *rig {
	t.Helper()
	r := placeFleet(t, cluster, services...)
	r.start()
	t.Cleanup(func() { r.stop() })
	return r
}

// placeFleet is a rig without an operator.
func placeFleet(t *testing.T, cluster *operatortest.Cluster, services ...string) *rig {
	t.Helper()
	scheme, err := operator.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	admin := cluster.Admin()
	admin.QPS = -1 // a large fleet is thousands of requests
	c, err := client.New(admin, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, cluster: cluster, c: c, ns: cluster.Namespace(t)}
	r.config = cluster.ByToken(cluster.ServiceAccountToken(t, deploy.DefaultNamespace, "greenroom-operator"))
	r.placeGateway()
	for _, s := range services {
		r.placeService(s)
	}
	r.argo = runArgo(t, c, r.ns)
	return r
}

// install applies what gives the operator its rights, and guards templates.
func install(t *testing.T, cluster *operatortest.Cluster) {
	t.Helper()
	c, err := client.New(cluster.Admin(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := deploy.Manifests(&text, deploy.Install{}); err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(text.String(), "\n---\n") {
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &o.Object); err != nil {
			t.Fatal(err)
		}
		if len(o.Object) == 0 {
			continue
		}
		if err := c.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(o), client.FieldOwner("test"), client.ForceOwnership); err != nil {
			t.Fatalf("%s %s: %v", o.GetKind(), o.GetName(), err)
		}
	}
}

// start runs an operator until stop.
func (r *rig) start() {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	addr := freeAddr(r.t)
	r.meters = prometheus.NewRegistry()
	o := operator.Options{
		Config: r.config, Namespace: r.ns, Version: "test", Log: slog.New(slog.NewTextHandler(testLog{r.t}, nil)),
		APIAddr: addr, NoElection: true, Meters: r.meters,
	}
	go func() { done <- operator.Run(ctx, o) }()
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("the operator: %v", err)
		}
	}
	r.reach(addr)
}

// reach makes calls go to the operator at an address.
func (r *rig) reach(addr string) {
	r.t.Helper()
	var err error
	r.url = "http://" + addr
	r.api, err = api.Remote("http://"+addr+"/fleets/"+r.ns+"/live", r.cluster.As(r.t, "alice").BearerToken, nil)
	if err != nil {
		r.t.Fatal(err)
	}
}

// testLog is a test's log, as far as it is of interest.
type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	if line := string(p); strings.Contains(line, "fleet=") || strings.Contains(line, "level=ERROR") {
		l.t.Log(strings.TrimSpace(line))
	}
	return len(p), nil
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// edge is the name of the VirtualService that greenroom makes of the Gateway.
func (r *rig) edge() string { return "greenroom.live.edge." + r.ns + ".edge" }

// placeGateway makes a Gateway whose only pod is a server here that knows the
// objects of the API server at once.
func (r *rig) placeGateway() {
	r.t.Helper()
	r.gateway = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var vs networkingv1.VirtualService
		if err := r.c.Get(req.Context(), client.ObjectKey{Namespace: r.ns, Name: r.edge()}, &vs); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		for _, route := range vs.Spec.Http {
			if len(route.Match) == 1 && route.Match[0].Uri.GetExact() == req.URL.Path && req.Host == vs.Spec.Hosts[0] && r.hidden.Load() != req.URL.Path {
				fmt.Fprint(w, route.DirectResponse.Body.GetString_())
				return
			}
		}
		http.NotFound(w, req)
	}))
	r.t.Cleanup(r.gateway.Close)
	_, port, err := net.SplitHostPort(r.gateway.Listener.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		r.t.Fatal(err)
	}
	selector := map[string]string{"istio": "ingress-" + r.ns}
	r.create(&networkingv1.Gateway{ObjectMeta: r.meta("edge"), Spec: networkingapi.Gateway{Selector: selector, Servers: []*networkingapi.Server{{
		Port: &networkingapi.Port{Number: uint32(number), Name: "http", Protocol: "HTTP"}, Hosts: []string{"*"},
	}}}})
	p := &corev1.Pod{ObjectMeta: r.meta("ingress"), Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "istio-proxy", Image: "proxy"}}}}
	p.Labels = selector
	r.create(p)
	p.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "127.0.0.1"}
	if err := r.c.Status().Update(r.t.Context(), p); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: r.ns, Name: name}
}

func (r *rig) create(o client.Object) {
	r.t.Helper()
	if err := r.c.Create(r.t.Context(), o); err != nil {
		r.t.Fatalf("make %T %s: %v", o, o.GetName(), err)
	}
}

func image(service, version string) string { return "registry.test/" + service + ":" + version }

// placeService makes a Rollout of version 1, and its two Services.
func (r *rig) placeService(name string) {
	r.t.Helper()
	for _, s := range []string{name, name + "-preview"} {
		r.create(&corev1.Service{ObjectMeta: r.meta(s), Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": name}, Ports: []corev1.ServicePort{{Name: "http", Port: 80}}}})
	}
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"replicas": int64(1), "selector": map[string]any{"matchLabels": map[string]any{"app": name}},
		"strategy": map[string]any{"blueGreen": map[string]any{
			"activeService": name, "previewService": name + "-preview", "autoPromotionEnabled": false, "scaleDownDelaySeconds": int64(7200),
		}},
		"template": map[string]any{
			"metadata": map[string]any{"labels": map[string]any{"app": name}},
			"spec":     map[string]any{"containers": []any{map[string]any{"name": name, "image": image(name, "1")}}},
		},
	}}}
	u.SetGroupVersionKind(kubernetes.RolloutKind())
	u.SetNamespace(r.ns)
	u.SetName(name)
	r.create(u)
}

// fleet makes the Fleet.
func (r *rig) fleet(services ...string) {
	r.t.Helper()
	f := &crd.Fleet{ObjectMeta: r.meta("live"), Spec: crd.FleetSpec{Edge: crd.Edge{
		Gateways: []crd.Gateway{{Name: r.ns + "/edge", Hosts: []string{r.ns + ".test"}, Selector: map[string]string{"istio": "ingress-" + r.ns}}},
		Routes:   []crd.Route{{Route: v1alpha1.Route{Service: services[0]}}},
	}}}
	for _, s := range services {
		f.Spec.Services = append(f.Spec.Services, crd.Service{Name: s, Drain: "1s"})
	}
	r.create(f)
}

// foreign makes a VirtualService that somebody else has for the fleet's host.
func (r *rig) foreign(service string) *networkingv1.VirtualService {
	r.t.Helper()
	vs := &networkingv1.VirtualService{ObjectMeta: r.meta("theirs"), Spec: networkingapi.VirtualService{
		Hosts: []string{r.ns + ".test"}, Gateways: []string{"edge"},
		Http: []*networkingapi.HTTPRoute{{Route: []*networkingapi.HTTPRouteDestination{{Destination: &networkingapi.Destination{Host: service}}}}},
	}}
	r.create(vs)
	return vs
}

// release makes a Release that brings a version of some services.
func (r *rig) release(name, version string, services ...string) {
	r.t.Helper()
	o := &crd.Release{ObjectMeta: r.meta(name), Spec: crd.ReleaseSpec{RollbackWindow: "1h"}}
	for _, s := range services {
		o.Spec.Services = append(o.Spec.Services, crd.ReleaseService{Name: s, Image: image(s, version), Apply: true})
	}
	r.create(o)
}

// until waits for a condition, and fails with what it says last.
func (r *rig) until(what string, done func() error) {
	r.t.Helper()
	deadline := time.After(wait)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := done()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			r.t.Fatalf("%s: %v", what, err)
		}
	}
}

func (r *rig) get(o client.Object, name string) error {
	return r.c.Get(r.t.Context(), client.ObjectKey{Namespace: r.ns, Name: name}, o)
}

// phase waits until a Release's status names a phase.
func (r *rig) phase(name, phase string) {
	r.t.Helper()
	r.until(name+" "+phase, func() error {
		var o crd.Release
		if err := r.get(&o, name); err != nil {
			return err
		}
		if o.Status.Phase != phase {
			return fmt.Errorf("it is %q (%s), with %+v", o.Status.Phase, o.Status.Reason, o.Status.Conditions)
		}
		return nil
	})
}

// serves waits until the edge gives ordinary requests a stamp.
func (r *rig) serves(stamp string) {
	r.t.Helper()
	r.until("the edge serves "+stamp, func() error {
		var vs networkingv1.VirtualService
		if err := r.get(&vs, r.edge()); err != nil {
			return err
		}
		if got, _ := kubernetes.Served(&vs); got != stamp {
			return fmt.Errorf("it gives %q", got)
		}
		return nil
	})
}

// rollout reads a Rollout.
func (r *rig) rollout(name string) (kubernetes.Rollout, error) {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(kubernetes.RolloutKind())
	if err := r.get(u, name); err != nil {
		return kubernetes.Rollout{}, err
	}
	return kubernetes.ReadRollout(u)
}

// active waits until Argo's active pods of a service run a version.
func (r *rig) active(service, version string) {
	r.t.Helper()
	r.until(service+" runs version "+version, func() error {
		o, err := r.rollout(service)
		if err == nil && o.Active() != hashOf(image(service, version)) {
			err = errors.New("Argo's active pods are " + o.Active())
		}
		return err
	})
}

func unstructuredRollout(namespace, name string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(kubernetes.RolloutKind())
	u.SetNamespace(namespace)
	u.SetName(name)
	return u
}
