package gateway

import (
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// compiledRoute is a fleet.Route in the form that requests are compared with.
type compiledRoute struct {
	host    string // lower case; "" for any
	suffix  string // ".example.com" for *.example.com
	prefix  string // as CanonicalPath returns it, without a slash at its end
	methods []string
	service string
	timeout time.Duration
}

func compileRoute(r fleet.Route) compiledRoute {
	c := compiledRoute{
		prefix:  strings.TrimRight(r.Path, "/"),
		methods: r.Methods,
		service: r.Service,
		timeout: r.Timeout,
	}
	host := strings.ToLower(r.Host)
	if rest, ok := strings.CutPrefix(host, "*"); ok {
		c.suffix = rest
	} else {
		c.host = host
	}
	return c
}

func (c *compiledRoute) match(host, path, method string) bool {
	switch {
	case c.host != "" && c.host != host:
		return false
	case c.suffix != "" && (len(host) <= len(c.suffix) || !strings.HasSuffix(host, c.suffix)):
		return false
	case !underPrefix(path, c.prefix):
		return false
	}
	return c.methods == nil || slices.Contains(c.methods, method) ||
		method == http.MethodHead && slices.Contains(c.methods, http.MethodGet)
}

// underPrefix reports whether path is prefix or lies below it, by whole
// segments.
func underPrefix(path, prefix string) bool {
	return strings.HasPrefix(path, prefix) && (len(path) == len(prefix) || path[len(prefix)] == '/' || prefix == "")
}

// Match is where the edge's routes send a request.
type Match struct {
	Service string
	Timeout time.Duration // to the answer's header; 0: none
}

// Match returns where the first matching route sends a request for host, which
// may carry a port, and path in the form that CanonicalPath returns.
func (s *Snapshot) Match(host, path, method string) (Match, bool) {
	host = bareHost(host)
	for i := range s.compiled.routes {
		if c := &s.compiled.routes[i]; c.match(host, path, method) {
			return Match{Service: c.service, Timeout: c.timeout}, true
		}
	}
	return Match{}, false
}

// bareHost returns a Host header's name in lower case, without port and the
// dot of a fully qualified name.
func bareHost(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
