package crd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const corpus = "../../../internal/config/testdata/"

// documents reads the documents of a file that the embedded engine is tested
// with, as Kubernetes would be given them: without what only one machine has.
func documents(t testing.TB, file string) ([]map[string]any, error) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []map[string]any
	for part := range strings.SplitSeq("\n"+string(data), "\n---") {
		var d map[string]any
		if err := yaml.UnmarshalStrict([]byte(part), &d); err != nil {
			return nil, err
		}
		if d == nil {
			continue
		}
		transport(d)
		out = append(out, d)
	}
	return out, nil
}

// transport changes what a document says in another way in a cluster, and
// leaves out what it cannot say there.
func transport(d map[string]any) {
	spec, _ := d["spec"].(map[string]any)
	if spec == nil {
		return
	}
	services, _ := spec["services"].([]any)
	for _, one := range services {
		without(one, "run", "endpoints", "health")
		if d["kind"] == "Fleet" {
			without(one, "version", "source")
		}
	}
	if d["kind"] == "Fleet" {
		edge, _ := spec["edge"].(map[string]any)
		if edge == nil {
			edge = map[string]any{}
		}
		without(edge, "listen", "http1", "tls", "trustedProxies")
		without(edge["accessLog"], "format")
		edge["gateways"] = []any{map[string]any{"name": "istio-ingress/public", "hosts": []any{"live.example.com"}, "selector": map[string]any{"istio": "ingress"}}}
		spec["edge"] = edge
		without(spec, "api")
		notify, _ := spec["notify"].([]any)
		for _, one := range notify {
			n, _ := one.(map[string]any)
			if n["urlFrom"] != nil || n["secretFrom"] != nil {
				n["secret"] = "told"
			}
			without(n, "urlFrom", "secretFrom", "caFile")
		}
	}
	hooks, _ := spec["hooks"].(map[string]any)
	for _, moment := range hooks {
		list, _ := moment.([]any)
		for _, one := range list {
			if hook, ok := one.(map[string]any); ok && hook["run"] != nil {
				hook["job"] = "hook"
			}
			without(one, "run", "dir", "env")
		}
	}
}

func without(from any, fields ...string) {
	if object, ok := from.(map[string]any); ok {
		for _, f := range fields {
			delete(object, f)
		}
	}
}

func TestGoodDocumentsAreTaken(t *testing.T) {
	server := newAPIServer(t)
	files, err := filepath.Glob(corpus + "good/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no documents: %v", err)
	}
	for _, file := range files {
		if filepath.Base(file) == "anchors.yaml" {
			continue // kubectl takes no key twice, not even over one that is merged in
		}
		docs, err := documents(t, file)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, d := range docs {
			if errs := server.refuses(t, d, nil); len(errs) > 0 {
				t.Errorf("%s: %s", file, strings.Join(errs, "\n"))
			}
		}
	}
}

// Whatever the embedded engine refuses is refused by the API server as well,
// but for what others are there for.
func TestBadDocumentsAreRefused(t *testing.T) {
	server := newAPIServer(t)
	files, err := filepath.Glob(corpus + "bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no documents: %v", err)
	}
	exempt := exempted()
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		reason, left := exempt[name]
		delete(exempt, name)
		docs, err := documents(t, file)
		refused := err != nil // no YAML: refused by whoever reads it first
		seen := map[string]bool{}
		for _, d := range docs {
			refused = refused || len(server.refuses(t, d, nil)) > 0
			id, _ := yaml.Marshal([]any{d["kind"], d["metadata"]})
			refused = refused || seen[string(id)] // created twice
			seen[string(id)] = true
		}
		switch {
		case !refused && !left:
			t.Errorf("%s is taken", name)
		case refused && left:
			t.Errorf("%s is refused, but exempted: %s", name, reason)
		}
	}
	for name := range exempt {
		t.Errorf("%s is exempted, and there is no such document", name)
	}
}

