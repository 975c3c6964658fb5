package kubernetes

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// What the edge reads and answers. The embedded engine has the same names.
const (
	passHeader    = "Greenroom-Pass"
	passCookie    = "greenroom_pass"
	sessionCookie = "greenroom_session" // the stamp that a browser session began on
	canaryCookie  = "greenroom_canary"  // a stamp, or no- and a stamp
	ownPath       = "/.greenroom/"
	defaultPath   = ownPath + "default"
	ownDefault    = "own.default" // the route that answers there
	viewsPath     = ownPath + "views"
	ownViews      = "own.views"
)

// PagesRoute is the route of a Gateway's VirtualService to the operator's pages.
const PagesRoute = "own.pages"

// audience is who gets a view at the edge. They stand in the order in which
// they are asked for; the last one is everybody.
type audience struct {
	name     string
	stamp    string
	headers  map[string]*v1alpha3.StringMatch // of its requests; nil: any
	cookie   string                           // a Set-Cookie line, if it has to have one
	holder   bool                             // of a pass
	live     bool                             // the pass is for whatever serves
	callback bool                             // an outside system that calls a callback address
	share    int                              // per cent that get canary instead, by chance
	canary   string                           // stamp
}

// maxRoutes is how large a VirtualService may be as JSON, in bytes, with room for
// what the API server keeps beside it.
const maxRoutes = 1 << 20

func (t *translation) edges() []*networkingv1.VirtualService {
	var out []*networkingv1.VirtualService
	for _, g := range t.Fleet.Spec.Edge.Gateways {
		if vs := t.edgeOf(g); vs != nil {
			out = append(out, vs)
		}
	}
	return out
}

// weight is about how many bytes routes take as JSON.
func weight(routes []*v1alpha3.HTTPRoute) int {
	size := 0
	for _, r := range routes {
		size += proto.Size(r) * 3 / 2 // JSON says the same in about so much more
	}
	return size
}

// room is what an edge has left for routes that few need.
type room struct {
	needs, left int      // bytes
	without     []string // what did not fit
}

// takes reports whether there is room for some routes, and takes it.
func (r *room) takes(name string, routes []*v1alpha3.HTTPRoute) bool {
	size := weight(routes)
	r.needs += size
	if size > r.left {
		r.without = append(r.without, name)
		return false
	}
	r.left -= size
	return true
}

// edgeOf makes the VirtualService of a Gateway. It holds every host and route
// of the fleet there, so that a promotion is one write.
func (t *translation) edgeOf(g crd.Gateway) *networkingv1.VirtualService {
	namespace, name, _ := strings.Cut(g.Name, "/")
	meta := t.meta(t.Fleet.Namespace, "edge", namespace, name)
	if t.foreignAt(g) && t.idle() && !t.begun(meta.Name) {
		return nil
	}
	vs := &networkingv1.VirtualService{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.istio.io/v1", Kind: "VirtualService"},
		ObjectMeta: meta,
		Spec:       v1alpha3.VirtualService{Hosts: slices.Clone(g.Hosts), Gateways: []string{g.Name}},
	}
	sayRoutes(vs)
	vs.Spec.Hosts = widest(g.Hosts)
	t.fill(vs)
	return vs
}

// fill gives an edge its routes. Those for ordinary requests are always among
// them: a switch, and a rollback most of all, must not fail for what a few are to
// see. Of the rest, what would make the object larger than the API server takes is
// left out, and said: every open release adds all of the fleet's routes.
func (t *translation) fill(vs *networkingv1.VirtualService) {
	var holders []audience
	ordinary := t.holdRoutes() // a hold is for ordinary users
	for _, a := range t.audiences() {
		if a.holder {
			holders = append(holders, a)
			continue
		}
		ordinary = append(ordinary, t.routesFor(a)...)
	}
	r := &room{needs: weight(ordinary), left: maxRoutes - weight(ordinary)}
	var shown []*v1alpha3.HTTPRoute
	for _, a := range holders {
		routes := t.routesFor(a)
		if !r.takes(a.name, routes) {
			routes = []*v1alpha3.HTTPRoute{leftOut(a)}
		}
		shown = append(shown, routes...)
	}
	vs.Spec.Http = slices.Concat(t.ownPages(r), shown, ordinary)
	if r.needs > maxRoutes {
		message := fmt.Sprintf("with %d routes for each open release it takes about %d bytes, more than the %d that fit.", len(t.edgeRoutes()), r.needs, maxRoutes)
		if len(r.without) > 0 {
			message += " It is written without those of " + strings.Join(slices.Compact(r.without), ", ") + "."
		}
		t.say(Condition{Type: TooLarge, Object: "VirtualService " + vs.Namespace + "/" + vs.Name, Blocks: true,
			Message: message, Remedy: "Abort a release, join routes, or split the fleet."})
	}
}

