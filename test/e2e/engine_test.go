//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/pass"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// engine is the pure core of the Kubernetes engine over a real fleet, with the
// test in the operator's place: it looks, decides and applies when it is told
// to. What the proxies make of the objects is then the objects' doing alone.
type engine struct {
	*stage
	fleet *fleet
	in    kubernetes.Input
	keys  *pass.Keys
	by    release.Actor
}

// newEngine begins with what serves in a fleet that is there.
func (s *stage) newEngine(t *testing.T, f *fleet) *engine {
	t.Helper()
	keys, err := pass.OpenKeys(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	public, err := json.Marshal(keys.Public())
	if err != nil {
		t.Fatal(err)
	}
	one := &crd.Fleet{
		ObjectMeta: metav1.ObjectMeta{Namespace: f.Namespace, Name: "live"},
		Spec: crd.FleetSpec{Edge: crd.Edge{
			Gateways: []crd.Gateway{{
				Name: f.Namespace + "/edge", Hosts: []string{f.Host}, Selector: map[string]string{"istio": f.Namespace}, Ports: []int{8080},
			}},
			Routes: []crd.Route{{Route: v1alpha1.Route{Path: "/feed", Service: "feed"}}, {Route: v1alpha1.Route{Service: "api"}}},
		}},
	}
	e := &engine{stage: s, fleet: f, keys: keys, by: release.Actor{Who: "test"}, in: kubernetes.Input{
		Fleet: one, Services: map[string]*corev1.Service{},
		Passes: kubernetes.Passes{Issuer: keys.Issuer(), Audience: pass.Audience, JWKS: string(public)},
	}}
	for _, svc := range f.Services {
		one.Spec.Services = append(one.Spec.Services, crd.Service{Name: svc.Name})
	}
	value, conditions := kubernetes.Begin(one, e.look(t), e.by, time.Now())
	e.free(t, conditions)
	e.in.Value = value
	return e
}

// free fails where something is in the way.
func (e *engine) free(t *testing.T, conditions []kubernetes.Condition) {
	t.Helper()
	for _, c := range conditions {
		t.Errorf("in the way: %s %s: %s %s", c.Type, c.Object, c.Message, c.Remedy)
	}
	if len(conditions) > 0 {
		t.FailNow()
	}
}

// look reads the fleet's Rollouts, pods and Services.
func (e *engine) look(t *testing.T) map[string]kubernetes.Seen {
	t.Helper()
	out := map[string]kubernetes.Seen{}
	for _, s := range e.fleet.Services {
		var u unstructured.Unstructured
		var pods corev1.PodList
		base := &corev1.Service{}
		for path, into := range map[string]any{
			"/apis/argoproj.io/v1alpha1/namespaces/" + e.fleet.Namespace + "/rollouts/" + s.Name:             &u.Object,
			"/api/v1/namespaces/" + e.fleet.Namespace + "/services/" + s.Name:                                base,
			"/api/v1/namespaces/" + e.fleet.Namespace + "/pods?labelSelector=app%3D" + s.Name + "&limit=500": &pods,
		} {
			if err := e.Get(e.ctx, path, into); err != nil {
				t.Fatal(err)
			}
		}
		r, err := kubernetes.ReadRollout(&u)
		if err != nil {
			t.Fatal(err)
		}
		var list []*corev1.Pod
		for i := range pods.Items {
			list = append(list, &pods.Items[i])
		}
		out[s.Name] = kubernetes.Seen{Rollout: &r, Template: r.Spec.Template, Pods: kubernetes.ReadPods(list)}
		e.in.Services[s.Name] = base
	}
	return out
}

// open opens a release of the previews of some services.
func (e *engine) open(t *testing.T, name string, services ...string) {
	t.Helper()
	r := &crd.Release{ObjectMeta: metav1.ObjectMeta{Namespace: e.fleet.Namespace, Name: name, UID: types.UID("uid-" + name)}}
	for _, s := range services {
		r.Spec.Services = append(r.Spec.Services, crd.ReleaseService{Name: s, Image: imageOf(s, "v2")})
	}
	seen := e.look(t)
	opening, templates, conditions := kubernetes.Opening(r, e.in.Fleet, seen)
	e.free(t, conditions)
	for id, template := range templates {
		for container, image := range template.Images {
			if !strings.Contains(image, "@sha256:") {
				t.Errorf("%s: the image of %s is %s, which names no digest", id, container, image)
			}
		}
		e.in.Value.Templates[id] = template
	}
	state, err := e.in.Value.State.Open(opening, e.by, time.Now())
	e.take(t, state, err)
	if phase := e.in.Value.State.Releases[name].Phase; phase != release.Previewing {
		t.Fatalf("%s is %s", name, phase)
	}
}

// take makes a state the engine's and lets the state machine see the pods.
func (e *engine) take(t *testing.T, state release.State, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	e.in.Value.State = state
	e.in.Value.State, _ = release.Step(state, e.observation(t), time.Now())
}

func (e *engine) observation(t *testing.T) release.Observation {
	return release.Observation{Versions: kubernetes.Observe(e.in.Fleet, e.in.Value, e.look(t))}
}

func (e *engine) promote(t *testing.T, name string) {
	t.Helper()
	state, err := e.in.Value.State.Promote(release.Promotion{Name: name}, e.observation(t), e.by, time.Now())
	e.take(t, state, err)
}

func (e *engine) rollback(t *testing.T, name string) {
	t.Helper()
	state, err := e.in.Value.State.Rollback(name, e.by, time.Now())
	e.take(t, state, err)
}

// mint makes a pass.
func (e *engine) mint(t *testing.T, change func(*pass.Claims)) string {
	t.Helper()
	c := pass.Claims{ID: "p1", Release: "r42", UID: "uid-r42", Subject: "test", IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}
	if change != nil {
		change(&c)
	}
	token, err := e.keys.Mint(c)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// publish applies everything that the state comes to, as the operator does.
func (e *engine) publish(t *testing.T) {
	t.Helper()
	objects, conditions := kubernetes.Translate(e.in)
	e.free(t, slices.DeleteFunc(conditions, func(c kubernetes.Condition) bool { return !c.Blocks }))
	e.applyAll(t, objects.All())
}

// flip applies the edge alone, as a promotion does first, and returns when the
// gateway says that it has it.
func (e *engine) flip(t *testing.T) {
	t.Helper()
	e.applyAll(t, kubernetes.Objects{Edges: kubernetes.Edges(e.in)}.All())
	e.arrived(t)
}

func (e *engine) arrived(t *testing.T) {
	t.Helper()
	e.await(t, "the default at the gateway", routeWait, func() error {
		r, err := e.ask(e.fleet, "/.greenroom/default", nil)
		if err == nil && r.body != e.in.Value.State.Default+"\n" {
			err = fmt.Errorf("it is %q, not %q", r.body, e.in.Value.State.Default)
		}
		return err
	})
}

func (e *engine) applyAll(t *testing.T, objects []kubernetes.Object) {
	t.Helper()
	var items []any
	for _, o := range objects {
		item, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
		if err != nil {
			t.Fatal(err)
		}
		delete(item, "status")
		delete(item["metadata"].(map[string]any), "creationTimestamp")
		items = append(items, item)
	}
	list, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Kubectl(e.ctx, string(list), "apply", "--server-side", "--field-manager", kubernetes.FieldManager, "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

// istioctl runs the cluster's istioctl; what it writes is returned with the
// error too.
func (s *stage) istioctl(args ...string) (string, error) {
	cmd := exec.CommandContext(s.ctx, "/usr/bin/env", append([]string{"istioctl"}, args...)...) // looks in the cluster's PATH
	cmd.Env = s.Environ()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("istioctl %s: %w", strings.Join(args, " "), err)
	}
	return out.String(), nil
}

// noRejections fails if a proxy has refused what istiod sent it since a moment.
func (s *stage) noRejections(t *testing.T, since time.Time) {
	t.Helper()
	log := s.kubectl(t, "logs", "-n", "istio-system", "deployment/istiod", "--since-time", since.UTC().Format(time.RFC3339))
	var refused []error
	for line := range strings.Lines(log) {
		if strings.Contains(line, "ACK ERROR") || strings.Contains(line, "rejected") {
			refused = append(refused, errors.New(strings.TrimSpace(line)))
		}
	}
	if err := errors.Join(refused...); err != nil {
		t.Errorf("proxies refused what istiod sent: %v", err)
	}
}
