package app

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/config"
	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// clock is a time that the test sets forward.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) forward(d time.Duration) { c.ahead.Add(int64(d)) }

// answering is the address of a server that answers with a text.
func answering(t testing.TB, text string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// embedded is a whole greenroom in this process with a service named by
// endpoints, and with a clock of the test's own.
func embedded(t *testing.T, c *clock, edge string) (*App, *client.Client) {
	t.Helper()
	dir, err := os.MkdirTemp("", "gr") // sockets have short paths
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	a, err := New(Options{
		State: dir, Fleet: fleetFrom(t, edge, answering(t, "v1")), Shim: []string{"/bin/false"}, Version: "test", Who: "test",
		Log: slog.New(slog.DiscardHandler), Now: c.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Stop(context.Background(), false); err != nil {
			t.Error(err)
		}
	})
	if notes, err := a.Start(t.Context()); err != nil || len(notes) > 0 {
		t.Fatal(err, notes)
	}
	return a, client.Socket(SocketPath(dir))
}

func fleetFrom(t *testing.T, edge, endpoint string) *fleet.Fleet {
	t.Helper()
	docs, err := config.Parse("greenroom.yaml", []byte(`apiVersion: greenroom.dev/v1alpha1
kind: Fleet
metadata: {name: live}
spec:
  edge: {listen: "127.0.0.1:0"`+edge+`}
  services: [{name: web, version: v1, endpoints: ["`+endpoint+`"], health: {interval: 100ms}}]
`), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f, err := config.ResolveFleet(*docs.Fleet)
	if err != nil {
		t.Fatal(err)
	}
	return &f
}

// open opens a release r1 that answers v2, and waits until it previews.
func open(t *testing.T, api *client.Client) {
	t.Helper()
	document := client.Document{Name: "r1.yaml", Dir: t.TempDir(), Data: `apiVersion: greenroom.dev/v1alpha1
kind: Release
metadata: {name: r1}
spec:
  rollbackWindow: 1h
  services: [{name: web, version: v2, endpoints: ["` + answering(t, "v2") + `"]}]
`}
	if _, err := api.OpenRelease(t.Context(), client.Open{Document: document}); err != nil {
		t.Fatal(err)
	}
	awaitRelease(t, api, "Previewing")
}

func awaitRelease(t *testing.T, api *client.Client, phase string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for over := time.After(time.Minute); ; {
		r, err := api.Release(t.Context(), "r1")
		if err == nil && r.Phase == phase {
			return
		}
		select {
		case <-tick.C:
		case <-over:
			t.Fatalf("r1 is %s, not %s: %s, %v", r.Phase, phase, r.Reason, err)
		}
	}
}

// ask sends a request with a header.
func ask(t *testing.T, a *App, name, value string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.EdgeURL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(name, value)
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body), resp.Header
}

func TestExpiredPassIsTurnedAway(t *testing.T) {
	c := &clock{}
	a, api := embedded(t, c, "")
	open(t, api)
	p, err := api.MintPass(t.Context(), client.MintPass{Release: "r1", For: "10m"})
	if err != nil {
		t.Fatal(err)
	}
	for _, carrier := range [][2]string{{"Greenroom-Pass", p.Token}, {"Cookie", "greenroom_pass=" + p.Token}} {
		if status, body, _ := ask(t, a, carrier[0], carrier[1]); status != 200 || body != "v2" {
			t.Errorf("%s: answered %d %q", carrier[0], status, body)
		}
	}
	c.forward(11 * time.Minute)
	for _, carrier := range [][2]string{{"Greenroom-Pass", p.Token}, {"Cookie", "greenroom_pass=" + p.Token}} {
		if status, body, header := ask(t, a, carrier[0], carrier[1]); status != 403 || header.Get("X-Greenroom-Error") != "pass-expired" {
			t.Errorf("%s: answered %d %q", carrier[0], status, body)
		}
	}
	if status, body, _ := ask(t, a, "Accept", "*/*"); status != 200 || body != "v1" {
		t.Errorf("without it: answered %d %q", status, body)
	}
	passes, err := api.Passes(t.Context())
	if err != nil || len(passes) != 1 || passes[0].State != "expired" {
		t.Errorf("it is listed as %+v, %v", passes, err)
	}
}

// Passes do not pile up in a greenroom that runs on and on.
func TestPassesThatExpiredLongAgoAreForgotten(t *testing.T) {
	c := &clock{}
	_, api := embedded(t, c, "")
	open(t, api)
	mint := func() string {
		p, err := api.MintPass(t.Context(), client.MintPass{Release: "r1", For: "10m"})
		if err != nil {
			t.Fatal(err)
		}
		return p.ID
	}
	mint()
	c.forward(29 * 24 * time.Hour)
	kept := mint()
	c.forward(2 * 24 * time.Hour)
	last := mint()
	passes, err := api.Passes(t.Context())
	if err != nil || len(passes) != 2 || passes[0].ID != last || passes[1].ID != kept {
		t.Errorf("listed are %+v, %v; want %s and %s", passes, err, last, kept)
	}
}

// A pinned session ends with the pin time, long before the rollback window.
func TestSessionPinEnds(t *testing.T) {
	c := &clock{}
	a, api := embedded(t, c, ", sessionPinning: 10m")
	open(t, api)
	if _, err := api.Promote(t.Context(), "r1", client.Promote{}); err != nil {
		t.Fatal(err)
	}
	const session = "greenroom_session=baseline"
	if _, body, _ := ask(t, a, "Cookie", session); body != "v1" {
		t.Errorf("a session from before the promotion is answered %q", body)
	}
	c.forward(11 * time.Minute)
	if _, body, _ := ask(t, a, "Cookie", session); body != "v2" {
		t.Errorf("after the pin time it is answered %q", body)
	}
}

// The rollback window ends by the clock, and what follows needs nobody.
func TestRollbackWindowEnds(t *testing.T) {
	c := &clock{}
	a, api := embedded(t, c, "")
	open(t, api)
	if _, err := api.Promote(t.Context(), "r1", client.Promote{}); err != nil {
		t.Fatal(err)
	}
	c.forward(61 * time.Minute)
	awaitRelease(t, api, "Settling")
	if _, err := api.Rollback(t.Context(), "r1", client.Asked{}); err == nil {
		t.Error("it was rolled back after its window")
	}
	c.forward(10 * time.Minute)
	awaitRelease(t, api, "Settled")
	if _, body, _ := ask(t, a, "Accept", "*/*"); body != "v2" {
		t.Errorf("answered %q", body)
	}
}
