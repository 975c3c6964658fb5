package adopt

import (
	"regexp"
	"slices"
	"strings"

	"istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

// edgeReader takes over a VirtualService of a Gateway.
type edgeReader struct {
	*Plan
	vs     *networkingv1.VirtualService
	byHost bool // several VirtualServices make the edge, so routes name their hosts
}

func (e edgeReader) read(gateways []*networkingv1.Gateway) {
	for _, name := range gatewaysOf(e.vs) {
		e.gateway(name, gateways)
	}
	for _, h := range e.vs.Spec.Http {
		e.route(h)
	}
	for _, what := range []struct {
		n    int
		name string
	}{{len(e.vs.Spec.Tls), "TLS"}, {len(e.vs.Spec.Tcp), "TCP"}} {
		if what.n > 0 {
			e.note("%s has %s routes. They are not taken over: put them into a VirtualService of their own, for hosts that are not the fleet's.", nameOf(e.vs), what.name)
		}
	}
	e.note("%s routes %s where traffic enters. Greenroom begins when it is gone. So that no request meets a gap, apply the Fleet with everything that it leads to, annotate the VirtualService (greenroom.dev/handover: the name of the Fleet), and delete it when the Fleet's condition ForeignVirtualService says that greenroom's routes stand beside it. Without the annotation these hosts answer 404 from its deletion until they are there, seconds later.",
		nameOf(e.vs), strings.Join(e.vs.Spec.Hosts, ", "))
}

// gateway adds the VirtualService's hosts to a Gateway of the Fleet.
func (e edgeReader) gateway(name string, gateways []*networkingv1.Gateway) {
	i := slices.IndexFunc(e.Fleet.Gateways, func(g crd.Gateway) bool { return g.Name == name })
	if i < 0 {
		one := crd.Gateway{Name: name}
		for _, g := range gateways {
			if g.Namespace+"/"+g.Name == name {
				one.Selector = g.Spec.Selector
			}
		}
		if one.Selector == nil {
			one.Selector = map[string]string{}
			e.note("Gateway %s could not be read: write its spec.selector into the Fleet.", name)
		}
		i = len(e.Fleet.Gateways)
		e.Fleet.Gateways = append(e.Fleet.Gateways, one)
	}
	g := &e.Fleet.Gateways[i]
	for _, h := range e.vs.Spec.Hosts {
		if !slices.Contains(g.Hosts, h) {
			g.Hosts = append(g.Hosts, h)
		}
	}
}

// route adds a route for each of the matches, or says why there is none.
func (e edgeReader) route(h *v1alpha3.HTTPRoute) {
	at := nameOf(e.vs) + ", " + routeName(e.vs, h)
	for _, left := range leftOut(h) {
		e.note("%s: %s is not taken over.", at, left)
	}
	if len(h.Route) == 0 {
		return
	}
	service, ok := e.service(h.Route[0].GetDestination())
	if !ok {
		e.note("%s leads to %s, which is not in namespace %s. A fleet's services are all in its own.", at, h.Route[0].GetDestination().GetHost(), e.Namespace)
		return
	}
	base := crd.Route{Retries: retriesOf(h.Retries)}
	base.Service, base.Timeout = service, durationOf(h.Timeout)
	cors, whole := corsOf(h.CorsPolicy)
	if base.CORS = cors; !whole {
		e.note("%s: of its CORS policy only exact origins and * are taken over.", at)
	}
	matches := h.Match
	if len(matches) == 0 {
		matches = []*v1alpha3.HTTPMatchRequest{{}}
	}
	for _, m := range matches {
		one, complaint := matchOf(base, m)
		if complaint != "" {
			e.note("%s: a match by %s is not taken over. A Fleet's routes go by host, path and methods.", at, complaint)
			continue
		}
		switch prefix := m.GetUri().GetPrefix(); {
		case m.GetUri().GetExact() != "":
			e.note("%s: %s takes in the paths below it from now on.", at, one.Path)
		case one.Path != "" && one.Path == prefix:
			e.note("%s: %s is taken by whole segments from now on: %[2]s and %[2]s/x, but not %[2]sx.", at, one.Path)
		}
		e.add(one)
	}
}

// add appends a route, once for each host where routes have to name theirs.
func (e edgeReader) add(r crd.Route) {
	if !e.byHost || r.Host != "" {
		e.Fleet.Routes = append(e.Fleet.Routes, r)
		return
	}
	for _, h := range e.vs.Spec.Hosts {
		one := r
		one.Host = h
		e.Fleet.Routes = append(e.Fleet.Routes, one)
	}
}

// service is the Fleet's name for a destination. Services that the Fleet does not
// have yet come in as fixed ones: they are routed, and not released.
func (e edgeReader) service(to *v1alpha3.Destination) (string, bool) {
	s, ok := serviceOf(to.GetHost(), e.vs.Namespace)
	if !ok || s.namespace != e.Namespace {
		return "", false
	}
	port := int(to.GetPort().GetNumber())
	if s.name == e.Active.Name {
		if len(e.Active.Spec.Ports) > 1 {
			e.Fleet.Services[0].Port = port
		}
		return e.Fleet.Services[0].Name, true
	}
	if !slices.ContainsFunc(e.Fleet.Services, func(one crd.Service) bool { return one.Name == s.name }) {
		e.Fleet.Services = append(e.Fleet.Services, crd.Service{Name: s.name, Fixed: true, Port: port})
		e.note("%s leads to %s too. It is a fixed service of the Fleet until it is adopted.", nameOf(e.vs), s.name)
	}
	return s.name, true
}

// matchOf adds a match's conditions to a route, or names the first that no Fleet
// can say.
func matchOf(r crd.Route, m *v1alpha3.HTTPMatchRequest) (crd.Route, string) {
	switch {
	case len(m.Headers) > 0 || len(m.WithoutHeaders) > 0:
		return r, "headers"
	case len(m.QueryParams) > 0:
		return r, "query"
	case m.Scheme != nil:
		return r, "scheme"
	case m.Port != 0:
		return r, "port"
	case len(m.SourceLabels) > 0 || m.SourceNamespace != "":
		return r, "who calls"
	case m.IgnoreUriCase:
		return r, "path without regard to case"
	}
	switch uri := m.Uri; {
	case uri == nil:
	case uri.GetExact() == "/":
		return r, "the path / alone"
	case uri.GetPrefix() != "":
		r.Path = strings.TrimRight(uri.GetPrefix(), "/")
	case uri.GetExact() != "":
		r.Path = strings.TrimRight(uri.GetExact(), "/")
	default:
		return r, "a pattern of the path, " + uri.GetRegex()
	}
	if m.Authority != nil {
		if r.Host = m.Authority.GetExact(); r.Host == "" {
			return r, "a part of the host"
		}
	}
	if m.Method != nil {
		if r.Methods = methodsOf(m.Method); r.Methods == nil {
			return r, "a part of the method"
		}
	}
	return r, ""
}

// methodsOf reads one method, or a pattern of several: GET|HEAD.
func methodsOf(m *v1alpha3.StringMatch) []string {
	if m.GetExact() != "" {
		return []string{m.GetExact()}
	}
	text := strings.TrimSuffix(strings.TrimPrefix(m.GetRegex(), "^"), "$")
	text = strings.TrimSuffix(strings.TrimPrefix(text, "("), ")")
	if !regexp.MustCompile(`^[A-Z]+([|][A-Z]+)*$`).MatchString(text) {
		return nil
	}
	return strings.Split(text, "|")
}
