package kubernetes

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// tester is what a test and a property test have in common.
type tester interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// world is a fleet in a cluster whose pods do as they are told at once. Its
// state comes from the state machine itself.
type world struct {
	t     tester
	in    Input
	now   time.Time
	alice release.Actor
	proxy proxy
}

var noon = time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC)

// newWorld makes a fleet of services, each with a version "1" that serves.
func newWorld(t tester, services ...string) *world {
	w := &world{t: t, now: noon, alice: release.Actor{Who: "alice"}, proxy: proxy{}}
	f := &crd.Fleet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "live"},
		Spec: crd.FleetSpec{Edge: crd.Edge{Gateways: []crd.Gateway{{
			Name: "istio-ingress/public", Hosts: []string{"live.example.com"}, Selector: map[string]string{"istio": "ingress"},
		}}}},
	}
	w.in = Input{
		Fleet: f, Services: map[string]*corev1.Service{},
		Passes: Passes{Issuer: "greenroom", Audience: "greenroom-preview", JWKS: `{"keys":[]}`},
		Pages:  &Backend{Host: "greenroom-operator.greenroom.svc.cluster.local", Port: 8080},
	}
	w.in.Value.Templates = map[string]Template{}
	var first []release.Version
	rules := map[string]release.Service{}
	for _, s := range services {
		f.Spec.Services = append(f.Spec.Services, crd.Service{Name: s})
		f.Spec.Edge.Routes = append(f.Spec.Edge.Routes, crd.Route{Route: v1alpha1.Route{Path: "/" + s, Service: s}})
		first = append(first, w.version(s, "1"))
		rules[s] = release.Service{Drain: 30 * time.Second}
		w.in.Services[s] = &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: s},
			Spec: corev1.ServiceSpec{
				Selector: map[string]string{"app": s, HashLabel: hashOf(s, "1")},
				Ports:    []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80}},
			},
		}
	}
	f.Spec.Edge.Routes = append(f.Spec.Edge.Routes, crd.Route{Route: v1alpha1.Route{Service: services[0]}})
	w.in.Value.State = release.New(rules, first, release.Settings{Quiet: time.Minute, History: 3}, w.alice, w.now)
	return w
}

func hashOf(service, version string) string {
	h := uint32(2166136261)
	for _, c := range []byte(service + "@" + version) {
		h = (h ^ uint32(c)) * 16777619
	}
	return fmt.Sprintf("%08x", h)
}

// version makes a version known, with pods of its own.
func (w *world) version(service, name string) release.Version {
	id := service + "@" + name
	w.in.Value.Templates[id] = Template{Hash: hashOf(service, name), Images: map[string]string{service: "registry.example.com/" + service + "@sha256:" + hashOf(name, service)}}
	return release.Version{ID: id, Service: service, Name: name, Digest: w.in.Value.Templates[id].Hash, Replicas: 1}
}

// step lets the state machine see pods for everything that it wants.
func (w *world) step() {
	s := &w.in.Value.State
	*s, _ = release.Step(*s, w.observation(), w.now)
	s.Pending = nil
}

func (w *world) observation() release.Observation {
	o := release.Observation{Versions: map[string]release.VersionStatus{}}
	for _, id := range w.in.Value.State.Desired() {
		o.Versions[id] = release.VersionStatus{Ready: 1, Replicas: 1}
	}
	return o
}

func (w *world) must(s release.State, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	s.Pending = nil
	w.in.Value.State = s
	w.step()
}

// open opens a release of versions given as service, version, service, ...
func (w *world) open(name string, pairs ...string) {
	w.t.Helper()
	o := release.Opening{Name: name, UID: "uid-" + name, RollbackWindow: time.Hour, Keep: time.Hour}
	for i := 0; i < len(pairs); i += 2 {
		o.Versions = append(o.Versions, w.version(pairs[i], pairs[i+1]))
	}
	w.must(w.in.Value.State.Open(o, w.alice, w.now))
}

func (w *world) promote(name string) {
	w.t.Helper()
	w.must(w.in.Value.State.Promote(release.Promotion{Name: name}, w.observation(), w.alice, w.now))
}

func (w *world) later(d time.Duration) {
	w.now = w.now.Add(d)
	w.step()
}

// activate makes Argo's active Services select what serves.
func (w *world) activate() {
	s := w.in.Value.State
	for name, base := range w.in.Services {
		base.Spec.Selector[HashLabel] = w.in.Value.Templates[s.DefaultVersion(name)].Hash
	}
}
