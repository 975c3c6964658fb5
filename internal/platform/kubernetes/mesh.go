package kubernetes

import (
	"cmp"
	"fmt"
	"slices"

	"istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

// meshOf makes the VirtualService for calls between services to one of them.
// The first route that matches wins, and they stand in the order of the rules
// of package route:
//
//  1. a caller that not every view holds, with the stamp of one that does:
//     that view;
//  2. such a caller otherwise: the one view it is part of, or the default;
//  3. anybody else, with a stamp: that view;
//  4. anybody else: the default.
//
// A pod that is no part of the fleet counts as the edge does: its stamp is
// believed, since it is part of the mesh and may pass one on.
func (t *translation) meshOf(s crd.Service) *networkingv1.VirtualService {
	base, ok := t.Services[s.Name]
	if !ok {
		t.say(Condition{Type: ServiceMissing, Object: s.Name, Blocks: true,
			Message: fmt.Sprintf("there is no Kubernetes Service %s.", serviceName(s)),
			Remedy:  "Create it, or name another one in the Fleet's spec.services[].service."})
		return nil
	}
	if s.Port != 0 && len(base.Spec.Ports) > 0 && !hasPort(base, s.Port) {
		t.say(Condition{Type: ServiceMissing, Object: s.Name, Blocks: true,
			Message: fmt.Sprintf("the Kubernetes Service %s has no port %d.", serviceName(s), s.Port),
			Remedy:  "Name one of its ports in the Fleet's spec.services[].port, or leave it out."})
	}
	if t.foreignInMesh(s) && t.idle() && !t.begun(t.meta(t.Fleet.Namespace, "mesh", s.Name).Name) || !s.Fixed && !t.held(s.Name) {
		return nil
	}
	ports := requestPorts(base)
	vs := &networkingv1.VirtualService{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.istio.io/v1", Kind: "VirtualService"},
		ObjectMeta: t.meta(t.Fleet.Namespace, "mesh", s.Name),
		Spec: v1alpha3.VirtualService{
			Hosts:    []string{t.host(serviceName(s))},
			Gateways: []string{"mesh"},
		},
	}
	vs.Labels[LabelService] = s.Name
	sayRoutes(vs)
	for _, p := range ports {
		m := meshPort{translation: t, service: s, port: p, many: len(base.Spec.Ports) > 1}
		vs.Spec.Http = append(vs.Spec.Http, m.routes()...)
	}
	if len(vs.Spec.Http) == 0 {
		t.say(Condition{Type: ServiceMissing, Object: s.Name, Blocks: true,
			Message: fmt.Sprintf("the Kubernetes Service %s has no port for HTTP or gRPC.", serviceName(s)),
			Remedy:  "Give a port the name http or grpc, or that appProtocol."})
		return nil
	}
	return vs
}

func hasPort(s *corev1.Service, number int) bool {
	return slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return int(p.Port) == number })
}

// weighMesh says when the objects for calls between services come near what the
// API server takes. They have their matches in common, so one speaks for all.
func (t *translation) weighMesh(all []*networkingv1.VirtualService) {
	if len(all) == 0 {
		return
	}
	largest := slices.MaxFunc(all, func(a, b *networkingv1.VirtualService) int { return cmp.Compare(len(a.Spec.Http), len(b.Spec.Http)) })
	if size := weight(largest.Spec.Http); size > maxRoutes {
		t.say(Condition{Type: TooLarge, Object: "VirtualService " + largest.Namespace + "/" + largest.Name, Blocks: true,
			Message: fmt.Sprintf("with %d versions that views differ in, it and its like take about %d bytes each, more than the %d that fit.", len(t.callers), size, maxRoutes),
			Remedy:  "Abort a release, or bring fewer services in one."})
	}
}

// meshPort makes the routes for one port of a service.
type meshPort struct {
	*translation
	service crd.Service
	port    int
	many    bool // the Kubernetes Service has other ports
}

// routes are one per rule, to the version that the rule's view has of the
// service.
func (m meshPort) routes() []*v1alpha3.HTTPRoute {
	port := 0
	if m.many {
		port = m.port
	}
	ways := m.waysAt(port)
	out := make([]*v1alpha3.HTTPRoute, 0, len(ways))
	for _, w := range ways {
		one := &v1alpha3.HTTPRoute{Name: w.name, Match: w.matches, Headers: w.headers}
		m.leadTo(one, m.service, w.stamp, m.port)
		if one.DirectResponse == nil {
			one.Timeout = timeoutOf(m.service.Timeout)
			one.Retries = retriesOf(m.service.Retries)
		}
		out = append(out, one)
	}
	return out
}

// way is how a call between services comes to a view, whichever service it is
// for.
type way struct {
	name    string
	stamp   string // of the view
	matches []*v1alpha3.HTTPMatchRequest
	headers *v1alpha3.Headers
}

// waysAt are the ways for calls to a port, 0 for services that have one alone.
// All services share them, since those of a large fleet would otherwise be most of
// a translation; so nobody changes them.
func (t *translation) waysAt(port int) []way {
	if known, ok := t.ways[port]; ok {
		return known
	}
	var out []way
	for _, stamp := range t.stamps {
		if from := t.carrying(stamp); from != nil {
			out = t.appendWays(out, "member", stamp, port, t.honour(stamp), from)
		}
	}
	for _, stamp := range t.stamps {
		if from := t.bound(stamp); from != nil {
			out = t.appendWays(out, "source", stamp, port, t.assign(stamp), from)
		}
	}
	for _, stamp := range t.stamps {
		out = t.appendWays(out, "stamp", stamp, port, t.honour(stamp), nil)
	}
	stamp := t.Value.State.Default
	out = t.appendWays(out, "default", stamp, port, t.assign(stamp), nil)
	t.ways[port] = out
	return out
}

func (t *translation) appendWays(out []way, kind, stamp string, port int, rules []rule, from sources) []way {
	for _, r := range rules {
		one := way{
			name: kind + "." + stamp + "." + r.name, stamp: stamp, matches: t.matches(port, r.matches, from),
			headers: &v1alpha3.Headers{Request: &v1alpha3.Headers_HeaderOperations{Set: r.set, Add: r.add}},
		}
		if port != 0 {
			one.name = fmt.Sprintf("%d.%s", port, one.name)
		}
		out = append(out, one)
	}
	return out
}

// matches are all pairs of what is carried and who calls; nil for everything.
func (t *translation) matches(port int, carried []headers, from sources) []*v1alpha3.HTTPMatchRequest {
	if from == nil {
		from = sources{nil}
	}
	var out []*v1alpha3.HTTPMatchRequest
	for _, labels := range from {
		for _, h := range carried {
			one := &v1alpha3.HTTPMatchRequest{Headers: h.with, WithoutHeaders: h.without, SourceLabels: labels}
			if labels != nil {
				one.SourceNamespace = t.Fleet.Namespace
			}
			one.Port = uint32(port)
			if labels == nil && h.with == nil && h.without == nil && port == 0 {
				return nil
			}
			out = append(out, one)
		}
	}
	return out
}
