package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/client"
)

// actions is what every operation asks to do. An operation that is not in it
// fails the test, so that nobody forgets to decide.
var actions = map[string]Action{
	"get-whoami": Look, "get-status": Look, "get-status-stream": Look, "get-doctor": Diagnose,
	"get-flow": Look, "get-flow-stream": Look, "get-fleet": Look, "get-releases": Look, "get-releases-name": Look,
	"get-events": Look, "get-events-stream": Look, "get-services-service-logs": ReadLogs, "get-passes": ListPasses,
	"post-passes": MintPass, "post-callbacks": MintPass, "post-passes-id-revoke": RevokePass,
	"post-fleet": ApplyFleet, "post-releases": Open, "post-releases-name-rebase": Rebase,
	"post-releases-name-verify": Verify, "post-releases-name-promote": Promote, "post-releases-name-rollback": Rollback,
	"post-releases-name-revert": Revert, "post-releases-name-settle": Settle, "post-releases-name-abort": Abort,
	"get-hold": Look, "post-hold": Hold, "post-hold-off": Hold,
	"get-events-export": Look, "get-notifications": Look, "post-notifications-notification-test": Notify,
	"post-releases-name-cancel-promotion": Promote, "post-releases-name-sign-off": SignOff, "post-releases-name-approve": Approve,
	"post-fleet-lock": Lock, "post-fleet-unlock": Lock,
	"post-logins": MakeLogin, "get-tokens": ListTokens, "post-tokens": MakeToken, "post-tokens-id-revoke": RevokeToken, "post-shutdown": ShutDown,
}

// strict knows everybody, allows what it is told to, and says what it was asked.
type strict struct{ allowed Action }

func (strict) Holder(_ context.Context, token string) (Identity, error) {
	if token == "bad" {
		return Identity{}, &DeniedError{Anonymous: true, Problem: "the cluster does not know the token", Remedy: "log in"}
	}
	return Identity{Name: token, Via: "token", Detail: "of " + token}, nil
}

func (s strict) Allowed(_ context.Context, who Identity, what Request) error {
	if what.Action == s.allowed {
		return nil
	}
	detail, _ := who.Detail.(string)
	return &DeniedError{Problem: strings.Join([]string{who.Name, detail, string(what.Action), what.Release}, ":")}
}

// mounted serves a fleet's API below a prefix, as a part of another server.
func mounted(t *testing.T, a Access) (url string, w *world) {
	t.Helper()
	w = newWorld()
	s := New(Options{Operations: w, Access: a, Version: "test", Now: time.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	mux := http.NewServeMux()
	mux.Handle("/fleets/shop/live/", http.StripPrefix("/fleets/shop/live", s))
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		_ = s.Shutdown(t.Context())
		server.Close()
	})
	return server.URL + "/fleets/shop/live", w
}

func TestEveryRouteNamesItsAction(t *testing.T) {
	text, err := newServer(newWorld(), io.Discard).OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	var d apiDescription
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	url, w := mounted(t, strict{})
	api := &trial{url: url, world: w}
	seen := map[Action]bool{Override: true} // asked besides, see TestOverridesAreAskedBesides
	for path, operations := range d.Paths {
		for method, op := range operations {
			action, decided := actions[op.OperationID]
			if !decided {
				t.Errorf("nobody decided what %s asks to do", op.OperationID)
			}
			seen[action] = true
			want := "ann:of ann:" + string(action) + ":"
			if strings.Contains(path, "{name}") {
				want += "r1"
			}
			path := strings.NewReplacer("{name}", "r1", "{id}", "x", "{service}", "api", "{notification}", "ops").Replace(path)
			resp, body := api.ask(t, strings.ToUpper(method), path, "ann", "")
			if p := problemOf(t, resp, body); resp.StatusCode != http.StatusForbidden || p.Detail != want {
				t.Errorf("%s: %s %q, want %q", op.OperationID, resp.Status, p.Detail, want)
			}
		}
	}
	for _, a := range Actions() {
		if !seen[a] {
			t.Errorf("no route asks to %s", a)
		}
	}
	if done := w.changes(); len(done) > 0 {
		t.Errorf("what was denied was done: %v", done)
	}
}

func TestBelowAPrefix(t *testing.T) {
	url, w := mounted(t, strict{allowed: Promote})
	c, err := client.Remote(url+"/", "ann", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Promote(t.Context(), "r1", client.Promote{}); err != nil {
		t.Error(err)
	}
	if done := w.changes(); len(done) != 1 || done[0] != "ann promote r1" {
		t.Errorf("done: %v", done)
	}
	resp, body := (&trial{url: url}).ask(t, "GET", "/v1/status", "bad", "")
	if p := problemOf(t, resp, body); resp.StatusCode != http.StatusUnauthorized || p.Remedy != "log in" || resp.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("a token of nobody: %s %+v", resp.Status, p)
	}
}

// but allows everything except one action.
type but struct {
	strict
	denied Action
}

func (b but) Allowed(_ context.Context, _ Identity, what Request) error {
	if what.Action == b.denied {
		return &DeniedError{Problem: "may not " + string(what.Action) + " " + what.Release}
	}
	return nil
}

func TestOverridesAreAskedBesides(t *testing.T) {
	for _, c := range []struct{ path, body, want string }{
		{"/v1/releases/r1/promote", `{"overrideChecklist":true}`, "may not override r1"},
		{"/v1/releases/r1/promote", `{"overrideFreezes":["weekend"]}`, "may not override r1"},
		{"/v1/releases/r1/promote", `{"at":"2030-01-01T00:00:00Z","overrideFreezes":["weekend"]}`, "may not override r1"},
		{"/v1/releases/r1/promote", `{"allowUnstamped":true}`, ""},
		{"/v1/fleet/unlock", `{"override":true}`, "may not override "},
		{"/v1/fleet/unlock", `{}`, ""},
	} {
		url, w := mounted(t, but{denied: Override})
		resp, body := (&trial{url: url}).ask(t, "POST", c.path, "ann", c.body)
		if c.want == "" {
			if resp.StatusCode != http.StatusOK || len(w.changes()) != 1 {
				t.Errorf("%s %s: %s %s", c.path, c.body, resp.Status, body)
			}
			continue
		}
		if p := problemOf(t, resp, body); resp.StatusCode != http.StatusForbidden || p.Detail != c.want {
			t.Errorf("%s %s: %s %q", c.path, c.body, resp.Status, p.Detail)
		}
		if done := w.changes(); len(done) > 0 {
			t.Errorf("%s %s: what was denied was done: %v", c.path, c.body, done)
		}
	}
}