// exempted are the bad documents that the API server takes, with the reason.
func exempted() map[string]string {
	out := map[string]string{
		"empty":                "kubectl has nothing to send",
		"tag":                  "tags are the YAML reader's matter, and kubectl's lets this one pass",
		"release-undeclared":   "no object is checked against another; the operator says it as a condition",
		"release-same-version": "no object is checked against another; the operator says it as a condition",
		"route-unreachable":    "CEL may not compare every route with every other; the operator says it as a condition",
	}
	for _, name := range []string{
		"api-cleartext", "api-tls-without-listen", "command-empty", "command-missing", "command-one-text", "command-with-spaces",
		"dir-missing", "endpoint-is-edge", "endpoints-bad", "endpoints-empty", "env-file-missing", "env-null", "env-reserved",
		"env-secret-masked", "executable-device", "executable-folder", "executable-missing-far", "executable-missing",
		"executable-not-in-path", "executable-without-mode", "health-grpc-for-http", "health-many", "health-path-for-grpc",
		"health-path", "http1-unknown", "listen-bad", "listen-overlap", "listen-port-only", "neither-run-nor-endpoints",
		"number-for-env", "number-for-text", "oidc-bounds", "oidc-discovery", "oidc-group-twice", "oidc-issuer", "oidc-no-roles",
		"oidc-role-unknown", "oidc-secret-inline", "oidc-without-listen", "release-endpoints-to-run", "replicas-range", "replicas-text", "replicas-zero",
		"run-and-endpoints", "tls-missing", "tls-none", "tls-not-pem", "trusted-proxies", "version-name",
	} {
		out[name] = "it is about processes, files or listeners of one machine"
	}
	return out
}

// What only Kubernetes has.
func TestRulesOfTheClusterAlone(t *testing.T) {
	server := newAPIServer(t)
	const fleet = `
apiVersion: greenroom.dev/v1alpha1
kind: Fleet
metadata: {name: live}
spec:
  edge:
    gateways: [{name: istio-ingress/public, hosts: [live.example.com], selector: {istio: ingress}}]
    routes: [{path: /api, service: api, retries: {attempts: 2, perTryTimeout: 2s}}, {service: web}]
  services:
  - {name: web, background: true}
  - {name: api, rollout: api-rollout, port: 8080, calls: [web]}
  - {name: legacy, fixed: true}
`
	const release = `
apiVersion: greenroom.dev/v1alpha1
kind: Release
metadata: {name: r42}
spec:
  fleet: live
  rollbackWindow: 1d12h
  services:
  - {name: api, version: "2.5.0", image: "registry.example.com/api:2.5.0", apply: true}
  hooks:
    verify: [{name: smoke, http: {path: /healthz}}, {name: load, job: load-test}, {name: errors, analysis: error-rate}]
`
	for _, c := range []struct{ document, from, to, complaint string }{
		{fleet, "", "", ""},
		{release, "", "", ""},
		{fleet, "istio-ingress/public", "public", "name"},
		{fleet, "hosts: [live.example.com], ", "", "hosts"},
		{fleet, "hosts: [live.example.com]", "hosts: [a.example.com, a.example.com]", "Duplicate"},
		{fleet, ", selector: {istio: ingress}", "", "selector"},
		{fleet, "attempts: 2", "attempts: -1", "attempts"},
		{fleet, "perTryTimeout: 2s", "perTryTimeout: 2d", "retries.perTryTimeout of a route to api is 2d; it must be from 1ms to 24h"},
		{fleet, "fixed: true", "fixed: true, rollout: old", "legacy is a fixed service, and has the Rollout old"},
		{fleet, "calls: [web]", "calls: [api]", "api calls itself"},
		{fleet, "{service: web}]", "{service: wbe}]", "the route of / names the service wbe, which the fleet does not have"},
		{fleet, "{path: /api, service: api", "{host: live.example.com, path: /api, service: apj", "the route of live.example.com/api names the service apj"},
		{fleet, "  services:", "  stamp: {header: Cookie}\n  services:", "the header Cookie has another meaning"},
		{fleet, "  services:", "  notify: [{name: ops, kind: slack}]\n  services:", "the notification ops needs its address"},
		{fleet, "  services:", "  release: {freezes: [{name: feast, from: 2026-12-20}]}\n  services:", "the freeze feast is once"},
		{fleet, "  services:", "  release: {freezes: [{name: rest, weekly: {from: Fri 16:00, to: Fri 16:00}}]}\n  services:", "the freeze rest ends when it begins: Fri 16:00"},
		{fleet, "background: true", "drain: 25h", "spec.services: Invalid value: drain of web is 25h; it must be from 0s to 24h"},
		{fleet, "background: true", "timeout: 1d1s", "timeout of web is 1d1s; it must be from 0s to 24h"},
		{fleet, "background: true", "retries: {attempts: 1, perTryTimeout: 0s}", "retries.perTryTimeout of web is 0s; it must be from 1ms to 24h"},
		{fleet, "{service: web}]", "{service: web, timeout: 25h}]", "spec.edge.routes: Invalid value: timeout of a route to web is 25h"},
		{fleet, "{service: web}]", "{service: web, cors: {allowOrigins: ['*'], maxAge: 31d}}]", "cors.maxAge of a route to web is 31d; it must be from 0s to 30d"},
		{fleet, "port: 8080", "port: 80800", "port"},
		{fleet, "{name: legacy,", "{name: web,", "Duplicate"},
		{fleet, "name: live}", "name: live.again}", "lower-case letters"},
		{release, "image: \"registry.example.com/api:2.5.0\", ", "", "api has none"},
		{release, "job: load-test", "run: [bin/load]", "unknown field"},
		{release, "job: load-test", "timeout: 1m", "the hook load has one of job, http and analysis"},
		{release, "job: load-test", "job: load-test, http: {path: /}", "the hook load has one of job, http and analysis"},
		{release, "analysis: error-rate", "analysis: error-rate, job: load-test", "the hook errors has one of job, http and analysis"},
		{release, "name: load, ", "name: smoke, ", "Duplicate"},
		{release, "1d12h", "30d1s", "spec.rollbackWindow: Invalid value: \"30d1s\": it must be from 0s to 30d"},
		{release, "name: r42", "name: baseline", "give it another name"},
	} {
		if c.from != "" && !strings.Contains(c.document, c.from) {
			t.Fatalf("the document has no %q", c.from)
		}
		var d map[string]any
		if err := yaml.UnmarshalStrict([]byte(strings.Replace(c.document, c.from, c.to, 1)), &d); err != nil {
			t.Fatal(err)
		}
		errs := strings.Join(server.refuses(t, d, nil), "\n")
		if c.complaint == "" && errs != "" || !strings.Contains(errs, c.complaint) {
			t.Errorf("%s instead of %s: got %q, want %q", c.to, c.from, errs, c.complaint)
		}
	}
}

