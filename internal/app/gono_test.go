package app_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/app"
	"github.com/greenroom-dev/greenroom/internal/config"
	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway/edge"
)

// patience is how long a test waits for what should come at once.
const patience = 2 * time.Minute

// told is a receiver of webhooks, real but for what it answers.
type told struct {
	*httptest.Server
	bodies chan string
}

func newTold(t *testing.T) *told {
	t.Helper()
	out := &told{bodies: make(chan string, 1000)}
	out.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		out.bodies <- r.Header.Get("Greenroom-Id") + " " + string(body)
	}))
	t.Cleanup(out.Close)
	return out
}

// until returns the first that says something, and how often it came by then.
func (o *told) until(t *testing.T, what string) string {
	t.Helper()
	end := time.After(patience)
	for {
		select {
		case body := <-o.bodies:
			if strings.Contains(body, what) {
				return body
			}
		case <-end:
			t.Fatalf("nobody was told of %s", what)
		}
	}
}

func answering(t *testing.T, answer string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) }))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// place is a fleet whose greenroom can be stopped and started.
type place struct {
	t        *testing.T
	state    string
	document string
	api      string
	now      func() time.Time
	app      *app.App
}

func (p *place) start() {
	p.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	f := p.resolve()
	if p.app, err = app.New(app.Options{
		State: p.state, Fleet: &f, Shim: []string{"/no/service/is/started"}, Version: "test", Who: "tester",
		Log: slog.New(slog.DiscardHandler), Listeners: edge.Listeners{Cleartext: l}, Now: p.now,
	}); err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.app.Start(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) resolve() fleet.Fleet {
	p.t.Helper()
	docs, err := config.Parse("fleet.yaml", []byte(p.document), p.state)
	if err != nil {
		p.t.Fatal(err)
	}
	f, err := config.ResolveFleet(*docs.Fleet)
	if err != nil {
		p.t.Fatal(err)
	}
	return f
}

func (p *place) stop() {
	p.t.Helper()
	if p.app == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := p.app.Stop(ctx, true); err != nil {
		p.t.Error(err)
	}
	p.app = nil
}

// as is a client with a token of a role.
func (p *place) as(ctx context.Context, name, role string) *client.Client {
	p.t.Helper()
	made, err := client.Socket(app.SocketPath(p.state)).MakeToken(ctx, client.MakeToken{Name: name, Role: role})
	if err != nil {
		p.t.Fatal(err)
	}
	c, err := client.Remote("http://"+p.api, made.Secret, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

func (p *place) phase(ctx context.Context, name, phase string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	enough := errors.New("enough")
	last := ""
	err := client.Socket(app.SocketPath(p.state)).FollowStatus(ctx, func(s client.Status) error {
		for _, r := range s.Releases {
			if r.Name == name && r.Phase == phase {
				return enough
			} else if r.Name == name {
				last = r.Phase + ": " + r.Reason
			}
		}
		return nil
	})
	if !errors.Is(err, enough) {
		p.t.Fatalf("%s never was %s, last %s: %v", name, phase, last, err)
	}
}

// ruled fails unless err is a refusal by a rule.
func ruled(t *testing.T, err error, rule string) {
	t.Helper()
	var p *client.Error
	if !errors.As(err, &p) || p.Rule != rule {
		t.Errorf("got %v, want a refusal by %s", err, rule)
	}
}

func forbidden(t *testing.T, err error) {
	t.Helper()
	var p *client.Error
	if !errors.As(err, &p) || p.Code != "forbidden" {
		t.Errorf("got %v, want forbidden", err)
	}
}

// TestGoNoGo is the whole way of a release that needs people's word, over the
// API of a real greenroom that is stopped in the middle.
func TestGoNoGo(t *testing.T) {
	ctx := t.Context()
	hook := newTold(t)
	state, err := os.MkdirTemp("", "gr") // sockets bear no long paths
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(state) })
	if err := os.WriteFile(filepath.Join(state, "hook.url"), []byte(hook.URL+"/secret-path\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	p := &place{t: t, state: state, api: l.Addr().String(), now: time.Now, document: `
apiVersion: greenroom.dev/v1alpha1
kind: Fleet
metadata: {name: small}
spec:
  edge: {listen: "127.0.0.1:8080", routes: [{service: web}]}
  api: {listen: "` + l.Addr().String() + `"}
  services: [{name: web, version: v1, endpoints: ["` + answering(t, "v1") + `"]}]
  release:
    checklist: [{name: smoke, text: log in}]
    approvals: 1
    freezes: [{name: year, from: 2020-01-01, to: 2020-12-31}]
  notify: [{name: ops, kind: webhook, urlFrom: {file: hook.url}}]
`}
	p.start()
	defer p.stop()
	tina, ann, bob := p.as(ctx, "tina", "tester"), p.as(ctx, "ann", "operator"), p.as(ctx, "bob", "operator")
	doc := func(version string) client.Open {
		return client.Open{Document: client.Document{Name: "r1.yaml", Dir: state, Data: `
apiVersion: greenroom.dev/v1alpha1
kind: Release
metadata: {name: r1}
spec:
  services: [{name: web, version: ` + version + `, endpoints: ["` + answering(t, version) + `"]}]
  checklist: [{name: gifts}]
`}}
	}
	must := func(_ client.Changed, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(ann.OpenRelease(ctx, doc("v2")))
	p.phase(ctx, "r1", "Previewing")
	_, err = ann.Promote(ctx, "r1", client.Promote{})
	ruled(t, err, "checklist")
	_, err = tina.Promote(ctx, "r1", client.Promote{})
	forbidden(t, err)
	_, err = tina.Approve(ctx, "r1", client.Approve{})
	forbidden(t, err)
	for _, item := range []string{"smoke", "gifts"} {
		must(tina.SignOff(ctx, "r1", client.Say{Item: item, Verdict: "go", Generation: 1}))
	}
	_, err = ann.Promote(ctx, "r1", client.Promote{})
	ruled(t, err, "approvals")
	must(ann.Approve(ctx, "r1", client.Approve{}))
	_, err = ann.Promote(ctx, "r1", client.Promote{})
	ruled(t, err, "approvals") // one's own does not count
	must(ann.OpenRelease(ctx, doc("v3")))
	p.phase(ctx, "r1", "Previewing")
	r, err := tina.Release(ctx, "r1")
	if err != nil || len(r.Checklist) != 2 || r.Checklist[0].State != "open" || !r.Checklist[0].SignOffs[0].Void || !r.Checklist[0].Fleet || r.Checklist[1].Fleet {
		t.Errorf("after a change: %+v, %v", r.Checklist, err)
	}
	if _, err = tina.SignOff(ctx, "r1", client.Say{Item: "smoke", Verdict: "go", Generation: 1}); err == nil {
		t.Error("signed off what it was before")
	}
	for _, item := range []string{"smoke", "gifts"} {
		must(tina.SignOff(ctx, "r1", client.Say{Item: item, Verdict: "go", Generation: 2}))
	}
	must(bob.Approve(ctx, "r1", client.Approve{Generation: 2}))
	must(bob.LockFleet(ctx, client.LockFleet{For: "1h", Asked: client.Asked{Reason: "the disk"}}))
	_, err = ann.Promote(ctx, "r1", client.Promote{})
	ruled(t, err, "lock")
	must(bob.UnlockFleet(ctx, client.UnlockFleet{}))
	hook.until(t, `"ReleaseApproved"`)

	// Planned, and greenroom is away for some of the time.
	must(ann.Promote(ctx, "r1", client.Promote{At: time.Now().Add(5 * time.Second), Generation: 2}))
	p.stop()
	p.start()
	p.phase(ctx, "r1", "Live")
	events, err := ann.Events(ctx, client.EventQuery{Kinds: []string{"ReleasePromoted"}, Who: "ann", Last: 10})
	if err != nil || len(events) != 1 {
		t.Errorf("promoted: %+v, %v", events, err)
	}
	first := hook.until(t, `"ReleasePromoted"`)
	for len(hook.bodies) > 0 {
		if body := <-hook.bodies; strings.Contains(body, `"ReleasePromoted"`) && body != first {
			t.Errorf("told otherwise: %s, then %s", first, body)
		}
	}
	told, err := ann.TestNotification(ctx, "ops", client.Asked{})
	if err != nil || !strings.Contains(told.Message, "took it") {
		t.Errorf("the trial: %+v, %v", told, err)
	}
	_, err = ann.TestNotification(ctx, "nobody", client.Asked{})
	if p := (*client.Error)(nil); !errors.As(err, &p) || p.Code != "input" {
		t.Errorf("a trial of nobody: %v", err)
	}
	hook.until(t, `"NotificationTest"`)
	for _, file := range []string{"greenroom.db", "notify.json"} {
		data, err := os.ReadFile(filepath.Join(state, file))
		if err != nil || strings.Contains(string(data), "secret-path") {
			t.Errorf("%s holds the secret, or cannot be read: %v", file, err)
		}
	}
	var csv strings.Builder
	if err := tina.ExportEvents(ctx, client.EventQuery{Kinds: []string{"ChecklistSigned"}, Release: "r1"}, "csv", &csv); err != nil || strings.Count(csv.String(), "\n") != 5 {
		t.Errorf("exported %s, %v", csv.String(), err)
	}
}

// TestFailingNotificationDelaysNothing has a receiver that hangs.
func TestFailingNotificationDelaysNothing(t *testing.T) {
	ctx := t.Context()
	hang := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else it is not seen that the client has left
		<-r.Context().Done()
	}))
	t.Cleanup(hang.Close)
	state, err := os.MkdirTemp("", "gr")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(state) })
	p := &place{t: t, state: state, now: time.Now, document: `
apiVersion: greenroom.dev/v1alpha1
kind: Fleet
metadata: {name: small}
spec:
  edge: {listen: "127.0.0.1:8080", routes: [{service: web}]}
  services: [{name: web, version: v1, endpoints: ["` + answering(t, "v1") + `"]}]
  notify:
  - {name: hangs, kind: webhook, url: "` + hang.URL + `", timeout: 1s}
  - {name: lost, kind: slack, urlFrom: {file: not-there}}
`}
	p.start()
	defer p.stop()
	c := client.Socket(app.SocketPath(state))
	if _, err := c.OpenRelease(ctx, client.Open{Document: client.Document{Name: "r1.yaml", Dir: state, Data: `
apiVersion: greenroom.dev/v1alpha1
kind: Release
metadata: {name: r1}
spec: {services: [{name: web, version: v2, endpoints: ["` + answering(t, "v2") + `"]}]}
`}}); err != nil {
		t.Fatal(err)
	}
	p.phase(ctx, "r1", "Previewing")
	if _, err := c.Promote(ctx, "r1", client.Promote{}); err != nil {
		t.Fatal(err)
	}
	// Both are seen to fail, with why.
	want := map[string]string{"hangs": "it did not answer in time", "lost": "no such file"}
	enough := errors.New("enough")
	timed, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = c.FollowStatus(timed, func(s client.Status) error {
		for _, n := range s.Notifications {
			if strings.Contains(n.Failing, want[n.Name]) && n.Failing != "" {
				delete(want, n.Name)
			}
		}
		if len(want) == 0 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Errorf("not seen: %v, %v", want, err)
	}
	findings, err := c.Doctor(ctx)
	said := 0
	for _, f := range findings {
		if f.Check == "notification" && f.Level == "problem" {
			said++
		}
	}
	if err != nil || said != 2 {
		t.Errorf("the doctor says %+v, %v", findings, err)
	}
}

// TestFleetsAppliedAtOnce is that who is told of events is who the fleet in
// force names, whichever of several that were applied at once is the last.
func TestFleetsAppliedAtOnce(t *testing.T) {
	ctx := t.Context()
	state, err := os.MkdirTemp("", "gr")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(state) })
	web := answering(t, "v1")
	document := func(name string) string {
		return `
apiVersion: greenroom.dev/v1alpha1
kind: Fleet
metadata: {name: small}
spec:
  edge: {listen: "127.0.0.1:8080", routes: [{service: web}]}
  services: [{name: web, version: v1, endpoints: ["` + web + `"]}]
  notify: [{name: ` + name + `, kind: slack, urlFrom: {file: not-there}}]
`
	}
	p := &place{t: t, state: state, now: time.Now, document: document("first")}
	p.start()
	defer p.stop()
	c := client.Socket(app.SocketPath(state))
	for round := range 20 {
		var work sync.WaitGroup
		for one := range 4 {
			name := fmt.Sprintf("n-%d-%d", round, one)
			work.Go(func() {
				if _, err := c.ApplyFleet(ctx, client.FleetApply{Document: client.Document{Name: "fleet.yaml", Dir: state, Data: document(name)}}); err != nil {
					t.Errorf("apply: %v", err)
				}
			})
		}
		work.Wait()
		f, err := c.Fleet(ctx)
		if err != nil {
			t.Fatal(err)
		}
		told, err := c.Notifications(ctx)
		if err != nil || len(told) != 1 || !strings.Contains(f.Document, "name: "+told[0].Name+"\n") {
			t.Fatalf("told is %+v (%v), by the fleet\n%s", told, err, f.Document)
		}
	}
}
