package kubernetes

import (
	"fmt"

	"istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
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

// meshPort makes the routes for one port of a service.
type meshPort struct {
	*translation
	service crd.Service
	port    int
	many    bool // the Kubernetes Service has other ports
}

func (m meshPort) routes() []*v1alpha3.HTTPRoute {
	var out []*v1alpha3.HTTPRoute
	for _, stamp := range m.stamps {
		if from := m.carrying(stamp); from != nil {
			out = append(out, m.rules("member", stamp, m.honour(stamp), from)...)
		}
	}
	for _, stamp := range m.stamps {
		if from := m.bound(stamp); from != nil {
			out = append(out, m.rules("source", stamp, m.assign(stamp), from)...)
		}
	}
	for _, stamp := range m.stamps {
		out = append(out, m.rules("stamp", stamp, m.honour(stamp), nil)...)
	}
	stamp := m.Value.State.Default
	return append(out, m.rules("default", stamp, m.assign(stamp), nil)...)
}

// rules makes one route per rule, to the version that the view has of the
// service.
func (m meshPort) rules(kind, stamp string, rules []rule, from sources) []*v1alpha3.HTTPRoute {
	var out []*v1alpha3.HTTPRoute
	for _, r := range rules {
		one := &v1alpha3.HTTPRoute{
			Name:    kind + "." + stamp + "." + r.name,
			Match:   m.matches(r.matches, from),
			Headers: &v1alpha3.Headers{Request: &v1alpha3.Headers_HeaderOperations{Set: r.set, Add: r.add}},
		}
		if m.many {
			one.Name = fmt.Sprintf("%d.%s", m.port, one.Name)
		}
		m.leadTo(one, m.service, stamp, m.port)
		if one.DirectResponse == nil {
			one.Timeout = timeoutOf(m.service.Timeout)
			one.Retries = retriesOf(m.service.Retries)
		}
		out = append(out, one)
	}
	return out
}

// matches are all pairs of what is carried and who calls; nil for everything.
func (m meshPort) matches(carried []headers, from sources) []*v1alpha3.HTTPMatchRequest {
	if from == nil {
		from = sources{nil}
	}
	var out []*v1alpha3.HTTPMatchRequest
	for _, labels := range from {
		for _, h := range carried {
			one := &v1alpha3.HTTPMatchRequest{Headers: h.with, WithoutHeaders: h.without, SourceLabels: labels}
			if labels != nil {
				one.SourceNamespace = m.Fleet.Namespace
			}
			if m.many {
				one.Port = uint32(m.port)
			}
			if labels == nil && h.with == nil && h.without == nil && !m.many {
				return nil
			}
			out = append(out, one)
		}
	}
	return out
}
