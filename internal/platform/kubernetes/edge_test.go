package kubernetes

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	securityapi "istio.io/api/security/v1beta1"
	typeapi "istio.io/api/type/v1beta1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

// name is the first part of the name of the route that a request gets.
func (w *world) name(t *testing.T, gateway int, q request) string {
	t.Helper()
	objects, _ := Translate(w.in)
	r := w.proxy.pick(t, objects.Edges[gateway], q)
	if r == nil {
		return ""
	}
	return r.Name
}

func TestRoutesOfTheFleetTakeTheRequestsThatTheySay(t *testing.T) {
	w := headersAndHosts(t)
	for _, c := range []struct {
		gateway int
		q       request
		want    string
	}{
		{0, request{authority: "live.example.com", path: "/api", method: "GET"}, "default.baseline.0"},
		{0, request{authority: "LIVE.example.com:8443", path: "/api/x", method: "HEAD"}, "default.baseline.0"},
		{0, request{authority: "live.example.com.", path: "/api/", method: "POST"}, "default.baseline.0"},
		{0, request{authority: "live.example.com", path: "/api", method: "PUT"}, "default.baseline.2"},
		{0, request{authority: "live.example.com", path: "/apix", method: "GET"}, "default.baseline.2"},
		{0, request{authority: "liveXexample.com", path: "/api", method: "GET"}, "default.baseline.2"},
		{1, request{authority: "a.corp.example.com:443", path: "/api", method: "GET"}, "default.baseline.1"},
		{1, request{authority: "corp.example.com", path: "/", method: "GET"}, "default.baseline.2"},
		{1, request{authority: "a.corp.example.com", path: "/.greenroom/default", method: "GET"}, "own.default"},
		{1, request{authority: "a.corp.example.com", path: "/.greenroom/pass", method: "POST"}, "own.pages"},
		{0, request{authority: "live.example.com", path: "/.greenroomy", method: "GET"}, "default.baseline.2"},
	} {
		if got := w.name(t, c.gateway, c.q); got != c.want {
			t.Errorf("%+v: got %s, want %s", c.q, got, c.want)
		}
	}
}

func TestWhatOthersMadeServesNothing(t *testing.T) {
	if stamp, ok := Served(cases()["foreign"](t).in.VirtualServices[0]); ok {
		t.Errorf("serves %s", stamp)
	}
}

func TestACookieKeepsUsersOnTheirSide(t *testing.T) {
	canary := cases()["canary"](t)
	pinned := cases()["session-pinning"](t)
	root := func(cookie string) request {
		return request{authority: "live.example.com", path: "/", method: "GET", headers: map[string]string{"cookie": cookie, "sec-fetch-mode": "navigate"}}
	}
	for _, c := range []struct {
		w            *world
		cookie, want string
	}{
		{canary, "", "begin.r42.2"},
		{canary, "a=b; greenroom_canary=r42; c=d", "canary.r42.2"},
		{canary, "greenroom_canary=no-r42", "canary.no-r42.2"},
		{canary, "greenroom_canary=r41", "begin.r42.2"},
		{canary, "xgreenroom_canary=r42", "begin.r42.2"},
		{pinned, "greenroom_session=baseline", "session.baseline.1"},
		{pinned, "greenroom_session=r42", "session.r42.1"},
		{pinned, "greenroom_session=r99", "begin.r42.1"},
		{pinned, "", "begin.r42.1"},
	} {
		if got := c.w.name(t, 0, root(c.cookie)); got != c.want {
			t.Errorf("cookie %q: got %s, want %s", c.cookie, got, c.want)
		}
	}
	for w, want := range map[*world]string{canary: "default.baseline.2", pinned: "default.r42.1"} {
		program := root("")
		delete(program.headers, "sec-fetch-mode")
		if got := w.name(t, 0, program); got != want {
			t.Errorf("a program without cookies: got %s, want %s", got, want)
		}
	}
	pinned.later(11 * time.Minute)
	if got := pinned.name(t, 0, root("greenroom_session=baseline")); got != "begin.r42.1" {
		t.Errorf("after the pin's time: %s", got)
	}
}