// routesFor are the fleet's routes for an audience.
func (t *translation) routesFor(a audience) []*v1alpha3.HTTPRoute {
	var out []*v1alpha3.HTTPRoute
	for i, r := range t.edgeRoutes() {
		out = append(out, t.edgeRoute(a, i, r))
	}
	return out
}

// leftOut answers an audience that there is no room for: what others get would
// be taken for what it asks for.
func leftOut(a audience) *v1alpha3.HTTPRoute {
	return &v1alpha3.HTTPRoute{
		Name:           a.name + ".left-out",
		Match:          []*v1alpha3.HTTPMatchRequest{{Headers: a.headers}},
		DirectResponse: &v1alpha3.HTTPDirectResponse{Status: 503, Body: text("The gateway has no room for the routes of " + a.stamp + ". kubectl greenroom status says what to do.\n")},
		Headers: &v1alpha3.Headers{Response: &v1alpha3.Headers_HeaderOperations{Set: map[string]string{
			"cache-control": "no-store", "content-type": "text/plain; charset=utf-8"}}},
	}
}

// widest are hosts without those that a wildcard among them takes in: Istio
// refuses an object that names one twice, and the routes are those of all.
func widest(hosts []string) []string {
	return slices.DeleteFunc(slices.Clone(hosts), func(h string) bool {
		return slices.ContainsFunc(hosts, func(o string) bool { return o != h && covers(o, h) })
	})
}

// edgeRoutes are the Fleet's, or the one that stands for none.
func (t *translation) edgeRoutes() []crd.Route {
	if routes := t.Fleet.Spec.Edge.Routes; len(routes) > 0 {
		return routes
	}
	return []crd.Route{{Route: v1alpha1.Route{Service: t.Fleet.Spec.Services[0].Name}}}
}

// ownPages are the routes below /.greenroom/, which no service ever sees. The
// first tells who asks whether a switch has arrived here, the second whether the
// routes of a view have: this object is written after those between services.
func (t *translation) ownPages(r *room) []*v1alpha3.HTTPRoute {
	plain := &v1alpha3.Headers{Response: &v1alpha3.Headers_HeaderOperations{Set: map[string]string{
		"cache-control": "no-store", "content-type": "text/plain; charset=utf-8"}}}
	out := []*v1alpha3.HTTPRoute{{
		Name:           ownDefault,
		Match:          []*v1alpha3.HTTPMatchRequest{{Uri: exact(defaultPath)}},
		DirectResponse: &v1alpha3.HTTPDirectResponse{Status: 200, Body: text(t.Value.State.Default + "\n")},
		Headers:        plain,
	}, {
		Name:           ownViews,
		Match:          []*v1alpha3.HTTPMatchRequest{{Uri: exact(viewsPath)}},
		DirectResponse: &v1alpha3.HTTPDirectResponse{Status: 200, Body: text(viewsText(t.stamps))},
		Headers:        plain,
	}}
	pages := &v1alpha3.HTTPRoute{
		Name:  PagesRoute,
		Match: []*v1alpha3.HTTPMatchRequest{{Uri: prefix(ownPath)}, {Uri: exact(strings.TrimSuffix(ownPath, "/"))}},
	}
	if t.Pages == nil {
		pages.DirectResponse = &v1alpha3.HTTPDirectResponse{Status: 404, Body: text("There is no such page.\n")}
		pages.Headers = plain
	} else {
		pages.Route = []*v1alpha3.HTTPRouteDestination{{Destination: to(t.Pages.Host, t.Pages.Port)}}
		pages.Headers = &v1alpha3.Headers{Request: &v1alpha3.Headers_HeaderOperations{
			Set: map[string]string{"x-greenroom-fleet": t.Fleet.Namespace + "/" + t.Fleet.Name}}}
	}
	return append(append(out, t.callbacks(r)...), pages)
}

