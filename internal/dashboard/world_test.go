package dashboard

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/config"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/login"
	"github.com/greenroom-dev/greenroom/internal/release"
	"github.com/greenroom-dev/greenroom/internal/signon"
)

// world is a fleet for tests in which only the pages matter. What it does not
// answer panics, and the API says so.
type world struct {
	httpapi.Operations
	mu      sync.Mutex
	status  client.Status
	flow    client.Flow
	events  []client.Event
	changed chan struct{}
	tokens  map[string]string // role by secret; the name is the role's
	did     []string
	later   bool // what is opened is there later
}

func newWorld() *world {
	at := time.Date(2026, 11, 25, 15, 0, 0, 0, time.UTC)
	w := &world{changed: make(chan struct{}), tokens: map[string]string{"s-viewer": "viewer", "s-tester": "tester", "s-operator": "operator", "s-admin": "admin"}}
	version := func(service, name string, serving bool, releases ...string) client.Version {
		return client.Version{ID: service + "@" + name, Name: name, Service: service, Serving: serving, Releases: releases, Runs: "./bin/" + service + " --version " + name,
			State: "ready", Ready: 1, Wanted: 1, Instances: []client.Instance{{ID: "i1", State: "ready", Health: "fine"}}}
	}
	w.status = client.Status{
		Fleet: "live", Version: "test", Now: at, Serving: client.Serving{Release: "r41", Stamp: "r41", Until: at.Add(time.Hour), Before: "baseline", NamedBefore: "baseline (web v0, wallet v1)"},
		Services: []client.Service{
			{Name: "web", Protocol: "http", Versions: []client.Version{version("web", "v1", true), version("web", "v2", false, "r42")}},
			{Name: "wallet", Protocol: "grpc", Versions: []client.Version{version("wallet", "v1", true)}},
		},
		Releases: []client.Release{
			{Name: "r42", Phase: "Previewing", Description: "Gifts", Generation: 3, Changes: []client.ReleaseChange{{Service: "web", From: "v1", To: "v2", Serving: "v1", Fields: []client.FieldDiff{{Field: "run.command", From: "a", To: "b"}}}},
				Checks:    []client.Check{{Rule: "ready", OK: true, Detail: "all are ready"}, {Rule: "stamps", Detail: "web drops stamps", Remedy: "pass them on"}},
				Checklist: []client.ChecklistItem{{Name: "look", Text: "Look at it", State: "go", SignOffs: []client.SignOff{{Who: "ann", Verdict: "go", At: at, Note: "fine"}}}},
				Approvals: []client.Approval{{Who: "bob", At: at}}, ApprovalsNeeded: 1, Hooks: []client.Hook{{Moment: "verify", Name: "smoke", State: "failed", Output: "no"}},
				Planned: &client.Planned{For: at, Who: "ann"}, Rolled: &client.RolledBack{At: at, Who: "eve", Why: "the colour"}},
			{Name: "r41", Phase: "Live", Before: "baseline", WindowEnds: at.Add(time.Hour), Changes: []client.ReleaseChange{{Service: "web", From: "v0", To: "v1", Serving: "v1"}}},
		},
		Dropped:  []client.Drop{{Caller: "web@v2", Callee: "wallet", Release: "r42", Reason: "unstamped", Count: 3}},
		Warnings: []string{"something"}, Hold: &client.Hold{On: true, Mode: "wait", Until: at, Countable: true},
		Lock: &client.Lock{Who: "bob", Until: at}, Freezes: []client.Freeze{{Name: "friday", From: at, To: at.Add(time.Hour), Holds: true}},
		Notifications: []client.Notification{{Name: "chat", Kind: "slack", To: "example.com", Failing: "refused", Waiting: 2}},
	}
	w.flow = client.Flow{At: at, Every: 2, Series: []client.FlowSeries{
		{Service: "web", Release: "r41", Requests: []float64{12}, Failed: []float64{.01}, P50: []float64{.002}, P99: []float64{.05}},
	}, Calls: []client.FlowCall{{Caller: "web@v1", Callee: "wallet", Count: 9}}}
	w.events = []client.Event{{Seq: 1, Time: at, Type: "ReleaseOpened", Release: "r42", Who: "ann", Message: "opened"}}
	return w
}

