//go:build e2e

package browser

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/examples/live"
	"github.com/greenroom-dev/greenroom/test/browser/harness"
)

// users send a little traffic to a demo's edge until the test ends.
func users(t *testing.T, edge string) {
	t.Helper()
	stop := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() {
		tick := time.NewTicker(40 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			path := []string{"/", "/api/gifts", "/", "/api/rooms"}[i%4]
			if resp, err := http.Get(edge + path); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			if i%5 == 0 {
				if resp, err := http.Post(edge+"/api/gift", "application/json", strings.NewReader(`{"room":"main","from":"ann","gift":"rose"}`)); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
			}
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	})
	t.Cleanup(func() { close(stop); work.Wait() })
}

// running is what serves, by service, as one would type it.
func running(t *testing.T, d *harness.Demo) map[string]string {
	t.Helper()
	status, err := d.API.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, s := range status.Services {
		out[s.Name] = s.Versions[0].Runs
	}
	return out
}

// TestDashboardStory is a release in the dashboard alone: opened, looked at by
// the pass's link, promoted, rolled back.
func TestDashboardStory(t *testing.T) {
	d := harness.StartDemo(t)
	users(t, d.URL)
	b := harness.Open(t, harness.Profile{})
	b.Visit(d.Login)
	b.Shows("Serving baseline (api v1,", "Services", "wallet")
	if at := b.URL(); strings.Contains(at, "#") {
		t.Errorf("the login's code stays in the address: %s", at)
	}
	b.Click("Open a release")
	b.Fill("Name of the release", "r2")
	serving := running(t, d)
	for _, service := range live.Changed() {
		b.Fill(service, strings.Replace(serving[service], "--version v1", "--version v2", 1))
	}
	harness.Value[bool](b, `(scrollTo(0, 0), document.activeElement.blur(), true)`) // for the picture
	b.Shot("dashboard-open")
	b.Click("Open the release")
	b.Shows("Holders of a pass see it", "What a promotion changes")

	b.Click("New pass")
	b.Fill("For whom", "ann")
	b.Click("New pass") // the dialog's, which is last
	b.Shows("A pass for ann")
	link := harness.Value[string](b, `[...document.querySelectorAll('label')].find((l) => l.innerText === 'Link').control.value`)
	b.Shot("dashboard-pass")
	b.Keys("\x1b")
	holder := harness.Open(t, harness.Profile{})
	holder.Visit(link)
	holder.Shows("You are looking at r2")

	b.Click("Promote")
	b.Shows("Ordinary requests get r2 instead of baseline (api v1,")
	b.Shot("dashboard-promote")
	b.Fill("Reason", "looks good")
	b.Fill("Type r2 to confirm", "r2")
	b.Click("Promote r2")
	b.Shows("Serving r2, can be rolled back until", "before it baseline (api v1,", "Roll back")
	b.Shot("dashboard-live")
	b.Click("Roll back")
	b.Fill("Reason", "the colour")
	b.Fill("Type r2 to confirm", "r2")
	b.Click("Roll back r2")
	b.Shows("Serving baseline", "Rolled back at", "the colour")
	b.Click("Events")
	b.Shows("ReleasePromoted", "ReleaseRolledBack", "the colour", "LoggedIn")
}

// TestDashboardPages has every page looked at by axe-core, in light and dark, on
// a phone, and in Japanese.
func TestDashboardPages(t *testing.T) {
	d := harness.StartDemo(t)
	users(t, d.URL)
	d.CLI("release", "open", "-f", d.Release)
	d.CLI("pass", "create", "r2", "--to", "ann")
	d.CLI("token", "create", "ci", "--role", "operator")
	harness.Eventually(t, "some traffic was measured", func() error {
		f, err := d.API.Flow(t.Context(), 3)
		if err == nil && len(f.Series) < 3 {
			err = fmt.Errorf("only %d series", len(f.Series))
		}
		return err
	})
	for _, p := range []struct {
		name    string
		profile harness.Profile
	}{
		{"light", harness.Profile{}},
		{"dark", harness.Profile{Dark: true}},
		{"phone", harness.Profile{Phone: true}},
		{"ja", harness.Profile{Language: "ja", Dark: true}},
	} {
		t.Run(p.name, func(t *testing.T) {
			b := harness.Open(t, p.profile)
			b.Visit(d.Dashboard + "/login")
			b.Accessible("login")
			b.Shot("login-" + p.name)
			b.Visit(strings.TrimSpace(d.CLI("dashboard")))
			b.Shows("wallet")
			for _, page := range []string{"/", "/open", "/releases", "/releases/r2", "/releases/r2/promote", "/passes", "/passes/new", "/events", "/settings", "/settings/tokens/new", "/hold", "/nothing"} {
				b.Visit(d.Dashboard + page)
				b.Shows("baseline")
				b.Accessible(page)
				b.Shot(strings.Trim(strings.ReplaceAll(page, "/", "-"), "-") + "_" + p.name)
			}
		})
	}
}