// mostViews bounds what a gateway answers about views, in bytes: Envoy takes no
// more than 4 KiB for an answer of its own.
const mostViews = 3 << 10

// viewsText names the stamps of all views, one a line; where they are too many,
// the digest of that.
func viewsText(stamps []string) string {
	all := strings.Join(stamps, "\n") + "\n"
	if len(all) > mostViews {
		return fmt.Sprintf("sha256:%x\n", sha256.Sum256([]byte(all)))
	}
	return all
}

// Shows reports whether what a gateway answers about views names one of a state.
func Shows(s release.State, answer, stamp string) bool {
	if slices.Contains(strings.Fields(answer), stamp) {
		return true
	}
	all := slices.Sorted(maps.Keys(s.Views))
	return strings.HasPrefix(answer, "sha256:") && slices.Contains(all, stamp) && strings.TrimSpace(answer) == strings.TrimSpace(viewsText(all))
}

func prefix(s string) *v1alpha3.StringMatch {
	return &v1alpha3.StringMatch{MatchType: &v1alpha3.StringMatch_Prefix{Prefix: s}}
}

// audiences says who gets which view.
func (t *translation) audiences() []audience {
	s := t.Value.State
	var out []audience
	for _, name := range slices.Sorted(maps.Keys(s.Releases)) {
		r := s.Releases[name]
		if t.Passes.JWKS != "" && passOpens(s, r) == previewOpens {
			out = append(out, audience{name: "pass." + name, stamp: r.View, holder: true, headers: map[string]*v1alpha3.StringMatch{
				"@request.auth.claims.iss":               exact(t.Passes.Issuer),
				"@request.auth.claims.greenroom_release": exact(name),
				"@request.auth.claims.greenroom_uid":     exact(r.UID),
			}})
		}
	}
	if t.Passes.JWKS != "" && t.Passes.Live {
		out = append(out, audience{name: "live", stamp: s.Default, holder: true, live: true, headers: map[string]*v1alpha3.StringMatch{
			"@request.auth.claims.iss":            exact(t.Passes.Issuer),
			"@request.auth.claims.greenroom_live": exact("true"),
		}})
	}
	pinning := duration(t.Fleet.Spec.Edge.SessionPinning) > 0
	if s.Pin != nil && pinning && s.Views[s.Pin.Stamp].Stamp != "" && s.Pin.Stamp != s.Default {
		out = append(out, audience{name: "session." + s.Pin.Stamp, stamp: s.Pin.Stamp, headers: cookieIs(sessionCookie, s.Pin.Stamp)})
	}
	if r, share := t.inCanary(); share > 0 {
		in, not := r.View, "no-"+r.View
		out = append(out,
			audience{name: "canary." + in, stamp: in, headers: cookieIs(canaryCookie, in)},
			audience{name: "canary." + not, stamp: s.Default, headers: cookieIs(canaryCookie, not)},
			audience{name: "begin." + in, stamp: s.Default, headers: navigation(), canary: in, share: share})
	} else if pinning {
		out = append(out,
			audience{name: "session." + s.Default, stamp: s.Default, headers: cookieIs(sessionCookie, s.Default)},
			audience{name: "begin." + s.Default, stamp: s.Default, headers: navigation(), cookie: setCookie(sessionCookie, s.Default)})
	}
	return append(out, audience{name: "default." + s.Default, stamp: s.Default})
}

// navigation is how browsers ask for a page. Cookies are set with these alone:
// not with what caches keep for everybody, nor for programs that would forget
// them and fall to another side with every request.
func navigation() map[string]*v1alpha3.StringMatch {
	return map[string]*v1alpha3.StringMatch{"sec-fetch-mode": exact("navigate")}
}

