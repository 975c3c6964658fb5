package kubernetes

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"istio.io/api/networking/v1alpha3"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

// Callback is an address that outside systems can call, and that leads to a
// release. What is over is none: nothing at the gateways looks at a clock.
type Callback struct {
	Token   string
	Base    string // what its addresses begin with, with scheme and host
	Release string
	UID     string // of the release
	Paths   []string
	Methods []string
}

// What the edge reads and tells. The embedded engine has the same names.
const (
	callbackPath   = ownPath + "cb/"
	callbackHeader = "x-greenroom-callback-base"
	callbackRoute  = "callback"
)

// hidden are paths below callbackPath that two readers could take for two
// things. The gateways have resolved plain dots by then.
const hidden = `/[.]greenroom/cb/.*(%2[eEfF5]|%5[cC]|%00|%3[bB]|;|//|\\).*`

// callbacks are the routes of callback addresses: exact about path and method,
// and rewritten to what a service knows. What is not among them falls to
// greenroom's own pages, where nothing is called; so does what there is no room
// for.
func (t *translation) callbacks(r *room) []*v1alpha3.HTTPRoute {
	var out []*v1alpha3.HTTPRoute
	for n, c := range t.Callbacks {
		stamp, ok := PassOpens(t.Value.State, c.Release, c.UID)
		if !ok {
			continue
		}
		if stamp == "" {
			stamp = t.Value.State.Default
		}
		a := audience{name: fmt.Sprintf("%s.%d", callbackRoute, n), stamp: stamp, callback: true}
		var own []*v1alpha3.HTTPRoute
		for p, path := range c.Paths {
			for i, one := range t.edgeRoutes() {
				narrow, whole, ok := t.narrower(strings.TrimSuffix(path, "/"), c.Methods, one)
				if !ok {
					continue
				}
				own = append(own, t.callbackRoutes(a, c, p, i, narrow)...)
				if whole {
					break // what comes behind takes nothing any more
				}
			}
		}
		if r.takes("a callback address of "+c.Release, own) {
			out = append(out, own...)
		}
	}
	if len(out) == 0 {
		return nil
	}
	refused := &v1alpha3.HTTPRoute{
		Name:           callbackRoute + ".hidden",
		Match:          []*v1alpha3.HTTPMatchRequest{{Uri: pattern(hidden)}},
		DirectResponse: &v1alpha3.HTTPDirectResponse{Status: 404, Body: text("Nothing is called at this address.\n")},
		Headers: &v1alpha3.Headers{Response: &v1alpha3.Headers_HeaderOperations{Set: map[string]string{
			"cache-control": "no-store", "content-type": "text/plain; charset=utf-8", "x-greenroom-error": "no-callback"}}},
	}
	return slices.Insert(out, 0, refused)
}

// narrower is a route of the fleet, narrowed to what a callback takes; whole says
// that it takes all of that.
func (t *translation) narrower(path string, methods []string, r crd.Route) (narrow crd.Route, whole, ok bool) {
	narrow = r
	own := strings.TrimSuffix(r.Path, "/")
	switch {
	case segmentsBegin(path, own):
		narrow.Path, whole = path, r.Host == ""
	case segmentsBegin(own, path):
		narrow.Path = own
	default:
		return narrow, false, false
	}
	narrow.Methods = methods
	if len(r.Methods) > 0 {
		narrow.Methods = nil
		for _, m := range methods {
			if slices.Contains(r.Methods, m) || m == "HEAD" && slices.Contains(r.Methods, "GET") {
				narrow.Methods = append(narrow.Methods, m)
			}
		}
		whole = whole && len(narrow.Methods) == len(methods)
	}
	return narrow, whole, len(narrow.Methods) > 0
}

// segmentsBegin reports whether path is begin or lies below it, by whole
// segments.
func segmentsBegin(path, begin string) bool {
	rest, ok := strings.CutPrefix(path, begin)
	return ok && (rest == "" || rest[0] == '/')
}

// callbackRoutes are those of one path: for itself, and for what lies below.
func (t *translation) callbackRoutes(a audience, c Callback, p, i int, r crd.Route) []*v1alpha3.HTTPRoute {
	var quoted []string
	for _, m := range r.Methods {
		quoted = append(quoted, regexp.QuoteMeta(m))
	}
	match := &v1alpha3.HTTPMatchRequest{Method: pattern(strings.Join(quoted, "|"))}
	if r.Host != "" {
		match.Authority = authority(r.Host)
	}
	at := callbackPath + c.Token + r.Path
	one := t.edgeRoute(a, i, r)
	one.Name = fmt.Sprintf("%s.%d.%d", a.name, p, i)
	below := proto.Clone(one).(*v1alpha3.HTTPRoute)
	below.Name += ".below"
	for route, how := range map[*v1alpha3.HTTPRoute]struct {
		uri *v1alpha3.StringMatch
		to  string
	}{
		one:   {exact(at), r.Path},
		below: {prefix(at + "/"), r.Path + "/"},
	} {
		m := match.DeepCopy()
		m.Uri = how.uri
		route.Match = []*v1alpha3.HTTPMatchRequest{m}
		if route.DirectResponse == nil {
			if how.to == "" {
				how.to = "/"
			}
			route.Rewrite = &v1alpha3.HTTPRewrite{Uri: how.to}
		}
	}
	return []*v1alpha3.HTTPRoute{one, below}
}

// tellBase lets the services of a preview know what their callback addresses
// begin with: those of the first that is for its release. What comes from
// outside is taken out otherwise.
func (t *translation) tellBase(stamp string, request *v1alpha3.Headers_HeaderOperations) {
	if stamp != t.Value.State.Default {
		release, _, _ := strings.Cut(stamp, ".")
		for _, c := range t.Callbacks {
			if c.Release == release && t.Value.State.Releases[release].UID == c.UID {
				request.Set = maps.Clone(request.Set)
				request.Set[callbackHeader] = c.Base
				return
			}
		}
	}
	request.Remove = append(request.Remove, callbackHeader)
}
