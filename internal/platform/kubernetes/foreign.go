package kubernetes

import (
	"fmt"
	"slices"
	"strings"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

// Istio does not order the routes of two VirtualServices that speak of one
// host: between services the older one holds alone, and at a gateway both are
// put together. So greenroom does not begin where another one is, and says so.
// Once releases are under way its routes stay: taking them away would end the
// promise for requests on their way.

// foreignInMesh reports whether somebody else routes calls to a service.
func (t *translation) foreignInMesh(s crd.Service) bool {
	host, found := t.host(serviceName(s)), false
	for _, vs := range t.VirtualServices {
		if Owns(t.Fleet, vs) || !inMesh(vs) || vs.Namespace != t.Fleet.Namespace && !exported(vs) {
			continue
		}
		for _, h := range vs.Spec.Hosts {
			if covers(t.longHost(h, vs.Namespace), host) {
				t.foreign(vs, h)
				found = true
			}
		}
	}
	return found
}

func inMesh(vs *networkingv1.VirtualService) bool {
	return len(vs.Spec.Gateways) == 0 || slices.Contains(vs.Spec.Gateways, "mesh")
}

func exported(vs *networkingv1.VirtualService) bool {
	return len(vs.Spec.ExportTo) == 0 || slices.Contains(vs.Spec.ExportTo, "*")
}

// foreignAt reports whether somebody else routes a host of the fleet at one of
// its Gateways.
func (t *translation) foreignAt(g crd.Gateway) bool {
	found := false
	for _, vs := range t.VirtualServices {
		if Owns(t.Fleet, vs) || !bound(vs, g) {
			continue
		}
		for _, h := range vs.Spec.Hosts {
			if slices.ContainsFunc(g.Hosts, func(own string) bool { return overlap(h, own) }) {
				t.foreign(vs, h)
				found = true
			}
		}
	}
	return found
}

// bound reports whether a VirtualService routes what enters through a Gateway.
func bound(vs *networkingv1.VirtualService, g crd.Gateway) bool {
	return slices.ContainsFunc(vs.Spec.Gateways, func(name string) bool {
		if !strings.Contains(name, "/") {
			name = vs.Namespace + "/" + name
		}
		return name == g.Name
	})
}

// overlap reports whether two hosts at a gateway are merged into one: equal
// ones. A name beside a wildcard above it stays apart.
func overlap(a, b string) bool { return strings.EqualFold(a, b) }

func (t *translation) foreign(vs *networkingv1.VirtualService, host string) {
	t.say(Condition{Type: ForeignVirtualService, Object: "VirtualService " + vs.Namespace + "/" + vs.Name, Blocks: true,
		Message: fmt.Sprintf("it routes %s, which belongs to fleet %s.", host, t.Fleet.Name),
		Remedy:  "Take its timeouts, retries, CORS rules and matches over into the Fleet, then delete it."})
}

// splitName cuts namespace/name.
func splitName(s string) (namespace, name string) {
	namespace, name, _ = strings.Cut(s, "/")
	return namespace, name
}