func (w *world) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	w.status.Revision++
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *world) done(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.did = append(w.did, what)
}

func (w *world) Status(context.Context) (client.Status, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.status
	s.Releases = slices.Clone(s.Releases) // pages look at it while the world changes
	return s, nil
}

func (w *world) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

func (w *world) Flow(context.Context, int) (client.Flow, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flow, nil
}

func (w *world) Fleet(context.Context) (client.Fleet, error) {
	return client.Fleet{Name: "live", Document: "kind: Fleet\n", Routes: []client.Route{{Service: "web"}}}, nil
}

func (w *world) Events(_ context.Context, q httpapi.EventQuery) ([]client.Event, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []client.Event
	for _, e := range w.events {
		if e.Seq > q.After && (q.Before == 0 || e.Seq < q.Before) && (q.Release == "" || q.Release == e.Release) {
			out = append(out, e)
		}
	}
	if q.Tail {
		return out[max(0, len(out)-q.Limit):], nil
	}
	return out[:min(q.Limit, len(out))], nil
}

func (w *world) Releases(ctx context.Context) ([]client.Release, error) {
	s, err := w.Status(ctx)
	return s.Releases, err
}

func (w *world) Release(ctx context.Context, name string) (client.Release, error) {
	s, err := w.Status(ctx)
	for _, r := range s.Releases {
		if r.Name == name {
			return r, err
		}
	}
	return client.Release{}, release.ErrUnknown
}

func (w *world) Passes(context.Context) ([]client.Pass, error) {
	return []client.Pass{{ID: "P1", Kind: "pass", Release: "r42", Subject: "ann", State: "valid", Paths: []string{"/shop"}}, {ID: "P2", Kind: "callback", Live: true, Subject: "bank", State: "expired", Count: 3}}, nil
}

func (w *world) Tokens(context.Context) ([]client.Token, error) {
	return []client.Token{{ID: "T1", Name: "ci", Role: "operator"}}, nil
}

func (w *world) Hold(context.Context) (client.Hold, error) { return *w.status.Hold, nil }

func (w *world) Logs(_ context.Context, _ httpapi.LogQuery, each func(client.LogLine) error) error {
	return each(client.LogLine{Version: "web@v1", Line: "hello <b>"})
}

func (w *world) Promote(_ context.Context, who, name string, in client.Promote) (client.Changed, error) {
	if !in.DryRun {
		w.done(who + " promote " + name + " " + in.Reason)
	}
	if !in.AllowUnstamped {
		return client.Changed{}, &release.Refused{Rule: "stamps", Reason: "web drops stamps", Remedy: "pass them on"}
	}
	return client.Changed{Changed: true, Message: name + " serves"}, nil
}

// OpenRelease is called r42 by a document, and refuses versions that say bad.
func (w *world) OpenRelease(_ context.Context, who string, in client.Open) (client.Changed, error) {
	name := in.Document.Name
	if in.Document.Data != "" {
		name = "r42"
	}
	bad := &config.Errors{}
	for i, line := range strings.Split(in.Document.Data, "\n") {
		if strings.Contains(line, "bad") {
			bad.List = append(bad.List, &config.Error{File: in.Document.Name, Line: i + 1, Column: 3, Excerpt: line, Problem: "it is bad", Hint: "write good"})
		}
	}
	for _, set := range in.Document.Sets {
		if strings.Contains(set, "bad") {
			bad.List = append(bad.List, &config.Error{File: "--set " + set, Problem: "it is bad", Hint: "write good"})
		}
	}
	if strings.ToLower(name) != name {
		bad.List = append(bad.List, &config.Error{File: "release " + name, Problem: "that is no name", Hint: "use lower-case letters"})
	}
	if len(bad.List) > 0 {
		return client.Changed{}, bad
	}
	if !in.DryRun {
		w.done(strings.Join(append([]string{who, "open", name, in.Reason}, in.Document.Sets...), " ") + in.Document.Data)
	}
	shown := client.Release{Name: name, Changes: []client.ReleaseChange{{Service: "web", Serving: "v1", To: "v3"}}}
	if w.later && !in.DryRun {
		return client.Changed{Changed: true, Message: name + " is made"}, nil
	}
	return client.Changed{Message: name + " would be opened", Release: &shown}, nil
}

