package config

import (
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// routes completes and checks which request goes to which service.
func (p *problems) routes(at path, list []v1alpha1.Route, services []string) []fleet.Route {
	if len(list) == 0 {
		if len(services) == 1 {
			return []fleet.Route{{Service: services[0]}}
		}
		if len(services) > 1 {
			p.at(at, "write edge: {routes: [{service: "+services[0]+"}]}", "a fleet of several services needs routes")
		}
		return nil
	}
	var out []fleet.Route
	for i, r := range list {
		one := fleet.Route{
			Host:    p.routeHost(at.index(i).field("host"), r.Host),
			Path:    p.routePath(at.index(i).field("path"), r.Path),
			Methods: p.methods(at.index(i).field("methods"), r.Methods),
			Service: r.Service,
			Timeout: p.duration(at.index(i).field("timeout"), r.Timeout, 0, limits{0, day}),
		}
		p.declared(at.index(i).field("service"), r.Service, services)
		if n := slices.IndexFunc(out, func(earlier fleet.Route) bool { return covers(earlier, one) }); n >= 0 {
			p.at(at.index(i), "move it up, or remove one of the two", "this route is never reached: route %d matches all of its requests", n+1)
		}
		out = append(out, one)
	}
	return out
}

// declared checks that the fleet has the service.
func (p *problems) declared(at path, service string, services []string) bool {
	if slices.Contains(services, service) {
		return true
	}
	p.at(at, did(service, services), "no service is called `%s`", cut(service))
	return false
}

func (p *problems) routeHost(at path, s string) string {
	if s == "" {
		return ""
	}
	host := strings.ToLower(strings.TrimSuffix(s, "."))
	if !hostName(strings.TrimPrefix(host, "*.")) {
		hint := "write a name such as live.example.com, or *.example.com for those below it"
		if strings.Contains(s, ":") {
			hint = "leave out the port and the scheme"
		}
		p.at(at, hint, "`%s` is not a host's name", cut(s))
	}
	return host
}

func (p *problems) routePath(at path, s string) string {
	switch {
	case s == "" || s == "/":
		return ""
	case s[0] != '/':
		p.at(at, "did you mean `/"+cut(s)+"`?", "the path `%s` does not begin with /", cut(s))
	case strings.Contains(s, "*"):
		p.at(at, "a path takes all that begins with it, by whole segments", "the path `%s` has a wildcard", cut(s))
	case strings.ContainsAny(s, "?# \t\\") || strings.Contains(s, "//") || dotted(s):
		p.at(at, "write plain segments such as /api/v2", "the path `%s` can match no request", cut(s))
	}
	return strings.TrimSuffix(s, "/")
}

func dotted(s string) bool {
	for segment := range strings.SplitSeq(s, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

func (p *problems) methods(at path, list []string) []string {
	var out []string
	for i, m := range list {
		switch {
		case m != strings.ToUpper(m):
			p.at(at.index(i), "did you mean `"+cut(strings.ToUpper(m))+"`?", "methods are written in capitals")
		case !httpguts.ValidHeaderFieldName(m) || m == "CONNECT":
			p.at(at.index(i), "write GET, POST and the like", "`%s` is not a method that is routed", cut(m))
		case slices.Contains(out, m):
			p.at(at.index(i), "remove one of the two", "the method %s is given twice", m)
		}
		out = append(out, m)
	}
	return out
}

// covers tells whether every request of b matches a.
func covers(a, b fleet.Route) bool {
	host := a.Host == "" || a.Host == b.Host ||
		strings.HasPrefix(a.Host, "*.") && strings.HasSuffix(b.Host, a.Host[1:])
	prefix := a.Path == "" || a.Path == b.Path || strings.HasPrefix(b.Path, a.Path+"/")
	methods := len(a.Methods) == 0 || len(b.Methods) > 0 &&
		!slices.ContainsFunc(b.Methods, func(m string) bool { return !slices.Contains(a.Methods, m) })
	return host && prefix && methods
}
