package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/config"
	"github.com/greenroom-dev/greenroom/internal/controller"
	"github.com/greenroom-dev/greenroom/internal/release"
)

const described = "GET /openapi.json describes what is expected"

func wrong(status int, errs ...client.DocumentError) client.Error {
	return client.Error{Status: status, Code: "input", Detail: "the request is not as the API describes it", Remedy: described, Errors: errs}
}

// TestBadInput is the table of requests that are refused before an operation
// hears of them, each with its exact problem.
func TestBadInput(t *testing.T) {
	s := serve(t)
	needsToken := "make one with greenroom token create on the server's machine, and give it with --token or GREENROOM_TOKEN"
	unknown := client.Error{Status: 401, Code: "unauthorized", Detail: "the API token is not known, or revoked", Remedy: needsToken}
	for _, c := range []struct {
		name, method, path, secret, body string
		header                           []string
		want                             client.Error
	}{
		{name: "no token", method: "GET", path: "/v1/status",
			want: client.Error{Status: 401, Code: "unauthorized", Detail: "this needs an API token", Remedy: needsToken}},
		{name: "another scheme", method: "GET", path: "/v1/status", header: []string{"Authorization", "Basic czpz"},
			want: client.Error{Status: 401, Code: "unauthorized", Detail: "this needs an API token", Remedy: needsToken}},
		{name: "unknown token", method: "GET", path: "/v1/status", secret: "s-nobody", want: unknown},
		{name: "empty token", method: "GET", path: "/v1/status", header: []string{"Authorization", "Bearer"}, want: unknown},
		{name: "role that is none", method: "GET", path: "/v1/status", secret: "s-odd", want: unknown},
		{name: "too small a role", method: "POST", path: "/v1/releases/r1/promote", secret: "s-tester",
			want: client.Error{Status: 403, Code: "forbidden", Detail: "tester is tester, and this needs operator", Remedy: "ask an admin for a token of that role"}},
		{name: "metrics without a token", method: "GET", path: "/metrics",
			want: client.Error{Status: 401, Code: "unauthorized", Detail: "this needs an API token", Remedy: needsToken}},
		{name: "unknown path", method: "GET", path: "/v1/nothing", secret: "s-admin",
			want: client.Error{Status: 404, Code: "not-found", Detail: "the API has no GET /v1/nothing", Remedy: "GET /openapi.json lists what it has"}},
		{name: "unknown method", method: "DELETE", path: "/v1/releases/r1", secret: "s-admin",
			want: client.Error{Status: 404, Code: "not-found", Detail: "the API has no DELETE /v1/releases/r1", Remedy: "GET /openapi.json lists what it has"}},
		{name: "no body where one is needed", method: "POST", path: "/v1/releases", secret: "s-admin",
			want: wrong(422, client.DocumentError{File: "body", Problem: "expected required property document to be present"})},
		{name: "broken JSON", method: "POST", path: "/v1/passes", secret: "s-admin", body: `{"release": "r1"`,
			want: wrong(400, client.DocumentError{File: "body", Problem: "unexpected end of JSON input"})},
		{name: "two values", method: "POST", path: "/v1/passes", secret: "s-admin", body: `{"release":"r1"} {}`,
			want: wrong(400, client.DocumentError{File: "body", Problem: "invalid character '{' after top-level value"})},
		{name: "an array", method: "POST", path: "/v1/passes", secret: "s-admin", body: `[]`,
			want: wrong(422, client.DocumentError{File: "body", Problem: "expected object"})},
		{name: "unknown field", method: "POST", path: "/v1/releases/r1/promote", secret: "s-admin", body: `{"raeson":"why"}`,
			want: wrong(422, client.DocumentError{File: "body.raeson", Problem: "unexpected property"})},
		{name: "unknown field further down", method: "POST", path: "/v1/fleet", secret: "s-admin", body: `{"document":{"name":"f","dir":"/","data":"","mode":1}}`,
			want: wrong(422, client.DocumentError{File: "body.document.mode", Problem: "unexpected property"})},
		{name: "wrong type", method: "POST", path: "/v1/releases/r1/promote", secret: "s-admin", body: `{"generation":"1"}`,
			want: wrong(422, client.DocumentError{File: "body.generation", Problem: "expected integer"})},
		{name: "unknown role", method: "POST", path: "/v1/tokens", secret: "s-admin", body: `{"name":"ci","role":"owner"}`,
			want: wrong(422, client.DocumentError{File: "body.role", Problem: `expected value to be one of "viewer, tester, operator, admin"`})},
		{name: "name of a token", method: "POST", path: "/v1/tokens", secret: "s-admin", body: `{"name":"a b","role":"viewer"}`,
			want: wrong(422, client.DocumentError{File: "body.name", Problem: "expected string to match pattern ^[a-zA-Z0-9][a-zA-Z0-9._@-]{0,62}$"})},
		{name: "long reason", method: "POST", path: "/v1/releases/r1/abort", secret: "s-admin", body: `{"reason":"` + strings.Repeat("x", 1001) + `"}`,
			want: wrong(422, client.DocumentError{File: "body.reason", Problem: "expected length <= 1000"})},
		{name: "long name", method: "GET", path: "/v1/releases/" + strings.Repeat("x", 101), secret: "s-admin",
			want: wrong(422, client.DocumentError{File: "path.name", Problem: "expected length <= 100"})},
		{name: "number out of range", method: "GET", path: "/v1/events?limit=1001", secret: "s-admin",
			want: wrong(422, client.DocumentError{File: "query.limit", Problem: "expected number <= 1000"})},
		{name: "no number", method: "GET", path: "/v1/events?after=-1", secret: "s-admin",
			want: wrong(422, client.DocumentError{File: "query.after", Problem: "invalid integer"})},
		{name: "unknown query", method: "GET", path: "/v1/events?lmit=5", secret: "s-admin",
			want: wrong(422, client.DocumentError{File: "query.lmit", Problem: "unknown query parameter"})},
		{name: "no number of an event", method: "GET", path: "/v1/events/stream", secret: "s-admin", header: []string{"Last-Event-ID", "r1"},
			want: wrong(422, client.DocumentError{File: "header.Last-Event-ID", Problem: "invalid integer"})},
		{name: "another media type", method: "POST", path: "/v1/passes", secret: "s-admin", body: "release=r1", header: []string{"Content-Type", "application/x-www-form-urlencoded"},
			want: wrong(415, client.DocumentError{File: "body", Problem: "unknown content type: application/x-www-form-urlencoded"})},
		{name: "large body", method: "POST", path: "/v1/releases", secret: "s-admin", body: `{"document":{"name":"f","dir":"/","data":"` + strings.Repeat("x", maxBody) + `"}}`,
			want: client.Error{Status: 413, Code: "input", Detail: "the request has more than 2097152 bytes", Remedy: "a document may have 1 MiB"}},
		{name: "large document", method: "POST", path: "/v1/releases", secret: "s-admin", body: `{"document":{"name":"f","dir":"/","data":"` + strings.Repeat("x", 1<<20+1) + `"}}`,
			want: wrong(422, client.DocumentError{File: "body.document.data", Problem: "expected length <= 1048576"})},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp, body := s.ask(t, c.method, c.path, c.secret, c.body, append([]string{"Content-Type", "application/json"}, c.header...)...)
			got := problemOf(t, resp, body)
			c.want.Title, c.want.Type = http.StatusText(c.want.Status), "urn:greenroom:api:"+c.want.Code
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("the problem differs (-want +got):\n%s", diff)
			}
			if challenge := resp.Header.Get("WWW-Authenticate"); (challenge == "Bearer") != (resp.StatusCode == 401) {
				t.Errorf("WWW-Authenticate is %q with %d", challenge, resp.StatusCode)
			}
			if strings.Contains(body, "s-nobody") || strings.Contains(s.log.String(), "s-nobody") {
				t.Error("the secret shows")
			}
		})
	}
	if done := s.changes(); len(done) > 0 {
		t.Errorf("a refused request changed something: %v", done)
	}
}