// inCanary returns the release in Canary and the per cent of users that get it.
func (t *translation) inCanary() (release.Release, int) {
	for _, r := range t.Value.State.Releases {
		if r.Phase == release.Canary {
			return r, max(0, min(t.Canary, 100))
		}
	}
	return release.Release{}, 0
}

func cookieIs(name, value string) map[string]*v1alpha3.StringMatch {
	return map[string]*v1alpha3.StringMatch{
		"cookie": pattern(`(.*;)?[ ]*` + name + `=` + regexp.QuoteMeta(value) + `[ ]*(;.*)?`),
	}
}

// setCookie is a cookie that ends with the browser session.
func setCookie(name, value string) string {
	return name + "=" + value + "; Path=/; HttpOnly; SameSite=Lax"
}

// edgeRoute is the route of an audience for one of the fleet's routes.
func (t *translation) edgeRoute(a audience, i int, r crd.Route) *v1alpha3.HTTPRoute {
	s, _ := t.service(r.Service)
	out := &v1alpha3.HTTPRoute{
		Name:       fmt.Sprintf("%s.%d", a.name, i),
		Match:      edgeMatch(a, r),
		CorsPolicy: corsOf(r.CORS),
		Headers: &v1alpha3.Headers{
			Request:  &v1alpha3.Headers_HeaderOperations{Set: t.stampOf(a.stamp), Remove: []string{strings.ToLower(passHeader), "x-greenroom-trail"}},
			Response: t.answer(a),
		},
	}
	t.tellBase(a.stamp, out.Headers.Request)
	port := 0
	if base, ok := t.Services[s.Name]; ok {
		port = mainPort(s, base)
	}
	t.leadTo(out, s, a.stamp, port)
	if out.DirectResponse != nil {
		return out
	}
	out.Timeout, out.Retries = timeoutOf(r.Timeout), retriesOf(r.Retries)
	if a.share > 0 {
		t.split(out, s, a, port)
	}
	return out
}

// split sends a share of an audience to the canary. Everybody is told which
// side they are on, and stays there.
func (t *translation) split(out *v1alpha3.HTTPRoute, s crd.Service, a audience, port int) {
	host, ok := t.destination(s, t.Value.State.Views[a.canary].Versions[s.Name])
	if !ok {
		return
	}
	side := func(d *v1alpha3.Destination, stamp, cookie string, share int) *v1alpha3.HTTPRouteDestination {
		answer := t.answer(audience{stamp: stamp, cookie: setCookie(canaryCookie, cookie)})
		answer.Remove = nil // of the route's own
		return &v1alpha3.HTTPRouteDestination{Destination: d, Weight: int32(share), Headers: &v1alpha3.Headers{
			Request: &v1alpha3.Headers_HeaderOperations{Set: t.stampOf(stamp)}, Response: answer,
		}}
	}
	rest := out.Route[0].Destination
	out.Headers.Request.Set = nil
	out.Headers.Response.Set = nil
	out.Route = []*v1alpha3.HTTPRouteDestination{side(to(host, port), a.canary, a.canary, a.share)}
	if a.share < 100 {
		out.Route = append(out.Route, side(rest, a.stamp, "no-"+a.canary, 100-a.share))
	}
}

// stampOf sets the stamp in both forms, over whatever came from outside.
func (t *translation) stampOf(stamp string) map[string]string {
	return map[string]string{t.header: stamp, baggageHeader: baggageMember + "=" + stamp}
}

