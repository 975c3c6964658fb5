package kubernetes

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

// refused is what Istio's definition and its validation have against a
// VirtualService, as far as a Fleet could bring it about. What is refused is not
// written, and with an edge no switch is.
func refused(vs *networkingv1.VirtualService) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, vs.Name+": "+fmt.Sprintf(format, args...)) }
	for i, a := range vs.Spec.Hosts {
		for _, b := range vs.Spec.Hosts[i+1:] {
			if covers(a, b) || covers(b, a) {
				say("duplicate hosts %s and %s", a, b)
			}
		}
	}
	for _, r := range vs.Spec.Http {
		lengths := map[string]*durationpb.Duration{"timeout": r.Timeout, "perTryTimeout": r.Retries.GetPerTryTimeout(), "maxAge": r.CorsPolicy.GetMaxAge()}
		for what, d := range lengths {
			if d != nil && (d.AsDuration() < time.Millisecond || d.AsDuration()%time.Millisecond != 0) {
				say("%s: %s of %s", r.Name, what, d.AsDuration())
			}
		}
		if lengths["maxAge"].GetNanos() > 0 {
			say("%s: maxAge of parts of a second", r.Name)
		}
		if t := r.Retries; t != nil && t.Attempts == 0 && (t.PerTryTimeout != nil || t.RetryOn != "") {
			say("%s: retries that are turned off and say more", r.Name)
		}
		if strings.Contains(r.Retries.GetRetryOn(), " ") {
			say("%s: retryOn %q", r.Name, r.Retries.GetRetryOn())
		}
		if (len(r.Route) == 0) == (r.DirectResponse == nil) {
			say("%s: neither or both of route and directResponse", r.Name)
		}
		for _, d := range r.Route {
			if p := d.Destination.GetPort(); p != nil && (p.Number < 1 || p.Number > 65535) {
				say("%s: port %d", r.Name, p.Number)
			}
		}
	}
	return out
}

func (w *world) refused() []string {
	objects, _ := Translate(w.in)
	var out []string
	for _, vs := range append(objects.Mesh, objects.Edges...) {
		out = append(out, refused(vs)...)
	}
	return out
}

func TestIstioTakesWhatAFleetComesTo(t *testing.T) {
	for name, made := range cases() {
		if found := made(t).refused(); len(found) > 0 {
			t.Errorf("%s: %s", name, strings.Join(found, "\n"))
		}
	}
}

// A Fleet may say lengths of time that Istio has no word for.
func TestLengthsOfTimeAreWhatIstioTakes(t *testing.T) {
	made := func(timeout, perTry, maxAge string, attempts int) (*world, *v1alpha3.HTTPRoute, *v1alpha3.HTTPRoute) {
		w := newWorld(t, "web")
		retries := &crd.Retries{Attempts: attempts, PerTryTimeout: v1alpha1.Duration(perTry), RetryOn: "reset, connect-failure"}
		w.in.Fleet.Spec.Services[0].Timeout, w.in.Fleet.Spec.Services[0].Retries = v1alpha1.Duration(timeout), retries
		route := &w.in.Fleet.Spec.Edge.Routes[0]
		route.Timeout, route.Retries, route.CORS = v1alpha1.Duration(timeout), retries, &crd.CORS{AllowOrigins: []string{"*"}, MaxAge: v1alpha1.Duration(maxAge)}
		objects, _ := Translate(w.in)
		edge := objects.Edges[0].Spec.Http
		return w, objects.Mesh[0].Spec.Http[0], edge[len(edge)-2]
	}
	for _, c := range []struct {
		timeout, perTry, maxAge string
		attempts                int
		want                    string // timeout, perTryTimeout, maxAge, attempts, retryOn
	}{
		{"3s", "1s", "1d", 2, "3s 1s 24h0m0s 2 reset,connect-failure"},
		{"0s", "1s", "0s", 2, "- 1s 1s 2 reset,connect-failure"},
		{"1ns", "1.0001ms", "1500ms", 2, "1ms 2ms 2s 2 reset,connect-failure"},
		{"", "1s", "", 0, "- - - 0 "},
	} {
		w, mesh, edge := made(c.timeout, c.perTry, c.maxAge, c.attempts)
		if found := w.refused(); len(found) > 0 {
			t.Errorf("%+v: %s", c, strings.Join(found, "\n"))
		}
		for _, r := range []*v1alpha3.HTTPRoute{mesh, edge} {
			r.CorsPolicy = edge.CorsPolicy
			got := fmt.Sprintf("%s %s %s %d %s", told(r.Timeout), told(r.Retries.PerTryTimeout), told(r.CorsPolicy.MaxAge), r.Retries.Attempts, r.Retries.RetryOn)
			if got != c.want {
				t.Errorf("%+v: %s got %q, want %q", c, r.Name, got, c.want)
			}
		}
	}
}