func TestAReleaseStaysInItsFleet(t *testing.T) {
	server := newAPIServer(t)
	made := func(fleet string) map[string]any {
		return map[string]any{"apiVersion": "greenroom.dev/v1alpha1", "kind": "Release", "metadata": map[string]any{"name": "r42"},
			"spec": map[string]any{"fleet": fleet, "services": []any{map[string]any{"name": "api"}}}}
	}
	if errs := server.refuses(t, made("live"), made("live")); len(errs) > 0 {
		t.Error(errs)
	}
	if errs := server.refuses(t, made("other"), made("live")); !strings.Contains(strings.Join(errs, "\n"), "the release stays in the fleet live") {
		t.Errorf("a release moved to another fleet: %q", errs)
	}
}

// A switch waits for the status of a Fleet to be written, which cannot change
// the spec: the API server is to ask nothing of that then, however much it is.
func TestAStatusIsWrittenWithoutAskingOfTheSpec(t *testing.T) {
	server := newAPIServer(t)
	fleet := func(drain string, revision int) map[string]any {
		out := map[string]any{"apiVersion": "greenroom.dev/v1alpha1", "kind": "Fleet", "metadata": map[string]any{"name": "live"},
			"spec": map[string]any{
				"edge":     map[string]any{"gateways": []any{map[string]any{"name": "istio-ingress/public", "hosts": []any{"live.example.com"}, "selector": map[string]any{"istio": "ingress"}}}},
				"services": []any{map[string]any{"name": "web", "drain": drain, "calls": []any{"web"}}, map[string]any{"name": "api"}},
			}}
		if revision > 0 {
			out["status"] = map[string]any{"revision": int64(revision)}
		}
		return out
	}
	for what, c := range map[string]struct {
		object, old map[string]any
		complaints  int
	}{
		"a new object":                       {fleet("25h", 0), nil, 3},
		"a new object with a status":         {fleet("25h", 1), nil, 3},
		"a spec, before there is a state":    {fleet("25h", 0), fleet("1s", 0), 3},
		"a spec":                             {fleet("25h", 7), fleet("1s", 7), 3},
		"a spec that was wrong before":       {fleet("26h", 7), fleet("25h", 7), 3},
		"anything but the spec":              {fleet("25h", 7), fleet("25h", 7), 0},
		"the first status":                   {fleet("25h", 1), fleet("25h", 0), 0},
		"a status":                           {fleet("25h", 8), fleet("25h", 7), 0},
		"a status, from which state is gone": {fleet("25h", 0), fleet("25h", 7), 0},
	} {
		if errs := server.refuses(t, c.object, c.old); len(errs) != c.complaints {
			t.Errorf("%s: %d complaints instead of %d: %q", what, len(errs), c.complaints, errs)
		}
	}
}