// answer is what is changed in the header of answers to an audience. What is
// not what everybody gets is kept by no cache.
func (t *translation) answer(a audience) *v1alpha3.Headers_HeaderOperations {
	out := &v1alpha3.Headers_HeaderOperations{Set: map[string]string{}, Remove: []string{"x-greenroom-error", "x-greenroom-trail"}}
	if a.holder || t.Fleet.Spec.Edge.ShowRelease {
		out.Set["x-greenroom-release"] = a.stamp
	} else {
		out.Remove = append(out.Remove, "x-greenroom-release")
	}
	if a.cookie != "" {
		out.Add = map[string]string{"set-cookie": a.cookie}
	}
	if a.callback { // whoever sees its address can call it
		maps.Copy(out.Set, map[string]string{"referrer-policy": "strict-origin", "x-robots-tag": "noindex"})
	}
	if a.callback || a.live || a.stamp != t.Value.State.Default {
		maps.Copy(out.Set, map[string]string{
			"cache-control": "private, no-store", "cdn-cache-control": "no-store", "surrogate-control": "no-store",
		})
		out.Remove = append(out.Remove, "age", "expires", "pragma", "x-accel-expires", "edge-control")
	}
	return out
}

// edgeMatch is what requests of an audience must look like to be of a route.
// A path takes all below it by whole segments, and GET takes HEAD along.
func edgeMatch(a audience, r crd.Route) []*v1alpha3.HTTPMatchRequest {
	base := v1alpha3.HTTPMatchRequest{Headers: a.headers}
	if r.Host != "" {
		base.Authority = authority(r.Host)
	}
	if len(r.Methods) > 0 {
		methods := slices.Clone(r.Methods)
		if slices.Contains(methods, "GET") && !slices.Contains(methods, "HEAD") {
			methods = append(methods, "HEAD")
		}
		for i, m := range methods {
			methods[i] = regexp.QuoteMeta(m)
		}
		base.Method = pattern(strings.Join(methods, "|"))
	}
	path := strings.TrimSuffix(r.Path, "/")
	switch {
	case path != "":
		one, below := base.DeepCopy(), base.DeepCopy()
		one.Uri, below.Uri = exact(path), prefix(path+"/")
		return []*v1alpha3.HTTPMatchRequest{one, below}
	case base.Headers == nil && base.Authority == nil && base.Method == nil:
		return nil
	}
	return []*v1alpha3.HTTPMatchRequest{base.DeepCopy()}
}

// authority matches a host with or without port, in any case.
func authority(host string) *v1alpha3.StringMatch {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	rest, wild := strings.CutPrefix(host, "*")
	if wild {
		return pattern(`(?i).+` + regexp.QuoteMeta(rest) + `[.]?(:[0-9]+)?`)
	}
	return pattern(`(?i)` + regexp.QuoteMeta(host) + `[.]?(:[0-9]+)?`)
}

func corsOf(c *crd.CORS) *v1alpha3.CorsPolicy {
	if c == nil {
		return nil
	}
	out := &v1alpha3.CorsPolicy{
		AllowMethods: c.AllowMethods, AllowHeaders: c.AllowHeaders, ExposeHeaders: c.ExposeHeaders, MaxAge: maxAgeOf(c.MaxAge),
	}
	for _, origin := range c.AllowOrigins {
		if origin == "*" {
			out.AllowOrigins = append(out.AllowOrigins, pattern(".*"))
			continue
		}
		out.AllowOrigins = append(out.AllowOrigins, exact(origin))
	}
	if c.AllowCredentials != nil {
		out.AllowCredentials = wrapped(*c.AllowCredentials)
	}
	return out
}

// maxAgeOf is how long an answer about CORS is remembered, as Istio takes it: whole
// seconds, and at least one. Browsers that are told nothing remember it for five.
func maxAgeOf(d v1alpha1.Duration) *durationpb.Duration {
	if d == "" {
		return nil
	}
	return durationpb.New(max(time.Second, wholly(duration(d), time.Second)))
}

// Served is the stamp that a Gateway's VirtualService, as it is in the
// cluster, gives ordinary requests; false if it does not say. It differs from
// the state's default while a switch is under way, and after somebody rolled
// back without the operator.
func Served(vs *networkingv1.VirtualService) (stamp string, ok bool) {
	for _, r := range vs.Spec.Http {
		if r.Name == ownDefault && r.DirectResponse != nil {
			stamp = strings.TrimSuffix(r.DirectResponse.Body.GetString_(), "\n")
			return stamp, stamp != ""
		}
	}
	return "", false
}