func TestTheCanarysSharesAreWhole(t *testing.T) {
	for _, share := range []int{1, 50, 100} {
		w := cases()["canary"](t)
		w.in.Canary = share
		objects, _ := Translate(w.in)
		for _, r := range objects.Edges[0].Spec.Http {
			if !strings.HasPrefix(r.Name, "begin.") {
				continue
			}
			sum := 0
			for _, d := range r.Route {
				sum += int(d.Weight)
				stamp, cookie := d.Headers.Request.Set["x-greenroom-release"], d.Headers.Response.Add["set-cookie"]
				if stamp == "r42" && !strings.HasPrefix(cookie, "greenroom_canary=r42;") || stamp == "baseline" && !strings.HasPrefix(cookie, "greenroom_canary=no-r42;") {
					t.Errorf("%s: stamp %s with cookie %s", r.Name, stamp, cookie)
				}
			}
			if sum != 100 {
				t.Errorf("%d%%: the shares of %s come to %d", share, r.Name, sum)
			}
		}
	}
}

func TestTokensOfOthersAtTheGatewayBlockPasses(t *testing.T) {
	foreign := func(namespace string, selector map[string]string, rules int) *securityv1.RequestAuthentication {
		r := &securityv1.RequestAuthentication{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "users"}}
		if selector != nil {
			r.Spec.Selector = &typeapi.WorkloadSelector{MatchLabels: selector}
		}
		for range rules {
			r.Spec.JwtRules = append(r.Spec.JwtRules, &securityapi.JWTRule{Issuer: "https://login.example.com"})
		}
		return r
	}
	for _, c := range []struct {
		rule  *securityv1.RequestAuthentication
		block bool
	}{
		{foreign("istio-ingress", nil, 1), true},
		{foreign("istio-system", nil, 1), true},
		{foreign("istio-ingress", map[string]string{"istio": "ingress"}, 1), true},
		{foreign("istio-ingress", map[string]string{"app": "gateway"}, 1), true}, // the pods may have that label too
		{foreign("istio-ingress", map[string]string{"istio": "other"}, 1), false},
		{foreign("istio-ingress", map[string]string{"istio": "ingress"}, 0), false},
		{foreign("shop", nil, 1), false},
	} {
		w := newWorld(t, "web")
		w.in.RequestAuthentications = []*securityv1.RequestAuthentication{c.rule}
		_, conditions := Translate(w.in)
		if blocked := len(conditions) == 1 && conditions[0].Type == PassesBlocked; blocked != c.block || !c.block && len(conditions) > 0 {
			t.Errorf("%s %v: %+v", c.rule.Namespace, c.rule.Spec.Selector, conditions)
		}
	}
}

// As soon as the gateways' pods are seen their labels decide, all of them.
func TestTheLabelsOfTheGatewaysPodsDecide(t *testing.T) {
	for name, c := range map[string]struct {
		selector map[string]string
		gateway  string // of the Gateway API, that the rule is for
		block    bool
	}{
		"everybody's":                  {block: true},
		"what the pods have":           {selector: map[string]string{"app": "public"}, block: true},
		"another gateway's pods":       {selector: map[string]string{"app": "private"}},
		"a label that they lack":       {selector: map[string]string{"tier": "edge"}},
		"one pod of them":              {selector: map[string]string{"canary": "yes"}, block: true},
		"of a Gateway of the new kind": {gateway: "public"},
	} {
		w := newWorld(t, "web")
		rule := &securityv1.RequestAuthentication{ObjectMeta: metav1.ObjectMeta{Namespace: "istio-system", Name: "users"}}
		rule.Spec.JwtRules = []*securityapi.JWTRule{{Issuer: "https://login.example.com"}}
		if c.selector != nil {
			rule.Spec.Selector = &typeapi.WorkloadSelector{MatchLabels: c.selector}
		}
		if c.gateway != "" {
			rule.Spec.TargetRefs = []*typeapi.PolicyTargetReference{{Kind: "Gateway", Name: c.gateway}}
		}
		w.in.RequestAuthentications = []*securityv1.RequestAuthentication{rule}
		w.in.GatewayPods = []GatewayPods{{Namespace: "istio-ingress", Selector: w.in.Fleet.Spec.Edge.Gateways[0].Selector, Labels: []map[string]string{
			{"istio": "ingress", "app": "public"}, {"istio": "ingress", "app": "public", "canary": "yes"},
		}}}
		if _, conditions := Translate(w.in); (len(conditions) == 1) != c.block {
			t.Errorf("%s: %+v", name, conditions)
		}
	}
}

