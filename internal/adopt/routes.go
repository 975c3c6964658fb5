package adopt

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

// meshGateway stands for the sidecars in a VirtualService's gateways.
const meshGateway = "mesh"

// routing takes over what VirtualServices say of the service, and notes what a
// Fleet has no word for.
func (p *Plan) routing(f Found) {
	own := named{p.Namespace, p.Active.Name}
	if !f.Elsewhere {
		p.note("Only namespace %s could be looked at: VirtualServices elsewhere may route this service too.", p.Namespace)
	}
	all := slices.Clone(f.Istio.VirtualServices)
	slices.SortFunc(all, func(a, b *networkingv1.VirtualService) int { // in the order in which Istio puts them together
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name))
	})
	var edge []*networkingv1.VirtualService
	for _, vs := range all {
		if atMesh(vs) && speaksOf(vs, own) {
			p.mesh(vs)
		}
		if len(gatewaysOf(vs)) > 0 && leadsTo(vs, own) {
			edge = append(edge, vs)
		}
	}
	for _, vs := range edge {
		e := edgeReader{Plan: p, vs: vs, byHost: len(edge) > 1}
		e.read(f.Istio.Gateways)
	}
	for _, r := range f.Istio.DestinationRules {
		if host, ok := serviceOf(r.Spec.Host, r.Namespace); ok && host == own {
			p.note("DestinationRule %s/%s stays as it is; greenroom gives each version a copy.%s", r.Namespace, r.Name,
				when(len(r.Spec.Subsets) > 0, " Its subsets are left out: no route of greenroom's names one."))
		}
	}
}

func when(yes bool, text string) string {
	if yes {
		return text
	}
	return ""
}

func nameOf(vs *networkingv1.VirtualService) string {
	return "VirtualService " + vs.Namespace + "/" + vs.Name
}

func atMesh(vs *networkingv1.VirtualService) bool {
	return len(vs.Spec.Gateways) == 0 || slices.Contains(vs.Spec.Gateways, meshGateway)
}

// gatewaysOf are the Gateways of a VirtualService, as namespace/name.
func gatewaysOf(vs *networkingv1.VirtualService) []string {
	var out []string
	for _, g := range vs.Spec.Gateways {
		switch {
		case g == meshGateway:
		case strings.Contains(g, "/"):
			out = append(out, g)
		default:
			out = append(out, vs.Namespace+"/"+g)
		}
	}
	return out
}

// speaksOf reports whether a VirtualService routes calls to a Service.
func speaksOf(vs *networkingv1.VirtualService, s named) bool {
	return slices.ContainsFunc(vs.Spec.Hosts, func(h string) bool {
		host, ok := serviceOf(h, vs.Namespace)
		return ok && host == s
	})
}

// leadsTo reports whether any of its routes ends at a Service.
func leadsTo(vs *networkingv1.VirtualService, s named) bool {
	for _, h := range vs.Spec.Http {
		for _, r := range h.Route {
			if to, ok := serviceOf(r.GetDestination().GetHost(), vs.Namespace); ok && to == s {
				return true
			}
		}
	}
	return false
}

// mesh takes over what holds for every call to the service.
func (p *Plan) mesh(vs *networkingv1.VirtualService) {
	if len(vs.Spec.Http) == 0 {
		return
	}
	service, first := &p.Fleet.Services[0], vs.Spec.Http[0]
	timeout, retries := durationOf(first.Timeout), retriesOf(first.Retries)
	agreed := true
	for _, h := range vs.Spec.Http {
		agreed = agreed && durationOf(h.Timeout) == timeout && reflect.DeepEqual(retriesOf(h.Retries), retries)
		for _, left := range leftOut(h) {
			p.note("%s, %s: %s is not taken over.", nameOf(vs), routeName(vs, h), left)
		}
		if len(h.Match) > 0 {
			p.note("%s, %s: its matches are not taken over. Between services greenroom routes by version alone.", nameOf(vs), routeName(vs, h))
		}
	}
	if agreed {
		service.Timeout, service.Retries = timeout, retries
	} else {
		p.note("%s has timeouts or retries that differ from route to route; a Fleet has one of each for calls to a service. Choose.", nameOf(vs))
	}
	p.note("%s routes calls to %s between services. Greenroom begins when it is gone; delete it once the Fleet says what it said.", nameOf(vs), p.Active.Name)
}

func routeName(vs *networkingv1.VirtualService, h *v1alpha3.HTTPRoute) string {
	if h.Name != "" {
		return "route " + h.Name
	}
	return fmt.Sprintf("route %d", slices.Index(vs.Spec.Http, h)+1)
}

// leftOut names what a route does that no Fleet can say.
func leftOut(h *v1alpha3.HTTPRoute) []string {
	var out []string
	add := func(is bool, what string) {
		if is {
			out = append(out, what)
		}
	}
	add(h.Redirect != nil, "a redirect")
	add(h.DirectResponse != nil, "a direct response")
	add(h.Delegate != nil, "a delegate")
	add(h.Rewrite != nil, "a rewrite")
	add(h.Fault != nil, "a fault")
	add(h.Mirror != nil || len(h.Mirrors) > 0, "a mirror")
	headers := h.Headers != nil
	subset := false
	for _, r := range h.Route {
		headers = headers || r.Headers != nil
		subset = subset || r.GetDestination().GetSubset() != ""
	}
	add(headers, "what it does to headers")
	add(subset, "a subset")
	add(len(h.Route) > 1, "the split among several destinations")
	if r := h.Retries; r != nil {
		add(r.Backoff != nil || r.RetryRemoteLocalities != nil || r.RetryIgnorePreviousHosts != nil, "what its retries say beyond attempts, perTryTimeout and retryOn")
	}
	return out
}

func durationOf(d *durationpb.Duration) v1alpha1.Duration {
	if d == nil {
		return ""
	}
	return v1alpha1.DurationOf(d.AsDuration())
}

func retriesOf(r *v1alpha3.HTTPRetry) *crd.Retries {
	if r == nil {
		return nil
	}
	return &crd.Retries{Attempts: int(r.Attempts), PerTryTimeout: durationOf(r.PerTryTimeout), RetryOn: r.RetryOn}
}

// corsOf takes over which pages may call, and reports whether all of it could be.
func corsOf(c *v1alpha3.CorsPolicy) (*crd.CORS, bool) {
	if c == nil {
		return nil, true
	}
	out := &crd.CORS{AllowMethods: c.AllowMethods, AllowHeaders: c.AllowHeaders, ExposeHeaders: c.ExposeHeaders, MaxAge: durationOf(c.MaxAge)}
	whole := c.UnmatchedPreflights == v1alpha3.CorsPolicy_UNSPECIFIED && c.MaxAge.AsDuration() <= 30*24*time.Hour
	for _, o := range c.AllowOrigins {
		switch {
		case o.GetExact() != "":
			out.AllowOrigins = append(out.AllowOrigins, o.GetExact())
		case o.GetRegex() == ".*":
			out.AllowOrigins = append(out.AllowOrigins, "*")
		default:
			whole = false
		}
	}
	if c.AllowCredentials != nil {
		yes := c.AllowCredentials.Value
		out.AllowCredentials = &yes
	}
	if len(out.AllowOrigins) == 0 {
		return nil, false
	}
	return out, whole
}
