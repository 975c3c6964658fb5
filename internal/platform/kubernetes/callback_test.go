package kubernetes

import (
	"strings"
	"testing"

	"istio.io/api/networking/v1alpha3"
)

func TestCallbackRoutes(t *testing.T) {
	w := cases()["preview"](t)
	state := w.in.Value.State
	w.in.Callbacks = []Callback{
		{Token: "NEW", Base: "https://live.example.com/.greenroom/cb/NEW", Release: "r42", UID: state.Releases["r42"].UID, Paths: []string{"/oauth/callback", "/api/hook"}, Methods: []string{"GET", "POST"}},
		{Token: "OLD", Base: "https://live.example.com/.greenroom/cb/OLD", Release: "r42", UID: "of another release", Paths: []string{"/"}, Methods: []string{"GET"}},
	}
	objects, _ := Translate(w.in)
	edge := objects.Edges[0]
	pick := func(method, path string) *v1alpha3.HTTPRoute {
		t.Helper()
		r := w.proxy.pick(t, edge, request{authority: "live.example.com", method: method, path: path})
		if r == nil {
			t.Fatalf("no route for %s", path)
		}
		return r
	}
	for path, to := range map[string]string{"/oauth/callback": "/oauth/callback", "/oauth/callback/": "/oauth/callback/", "/oauth/callback/x": "/oauth/callback/", "/api/hook": "/api/hook"} {
		r := pick("POST", "/.greenroom/cb/NEW"+path)
		if !strings.HasPrefix(r.Name, "callback.0.") || r.Rewrite.GetUri() != to || r.Headers.Request.Set["x-greenroom-release"] != state.Releases["r42"].View {
			t.Errorf("%s: %v", path, r)
		}
		if r.Headers.Request.Set["x-greenroom-callback-base"] != "https://live.example.com/.greenroom/cb/NEW" || r.Headers.Response.Set["referrer-policy"] != "strict-origin" || !strings.Contains(r.Headers.Response.Set["cache-control"], "no-store") {
			t.Errorf("%s: %v", path, r.Headers)
		}
	}
	for _, refused := range [][2]string{
		{"PUT", "/.greenroom/cb/NEW/oauth/callback"}, {"GET", "/.greenroom/cb/NEW/oauth"}, {"GET", "/.greenroom/cb/NEW/oauth/callbacks"},
		{"GET", "/.greenroom/cb/OLD/x"}, {"GET", "/.greenroom/cb/NEW/oauth/callback/..%2fx"}, {"GET", "/.greenroom/cb/NEW/oauth/callback/%2E%2e/x"},
		{"GET", "/.greenroom/cb/NEW/oauth/callback//x"}, {"GET", "/.greenroom/cb/"},
	} {
		if r := pick(refused[0], refused[1]); r.Name != PagesRoute && (r.DirectResponse == nil || r.DirectResponse.Status != 404) {
			t.Errorf("%v is routed by %s", refused, r.Name)
		}
	}
	for _, r := range edge.Spec.Http {
		told := r.Headers.GetRequest().GetSet()[callbackHeader]
		if strings.HasPrefix(r.Name, "default.") && told != "" || strings.HasPrefix(r.Name, "pass.r42.") && told == "" {
			t.Errorf("%s tells %q", r.Name, told)
		}
		if strings.HasPrefix(r.Name, "default.") && !strings.Contains(strings.Join(r.Headers.Request.Remove, " "), callbackHeader) {
			t.Errorf("%s lets a foreign one pass", r.Name)
		}
	}
}
