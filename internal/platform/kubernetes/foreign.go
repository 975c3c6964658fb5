package kubernetes

import (
	"fmt"
	"slices"
	"strings"

	"istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

// Istio does not order the routes of two VirtualServices that speak of one
// host: between services the older one holds alone, and at a gateway both are
// put together. So greenroom does not begin where another one is, and says so.
// Once releases are under way its routes stay: taking them away would end the
// promise for requests on their way.

// RoutesAnnotation says on a VirtualService that greenroom made what it routes:
// its gateways and its hosts, so that whoever reads no more than metadata can
// tell.
const RoutesAnnotation = "greenroom.dev/routes"

// sayRoutes writes RoutesAnnotation.
func sayRoutes(vs *networkingv1.VirtualService) {
	vs.Annotations = map[string]string{RoutesAnnotation: strings.Join(vs.Spec.Gateways, ",") + " " + strings.Join(vs.Spec.Hosts, ",")}
}

// RoutedBy is a VirtualService that greenroom made, for any fleet, as far as its
// metadata tells: without routes.
func RoutedBy(meta metav1.ObjectMeta) *networkingv1.VirtualService {
	gateways, hosts, _ := strings.Cut(meta.Annotations[RoutesAnnotation], " ")
	meta.ResourceVersion = meta.Annotations[RoutesAnnotation] // nothing else of it counts
	return &networkingv1.VirtualService{ObjectMeta: meta, Spec: v1alpha3.VirtualService{Hosts: fields(hosts), Gateways: fields(gateways)}}
}

func fields(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

// begun reports whether a VirtualService of ours is in the cluster: then it
// stays, whoever comes beside it, for taking it away would take away the routes
// that it alone has.
func (t *translation) begun(name string) bool {
	return t.Begun[name] || slices.ContainsFunc(t.VirtualServices, func(vs *networkingv1.VirtualService) bool {
		return vs.Name == name && vs.Namespace == t.Fleet.Namespace && Owns(t.Fleet, vs)
	})
}

// HandoverAnnotation on somebody else's VirtualService lets greenroom's routes
// stand beside it until it is deleted. Its value is the fleet's name. Its own
// routes go on as they are meanwhile, but at a gateway Istio puts those without
// any condition behind greenroom's that have one.
const HandoverAnnotation = "greenroom.dev/handover"

// handsOver reports whether the owner of a VirtualService has agreed to that.
func (t *translation) handsOver(vs *networkingv1.VirtualService) bool {
	return vs.Annotations[HandoverAnnotation] == t.Fleet.Name
}

// foreignInMesh reports whether somebody else routes calls to a service, and has
// not agreed to routes beside theirs.
func (t *translation) foreignInMesh(s crd.Service) bool {
	host, found := t.host(serviceName(s)), false
	for _, vs := range t.VirtualServices {
		if Owns(t.Fleet, vs) || !inMesh(vs) || vs.Namespace != t.Fleet.Namespace && !exported(vs) {
			continue
		}
		for _, h := range vs.Spec.Hosts {
			if covers(t.longHost(h, vs.Namespace), host) {
				t.foreign(vs, h)
				found = found || !t.handsOver(vs)
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
// its Gateways, and has not agreed to routes beside theirs.
func (t *translation) foreignAt(g crd.Gateway) bool {
	found := false
	for _, vs := range t.VirtualServices {
		if Owns(t.Fleet, vs) || !bound(vs, g) {
			continue
		}
		for _, h := range vs.Spec.Hosts {
			if slices.ContainsFunc(g.Hosts, func(own string) bool { return overlap(h, own) }) {
				t.foreign(vs, h)
				found = found || !t.handsOver(vs)
			}
		}
	}
	return found
}

// Undisputed are the Gateways at which nobody else routes a host of the fleet, or
// hands it over. At the others greenroom does not begin, or its routes stand
// among those of others: what ForeignVirtualService says is why its answers may
// not come there.
func Undisputed(in Input) []crd.Gateway {
	return slices.DeleteFunc(slices.Clone(in.Fleet.Spec.Edge.Gateways), begin(in).foreignAt)
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
	if t.handsOver(vs) {
		t.say(Condition{Type: ForeignVirtualService, Object: "VirtualService " + vs.Namespace + "/" + vs.Name, Blocks: true,
			Message: fmt.Sprintf("it hands %s over to fleet %s, whose routes stand beside it.", host, t.Fleet.Name),
			Remedy:  "Delete it: greenroom's routes take over without a gap."})
		return
	}
	t.say(Condition{Type: ForeignVirtualService, Object: "VirtualService " + vs.Namespace + "/" + vs.Name, Blocks: true,
		Message: fmt.Sprintf("it routes %s, which belongs to fleet %s.", host, t.Fleet.Name),
		Remedy: fmt.Sprintf("Take its timeouts, retries, CORS rules and matches over into the Fleet; then let greenroom's routes stand beside it (kubectl -n %s annotate virtualservice %s %s=%s), and delete it.",
			vs.Namespace, vs.Name, HandoverAnnotation, t.Fleet.Name)})
}

// splitName cuts namespace/name.
func splitName(s string) (namespace, name string) {
	namespace, name, _ = strings.Cut(s, "/")
	return namespace, name
}
