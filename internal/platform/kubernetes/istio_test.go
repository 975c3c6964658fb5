package kubernetes

import (
	"regexp"
	"strings"

	"istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
)

// request is what Istio's proxies look at.
type request struct {
	authority, path, method string
	port                    int
	headers                 map[string]string // lower-case names
	claims                  map[string]string // of a token that was found good
	labels                  map[string]string // of the pod that sends it
	namespace               string
}

// proxy decides as Istio's proxies do. It keeps the regular expressions that
// it has met.
type proxy map[string]*regexp.Regexp

// pick is the first route of a VirtualService that matches, as Istio has it: a
// route matches if one of its matches does, a match if all of its conditions
// do, and a route without matches always.
func (p proxy) pick(t tester, vs *networkingv1.VirtualService, q request) *v1alpha3.HTTPRoute {
	t.Helper()
	for _, r := range vs.Spec.Http {
		if len(r.Match) == 0 {
			return r
		}
		for _, m := range r.Match {
			if p.meets(t, m, q) {
				return r
			}
		}
	}
	return nil
}

func (p proxy) meets(t tester, m *v1alpha3.HTTPMatchRequest, q request) bool {
	t.Helper()
	if m.Uri != nil && !p.says(t, m.Uri, q.path) || m.Method != nil && !p.says(t, m.Method, q.method) ||
		m.Authority != nil && !p.says(t, m.Authority, q.authority) {
		return false
	}
	if m.Port != 0 && int(m.Port) != q.port || m.SourceNamespace != "" && m.SourceNamespace != q.namespace {
		return false
	}
	for key, value := range m.SourceLabels {
		if q.labels[key] != value {
			return false
		}
	}
	for name, want := range m.Headers {
		value, there := q.headers[name]
		if claim, ok := strings.CutPrefix(name, "@request.auth.claims."); ok {
			value, there = q.claims[claim]
		} else if name != strings.ToLower(name) {
			t.Fatalf("Istio wants header names in lower case, not %s", name)
		}
		if !there || !p.says(t, want, value) {
			return false
		}
	}
	for name, unwanted := range m.WithoutHeaders {
		if p.says(t, unwanted, q.headers[name]) { // a missing header counts as an empty one
			return false
		}
	}
	return true
}

func (p proxy) says(t tester, m *v1alpha3.StringMatch, s string) bool {
	t.Helper()
	switch k := m.MatchType.(type) {
	case *v1alpha3.StringMatch_Exact:
		return s == k.Exact
	case *v1alpha3.StringMatch_Prefix:
		return strings.HasPrefix(s, k.Prefix)
	case *v1alpha3.StringMatch_Regex:
		if len(k.Regex) > 1024 {
			t.Fatalf("Istio takes no regular expression of %d bytes", len(k.Regex))
		}
		if p[k.Regex] == nil {
			p[k.Regex] = regexp.MustCompile(`^(?:` + k.Regex + `)$`)
		}
		return p[k.Regex].MatchString(s)
	}
	t.Fatalf("a match of no kind: %v", m)
	return false
}

// sent is a request's header after a route has changed it.
func sent(before map[string]string, ops *v1alpha3.Headers_HeaderOperations) map[string]string {
	out := map[string]string{}
	for name, value := range before {
		out[name] = value
	}
	for name, value := range ops.GetAdd() {
		if old, there := out[name]; there {
			value = old + "," + value
		}
		out[name] = value
	}
	for name, value := range ops.GetSet() {
		out[name] = value
	}
	for _, name := range ops.GetRemove() {
		delete(out, name)
	}
	return out
}
