//go:build e2e

package browser

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/test/browser/harness"
)

// TestLostConnection ends greenroom under an open page, which says so, and goes
// on by itself when greenroom is back: with what it did meanwhile, and without
// being loaded again.
func TestLostConnection(t *testing.T) {
	g := harness.Start(t, fmt.Sprintf(`apiVersion: greenroom.dev/v1alpha1
kind: Fleet
metadata: {name: shop}
spec:
  edge: {listen: "EDGE"}
  api: {listen: "API"}
  services:
  - {name: web, version: v1, endpoints: [%q], health: {path: /healthz}}
`, site(t, "v1", nil)))
	g.Open("r42", fmt.Sprintf("  services: [{name: web, version: v2, endpoints: [%q]}]\n", site(t, "v2", nil)))
	dashboard, _, _ := strings.Cut(g.CLI("dashboard"), "/login#")
	token := regexp.MustCompile(`grt_[-\w]+`).FindString(g.CLI("token", "create", "ann", "--role", "operator"))
	logIn := func() *harness.Browser { // by a token: a session by a link ends with greenroom
		b := harness.Open(t, harness.Profile{})
		b.Visit(dashboard)
		b.Fill("API token", token)
		b.Click("Log in")
		return b
	}
	release := logIn()
	release.Click("r42 Previewing")
	release.Shows("Holders of a pass see it")
	events := logIn()
	events.Click("Events")
	events.Shows("ReleasePreviewing")
	open := []*harness.Browser{release, events}
	for _, b := range open {
		b.Allow("[object Event]")
		harness.Value[bool](b, `(() => {
			window.said = [];
			const hint = document.getElementById('link');
			new MutationObserver(() => window.said.push(hint.innerText)).observe(hint, {childList: true, characterData: true, subtree: true});
			return true;
		})()`)
	}

	g.Kill()
	for _, b := range open {
		b.Shows("The connection is lost. What you see may be old.", "Serving baseline (web v1)")
	}
	g.Up()
	g.CLI("promote", "r42", "--yes", "--reason", "while nobody looked")
	release.Shows("Serving r42, can be rolled back until", "Everybody gets it")
	events.Shows("Serving r42, can be rolled back until", "ReleasePromoted", "while nobody looked")
	for _, b := range open {
		said := harness.Value[[]string](b, `window.said || ['the page was loaded again']`)
		if len(said) < 2 || !strings.Contains(strings.Join(said, "\n"), "Connected again.") {
			t.Errorf("the page said %q", said)
		}
		harness.Eventually(t, "the page is silent again", func() error {
			if now := harness.Value[string](b, `document.getElementById('link').innerText`); now != "" {
				return fmt.Errorf("it says %q", now)
			}
			return nil
		})
	}
	if n := harness.Value[float64](events, `document.querySelectorAll('main tr[id]').length - new Set([...document.querySelectorAll('main tr[id]')].map((e) => e.id)).size`); n != 0 {
		t.Errorf("%v events are shown twice", n)
	}

	// And it works on: what is done next is told by the stream.
	g.CLI("rollback", "r42", "--yes", "--reason", "the colour")
	for _, b := range open {
		b.Shows("Serving baseline (web v1)", "the colour")
	}
}