func (w *world) Rollback(_ context.Context, who, name string, in client.Asked) (client.Changed, error) {
	if !in.DryRun {
		w.done(who + " rollback " + name + " " + in.Reason)
	}
	return client.Changed{Message: "baseline (web v0, wallet v1) would serve"}, nil
}

func (w *world) Settle(ctx context.Context, who, name string, in client.Asked) (client.Changed, error) {
	return w.Rollback(ctx, who, name, in)
}

func (w *world) Abort(ctx context.Context, who, name string, in client.Asked) (client.Changed, error) {
	return w.Rollback(ctx, who, name, in)
}

func (w *world) Rebase(ctx context.Context, who, name string, in client.Asked) (client.Changed, error) {
	return w.Rollback(ctx, who, name, in)
}

func (w *world) Revert(ctx context.Context, who, name string, in client.Revert) (client.Changed, error) {
	return w.Rollback(ctx, who, name, in.Asked)
}

func (w *world) MintPass(_ context.Context, who string, in client.MintPass) (client.MintedPass, error) {
	w.done(who + " pass " + in.Release + " " + in.Subject)
	return client.MintedPass{Pass: client.Pass{ID: "P3", Subject: in.Subject}, Token: "tok", Link: "http://e/.greenroom/pass#tok", Header: "Greenroom-Pass: tok"}, nil
}

func (w *world) MakeToken(_ context.Context, who string, in client.MakeToken) (client.MadeToken, error) {
	w.done(who + " token " + in.Name)
	return client.MadeToken{Token: client.Token{Name: in.Name, Role: in.Role}, Secret: "grt_secret"}, nil
}

func (w *world) Token(_ context.Context, secret string) (string, string, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	role, ok := w.tokens[secret]
	return role, role, ok, nil
}

// site is a dashboard over a world.
type site struct {
	*world
	t     *testing.T
	d     *Dashboard
	url   string
	log   *lockedBuffer
	notes []client.Event
	links *login.Links
	on    *signon.Provider
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func open(t *testing.T, base string) *site {
	t.Helper()
	s := &site{world: newWorld(), t: t, log: &lockedBuffer{}, links: login.NewLinks(time.Now)}
	log := slog.New(slog.NewTextHandler(s.log, nil))
	access := httpapi.ByRole(s.world)
	api := httpapi.New(httpapi.Options{Operations: s.world, Access: access, Version: "test", Now: time.Now, Log: log,
		Pages: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.d.ServeHTTP(w, r) })})
	var err error
	if s.on, err = signon.New(time.Now); err != nil {
		t.Fatal(err)
	}
	s.d, err = New(Options{API: api.As, Access: access, Look: s.world, Sessions: login.NewSessions(login.NewMemory(time.Now), access, s.on, time.Now),
		Links: s.links, SignOn: s.on, Base: base, Hint: "hint.token", Version: "test", Log: log, Now: time.Now,
		Note: func(_ context.Context, e client.Event) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.notes = append(s.notes, e)
			return nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(base+"/", http.StripPrefix(base, api))
	server := httptest.NewServer(mux)
	s.url = server.URL + base
	t.Cleanup(func() { s.d.Close(); server.Close() })
	return s
}

// browser has cookies, and follows no redirects.
func (s *site) browser() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// loggedIn is a browser with the session of a token.
func (s *site) loggedIn(secret string) *http.Client {
	s.t.Helper()
	c := s.browser()
	resp, body := s.post(c, "/login", url.Values{"token": {secret}})
	if resp.StatusCode != http.StatusSeeOther {
		s.t.Fatalf("login: %s %s", resp.Status, body)
	}
	return c
}

func (s *site) get(c *http.Client, path string, header ...string) (*http.Response, string) {
	s.t.Helper()
	return s.do(c, "GET", path, nil, header...)
}

func (s *site) post(c *http.Client, path string, form url.Values, header ...string) (*http.Response, string) {
	s.t.Helper()
	return s.do(c, "POST", path, strings.NewReader(form.Encode()), append(header, "Content-Type", "application/x-www-form-urlencoded")...)
}

func (s *site) do(c *http.Client, method, path string, body io.Reader, header ...string) (*http.Response, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp, string(data)
}
