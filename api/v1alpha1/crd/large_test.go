package crd_test

import (
	"fmt"
	"strings"
	"testing"

	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

// The API server bounds what a rule may cost when it is asked, too: a Fleet as
// large as the definition allows must be taken, and what is wrong in it be said.
func TestTheLargestFleet(t *testing.T) {
	server := newAPIServer(t)
	for _, c := range []struct{ timeout, to, complaint string }{
		{"0d1h1m1s", last(600), ""},
		{"25h", last(600), "timeout of " + last(600) + " is 25h; it must be from 0s to 24h"},
		{"0d1h1m1s", "nobody", "the route of /399 names the service nobody"},
	} {
		fleet := large(600, 400, 1)
		spec := fleet["spec"].(map[string]any)
		spec["services"].([]any)[599].(map[string]any)["timeout"] = c.timeout
		spec["edge"].(map[string]any)["routes"].([]any)[399].(map[string]any)["service"] = c.to
		if errs := strings.Join(server.refuses(t, fleet, nil), "\n"); c.complaint == "" && errs != "" || !strings.Contains(errs, c.complaint) {
			t.Errorf("got %q, want %q", errs, c.complaint)
		}
	}
}

// The same of a Fleet that has the most of all else, too.
func TestTheFullestFleet(t *testing.T) {
	server := newAPIServer(t)
	long := "0000000000000000000000000000000000000000000000000000000000d1h1m"
	fleet := large(600, 400, 1)
	spec := fleet["spec"].(map[string]any)
	var all []any
	for i := range 200 {
		all = append(all, last(i+1))
	}
	for i, one := range spec["services"].([]any) {
		s := one.(map[string]any)
		s["drain"], s["timeout"], s["retries"] = long, long, map[string]any{"attempts": int64(2), "perTryTimeout": long}
		if i >= 200 { // none calls itself
			s["calls"] = all
		}
	}
	edge := spec["edge"].(map[string]any)
	for _, one := range edge["routes"].([]any) {
		r := one.(map[string]any)
		r["timeout"], r["retries"], r["cors"] = long, map[string]any{"attempts": int64(2), "perTryTimeout": long}, map[string]any{"allowOrigins": []any{"*"}, "maxAge": long}
	}
	var gateways, freezes, items, notify []any
	for i := range 16 {
		var hosts []any
		for h := range 100 {
			hosts = append(hosts, fmt.Sprintf("%s.g%d-%d.example.com", strings.Repeat("host.", 45), i, h))
		}
		gateways = append(gateways, map[string]any{"name": fmt.Sprintf("istio-ingress/g%d", i), "hosts": hosts, "selector": map[string]any{"istio": "ingress"}})
	}
	for i := range 50 {
		name := fmt.Sprintf("name-%d", i)
		freezes = append(freezes, map[string]any{"name": name, "weekly": map[string]any{"from": "Fri 16:00", "to": "Mon 08:00"}})
		items = append(items, map[string]any{"name": name, "text": strings.Repeat("あ", 1000)})
	}
	for i := range 20 {
		notify = append(notify, map[string]any{"name": fmt.Sprintf("name-%d", i), "kind": "slack", "url": "https://example.com/" + strings.Repeat("x", 1900), "timeout": "10s"})
	}
	edge["gateways"], spec["notify"], spec["release"] = gateways, notify, map[string]any{"freezes": freezes, "checklist": items}
	if errs := server.refuses(t, fleet, nil); len(errs) > 0 {
		t.Error(strings.Join(errs, "\n"))
	}
	spec["services"].([]any)[599].(map[string]any)["calls"] = append(all[1:], last(600))
	if errs := strings.Join(server.refuses(t, fleet, nil), "\n"); !strings.Contains(errs, last(600)+" calls itself") {
		t.Errorf("got %q", errs)
	}
}

// A Release, too, is taken as large as its definition allows.
func TestTheLargestRelease(t *testing.T) {
	server := newAPIServer(t)
	var services, checklist []any
	for i := range 600 {
		services = append(services, map[string]any{"name": last(i + 1), "version": strings.Repeat("1", 64), "image": "registry.example.com/" + last(i+1) + "@sha256:" + strings.Repeat("0", 64), "apply": true})
	}
	for i := range 50 {
		checklist = append(checklist, map[string]any{"name": fmt.Sprintf("name-%d", i), "text": strings.Repeat("あ", 1000)})
	}
	hooks := map[string]any{}
	for _, moment := range []string{"prepare", "verify", "settle", "rollback", "abort"} {
		var list []any
		for i := range 20 {
			list = append(list, map[string]any{"name": fmt.Sprintf("%s-%030d", "name", i), "job": "job", "timeout": "0d1h1m1s"})
		}
		hooks[moment] = list
	}
	made := func() map[string]any {
		return map[string]any{"apiVersion": "greenroom.dev/v1alpha1", "kind": "Release", "metadata": map[string]any{"name": "r42"},
			"spec": map[string]any{"fleet": "live", "rollbackWindow": "1d1h", "keep": "1d1h", "services": services, "checklist": checklist, "hooks": hooks}}
	}
	if errs := server.refuses(t, made(), made()); len(errs) > 0 {
		t.Error(strings.Join(errs, "\n"))
	}
	delete(services[599].(map[string]any), "image")
	if errs := strings.Join(server.refuses(t, made(), made()), "\n"); !strings.Contains(errs, last(600)+" has none") {
		t.Errorf("got %q", errs)
	}
}

// BenchmarkRules is what the API server takes to check the rules of a Fleet of
// 300 services and as many routes, by its own code: of one whose status is
// written, which a switch waits for, and of one whose spec is.
func BenchmarkRules(b *testing.B) {
	fleet := newAPIServer(b)["Fleet"]
	for _, c := range []struct {
		what string
		next int64
	}{{"status", 2}, {"spec", 1}} {
		b.Run(c.what, func(b *testing.B) {
			old, next := large(300, 300, 1), large(300, 300, c.next)
			for b.Loop() {
				if errs, _ := fleet.rules.Validate(b.Context(), nil, fleet.structural, next, old, celconfig.RuntimeCELCostBudget); len(errs) > 0 {
					b.Fatal(errs)
				}
			}
		})
	}
}

// large is a Fleet whose routes all go to its last service, with all that a rule
// is about.
func large(services, routes int, revision int64) map[string]any {
	var made, edge []any
	retries := func() any { return map[string]any{"attempts": int64(2), "perTryTimeout": "0d1h1m1s"} }
	for i := range services {
		made = append(made, map[string]any{
			"name": last(i + 1), "fixed": false, "rollout": last(i + 1), "calls": []any{last(i), last(i + 2)},
			"drain": "0d1h1m1s", "timeout": "0d1h1m1s", "retries": retries(),
		})
	}
	for i := range routes {
		edge = append(edge, map[string]any{
			"path": fmt.Sprintf("/%d", i), "service": last(services), "timeout": "0d1h1m1s", "retries": retries(),
			"cors": map[string]any{"allowOrigins": []any{"*"}, "maxAge": "1d1h1m1s"},
		})
	}
	return map[string]any{
		"apiVersion": "greenroom.dev/v1alpha1", "kind": "Fleet", "metadata": map[string]any{"name": "live"},
		"spec": map[string]any{
			"services": made,
			"edge": map[string]any{
				"gateways": []any{map[string]any{"name": "istio-ingress/public", "hosts": []any{"live.example.com"}, "selector": map[string]any{"istio": "ingress"}}},
				"routes":   edge,
			},
		},
		"status": map[string]any{"revision": revision},
	}
}

// last is the name of the last of so many services.
func last(services int) string {
	return fmt.Sprintf("a-service-with-a-name-that-is-long-%05d", services-1)
}