func told(d *durationpb.Duration) string {
	if d == nil {
		return "-"
	}
	return d.AsDuration().String()
}

// A Service without a port for requests is said, and takes no route of the others
// away: the edge is one object, and Istio refuses it for a port 0.
func TestAServiceWithoutAPortTakesNoOtherAlong(t *testing.T) {
	for name, ports := range map[string][]corev1.ServicePort{
		"none at all": nil, "for something else": {{Name: "tcp-queue", Port: 5672}},
	} {
		w := newWorld(t, "web", "worker")
		w.in.Services["worker"].Spec.Ports = ports
		w.open("r42", "worker", "2")
		if found := w.refused(); len(found) > 0 {
			t.Errorf("%s: %s", name, strings.Join(found, "\n"))
		}
		objects, conditions := Translate(w.in)
		if len(conditions) != 1 || conditions[0].Type != ServiceMissing || !conditions[0].Blocks {
			t.Errorf("%s: %+v", name, conditions)
		}
		for _, s := range objects.Services {
			if len(s.Spec.Ports) == 0 {
				t.Errorf("%s: the Service %s has no port, which the API server refuses", name, s.Name)
			}
		}
		for path, status := range map[string]int{"/web": 0, "/worker": 503} {
			r := w.proxy.pick(t, objects.Edges[0], request{authority: "live.example.com", path: path, method: "GET"})
			if got := int(r.DirectResponse.GetStatus()); got != status {
				t.Errorf("%s: %s is answered with %d", name, path, got)
			}
		}
	}
}

func TestAPortThatIsNotThereIsSaid(t *testing.T) {
	w := newWorld(t, "web")
	for port, complaint := range map[int]string{80: "", 8080: "has no port 8080"} {
		w.in.Fleet.Spec.Services[0].Port = port
		_, conditions := Translate(w.in)
		got := ""
		for _, c := range conditions {
			got += c.Type + ": " + c.Message
		}
		if complaint == "" && got != "" || !strings.Contains(got, complaint) {
			t.Errorf("port %d: %q", port, got)
		}
	}
}

// Istio takes no host beside a wildcard that takes it in; whoever looks whose
// routes those are is told of both.
func TestAHostBesideItsWildcard(t *testing.T) {
	w := newWorld(t, "web")
	w.in.Fleet.Spec.Edge.Gateways[0].Hosts = []string{"live.example.com", "*.example.com", "*.eu.example.com", "example.com", "live.example.org"}
	if found := w.refused(); len(found) > 0 {
		t.Error(strings.Join(found, "\n"))
	}
	objects, _ := Translate(w.in)
	vs := objects.Edges[0]
	if got := strings.Join(vs.Spec.Hosts, " "); got != "*.example.com example.com live.example.org" {
		t.Errorf("routes %s", got)
	}
	if got := RoutedBy(vs.ObjectMeta).Spec.Hosts; !slices.Equal(got, w.in.Fleet.Spec.Edge.Gateways[0].Hosts) {
		t.Errorf("says that it routes %s", got)
	}
}