// TestProblems is the table of what the errors of operations become.
func TestProblems(t *testing.T) {
	for _, c := range []struct {
		err  error
		want client.Error
	}{
		{&release.Refused{Rule: "ready", Reason: "api@v2 is not ready", Remedy: "wait"},
			client.Error{Status: 409, Code: "refused", Rule: "ready", Detail: "api@v2 is not ready", Remedy: "wait"}},
		{fmt.Errorf("promote: %w", release.ErrUnknown),
			client.Error{Status: 404, Code: "not-found", Detail: "promote: " + release.ErrUnknown.Error(), Remedy: "greenroom release list shows those there are"}},
		{fmt.Errorf("pass x: %w", ErrNotFound), client.Error{Status: 404, Code: "not-found", Detail: "pass x: " + ErrNotFound.Error()}},
		{ErrExists, client.Error{Status: 409, Code: "refused", Detail: ErrExists.Error(), Remedy: "choose another name"}},
		{release.ErrStale, client.Error{Status: 409, Code: "stale", Detail: "what you were shown has changed meanwhile", Remedy: "look again, then repeat it"}},
		{controller.ErrStopped, client.Error{Status: 503, Code: "stopping", Detail: controller.ErrStopped.Error(), Remedy: "start it again with greenroom up"}},
		{&InputError{Problem: "no such thing", Remedy: "name one"}, client.Error{Status: 422, Code: "input", Detail: "no such thing", Remedy: "name one"}},
		{&config.Errors{List: []*config.Error{{File: "r.yaml", Line: 3, Column: 1, Excerpt: "x", Problem: "unknown field", Hint: "did you mean y?"}}},
			client.Error{Status: 422, Code: "input", Detail: "the document is not right",
				Errors: []client.DocumentError{{File: "r.yaml", Line: 3, Column: 1, Excerpt: "x", Problem: "unknown field", Hint: "did you mean y?"}}}},
		{fmt.Errorf("the disk is full"), client.Error{Status: 500, Code: "failed", Detail: "the disk is full", Remedy: "greenroom doctor may know more"}},
	} {
		t.Run(c.want.Code+" "+c.want.Detail, func(t *testing.T) {
			s := serve(t)
			s.fail = c.err
			resp, body := s.ask(t, "POST", "/v1/releases/r1/settle", "s-admin", "")
			c.want.Title, c.want.Type = http.StatusText(c.want.Status), "urn:greenroom:api:"+c.want.Code
			if diff := cmp.Diff(c.want, problemOf(t, resp, body)); diff != "" {
				t.Errorf("the problem differs (-want +got):\n%s", diff)
			}
			if logged := strings.Contains(s.log.String(), "an operation failed"); logged != (c.want.Status == 500) {
				t.Errorf("logged: %v", logged)
			}
		})
	}
}

func TestFaultIsAnsweredAndLogged(t *testing.T) {
	s := serve(t)
	resp, body := s.ask(t, "POST", "/v1/releases/panics/promote", "s-admin", "")
	p := problemOf(t, resp, body)
	if p.Code != "failed" || strings.Contains(body, "s-admin") {
		t.Errorf("answered %s", body)
	}
	if !strings.Contains(s.log.String(), "an operation panicked") {
		t.Errorf("the log says nothing: %s", s.log)
	}
}

func TestTokenLookupFails(t *testing.T) {
	s := serve(t)
	resp, body := s.ask(t, "GET", "/v1/status", "s-broken", "")
	if p := problemOf(t, resp, body); p.Code != "failed" || strings.Contains(body+s.log.String(), "s-broken") {
		t.Errorf("answered %s, logged %s", body, s.log)
	}
}