// Gateways of one name, of several namespaces, may have their pods in one, and
// each pods of its own: what checks passes there must not take turns.
func TestGatewaysOfOneName(t *testing.T) {
	w := newWorld(t, "web")
	w.in.Fleet.Spec.Edge.AccessLog = &crd.AccessLog{}
	w.in.Fleet.Spec.Edge.Gateways = []crd.Gateway{
		{Name: "team-a/public", Namespace: "gateways", Hosts: []string{"a.example.com"}, Selector: map[string]string{"istio": "a"}},
		{Name: "team-b/public", Namespace: "gateways", Hosts: []string{"b.example.com"}, Selector: map[string]string{"istio": "b"}},
		{Name: "team-b/more", Namespace: "gateways", Hosts: []string{"c.example.com"}, Selector: map[string]string{"istio": "b"}},
		{Name: "gateways/public", Hosts: []string{"d.example.com"}, Selector: map[string]string{"istio": "d"}},
	}
	objects, _ := Translate(w.in)
	if n := len(objects.RequestAuthentications); n != 3 || len(objects.AuthorizationPolicies) != n {
		t.Errorf("%d and %d rules for 3 kinds of pods", n, len(objects.AuthorizationPolicies))
	}
	known := map[string]bool{}
	for _, o := range objects.All() {
		name := fmt.Sprintf("%T %s/%s", o, o.GetNamespace(), o.GetName())
		if known[name] {
			t.Errorf("%s is there twice", name)
		}
		known[name] = true
	}
}

// What a gateway answers about views stays within what Envoy takes, and is
// understood however many there are.
func TestViewsText(t *testing.T) {
	w := newWorld(t, "web")
	w.open("r42", "web", "2")
	if text := viewsText([]string{"baseline", "r42"}); !Shows(w.in.Value.State, text, "r42") || Shows(w.in.Value.State, text, "r4") {
		t.Errorf("%q", text)
	}
	for i := range 100 {
		stamp := fmt.Sprintf("%s-%d", strings.Repeat("x", 50), i)
		w.in.Value.State.Views[stamp] = w.in.Value.State.Views["r42"]
	}
	objects, _ := Translate(w.in)
	text := objects.Edges[0].Spec.Http[1].DirectResponse.Body.GetString_()
	if len(text) > 4096 || !Shows(w.in.Value.State, text, "r42") || Shows(w.in.Value.State, text, "r4") {
		t.Errorf("%d bytes: %q", len(text), text)
	}
	delete(w.in.Value.State.Views, strings.Repeat("x", 50)+"-1")
	if Shows(w.in.Value.State, text, "r42") {
		t.Error("an answer about other views counts")
	}
}

// The regular expression for a share matches exactly the numbers below it.
func TestTheSampleIsTheShare(t *testing.T) {
	for n := 1; n < 4096; n++ {
		if n > 40 && n%97 != 0 && n < 4090 {
			continue
		}
		e := regexp.MustCompile("(" + below(n) + ")$")
		got := 0
		for i := range 4096 {
			in := e.MatchString(fmt.Sprintf("1b4e28ba-2fa1-41d2-883f-0016d3cca%03x", i))
			if in != (i < n) {
				t.Fatalf("below %d: %03x matches: %v", n, i, in)
			}
			if in {
				got++
			}
		}
		if got != n {
			t.Fatalf("below %d: %d match", n, got)
		}
	}
}

func TestAccessLogBudgets(t *testing.T) {
	for _, c := range []struct {
		budget crd.AccessLog
		want   string
	}{
		{crd.AccessLog{Sample: "100%"}, ""},
		{crd.AccessLog{Sample: "0%", Errors: "none"}, "disabled"},
		{crd.AccessLog{Sample: "0%"}, "response.code >= 500"},
		{crd.AccessLog{Errors: "none"}, "request.id.matches('(0[0-1][0-9a-f]|02[0-8])$')"},
	} {
		got := accessLogging(c.budget)
		switch {
		case c.want == "disabled" && !got.Disabled.GetValue(), c.want == "" && (got.Filter != nil || got.Disabled.GetValue()),
			c.want != "disabled" && !strings.Contains(got.Filter.GetExpression(), c.want):
			t.Errorf("%+v: got %v", c.budget, got)
		}
		if len(got.Providers) != 1 || got.Providers[0].Name != "envoy" {
			t.Errorf("%+v: logs go to %v, and without a name to nobody", c.budget, got.Providers)
		}
	}
	if got := accessLogging(crd.AccessLog{Providers: []string{"otel", "file"}}).Providers; len(got) != 2 || got[0].Name != "otel" || got[1].Name != "file" {
		t.Errorf("logs go to %v", got)
	}
}
