//go:build e2e

package browser

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/internal/signon/signontest"
	"github.com/greenroom-dev/greenroom/test/browser/harness"
)

// provided is a Fleet whose people a provider logs in.
func provided(api, issuer, web, roles string) string {
	return fmt.Sprintf(`apiVersion: greenroom.dev/v1alpha1
kind: Fleet
metadata: {name: shop}
spec:
  edge: {listen: "127.0.0.1:0"}
  api:
    listen: %q
    oidc:
      issuer: %s
      name: Example ID
      clientId: %s
      clientSecretFrom: {file: oidc.secret}
      roles: %s
  services:
  - {name: web, version: v1, endpoints: [%q], health: {path: /healthz}}
`, api, issuer, signontest.ClientID, roles, web)
}

// buttons are the texts of what can be clicked on a page.
func buttons(b *harness.Browser) []string {
	return strings.Split(harness.Value[string](b, `[...document.querySelectorAll('button, a.button')].filter((e) => e.getClientRects().length).map((e) => e.innerText.trim()).join('\n')`), "\n")
}

func has(list []string, one string) bool {
	for _, s := range list {
		if s == one {
			return true
		}
	}
	return false
}

// promote asks as a page's script would, whatever buttons there are.
const promote = `window.answer = 0, fetch('/releases/r42/promote', {method: 'POST', headers: {'HX-Request': 'true', 'Content-Type': 'application/x-www-form-urlencoded'}, body: 'confirm=r42'}).then((r) => { window.answer = r.status }), true`

// TestLogInByProvider has people log in to the dashboard by a real provider. What
// they may do is what their groups say, until the Fleet says otherwise.
func TestLogInByProvider(t *testing.T) {
	api := harness.FreeAddress(t)
	dashboard := "http://" + api
	idp := signontest.Start(t, map[string][]string{"ann": {"managers"}, "bob": {"staff"}, "eve": {"guests"}}, dashboard+"/login/callback")
	web := site(t, "v1", nil)
	g := harness.StartWith(t, map[string]string{"oidc.secret": signontest.ClientSecret + "\n"},
		provided(api, idp.URL, web, "{viewer: [staff], operator: [managers]}"))
	g.Open("r42", fmt.Sprintf("  services: [{name: web, version: v2, endpoints: [%q]}]\n", site(t, "v2", nil)))

	logIn := func(user, to string) *harness.Browser {
		t.Helper()
		b := harness.Open(t, harness.Profile{})
		b.Visit(dashboard + to)
		b.Shows("API token")
		b.Click("Log in with Example ID")
		b.Shows("Username")
		harness.Value[bool](b, fmt.Sprintf(`(() => { document.getElementById('username').value = %q; document.getElementById('password').value = %q; document.forms[0].submit(); return true })()`, user, signontest.Password))
		return b
	}
	asks := func(b *harness.Browser) int {
		t.Helper()
		harness.Value[bool](b, promote)
		var status int
		harness.Eventually(t, "the dashboard answers", func() error {
			if status = harness.Value[int](b, `window.answer || 0`); status == 0 {
				return fmt.Errorf("it does not")
			}
			return nil
		})
		return status
	}

	bob := logIn("bob", "/releases/r42")
	bob.Shows("bob@example.com viewer", "Holders of a pass see it")
	if all := buttons(bob); has(all, "Promote") || !has(all, "Log out") {
		t.Errorf("a viewer is shown %q", all)
	}
	if status := asks(bob); status != http.StatusForbidden {
		t.Errorf("a viewer who promotes is answered %d", status)
	}

	ann := logIn("ann", "/releases/r42")
	ann.Shows("ann@example.com operator", "Holders of a pass see it")
	if all := buttons(ann); !has(all, "Promote") {
		t.Errorf("an operator is shown %q", all)
	}
	if at := ann.URL(); at != dashboard+"/releases/r42" {
		t.Errorf("the browser is at %s", at)
	}

	eve := logIn("eve", "/")
	eve.Shows("You have no role here", "eve@example.com", "guests", "spec.api.oidc.roles")
	eve.Accessible("no role")

	for _, b := range []*harness.Browser{bob, ann, eve} {
		b.Allow("[object Event]") // streams break off
	}
	g.Kill() // and the sessions go on
	g.Up()
	ann.Visit(dashboard + "/releases/r42")
	ann.Shows("ann@example.com operator")
	if status := asks(bob); status != http.StatusForbidden {
		t.Errorf("after a restart a viewer who promotes is answered %d", status)
	}

	// The mapping changes: it holds for those who are logged in.
	g.Write("greenroom.yaml", provided(api, idp.URL, web, "{viewer: [managers]}"))
	g.CLI("fleet", "apply", "-f", "greenroom.yaml", "--yes")
	if status := asks(ann); status != http.StatusForbidden {
		t.Errorf("who is viewer now promotes: %d", status)
	}
	bob.Visit(dashboard + "/releases/r42")
	bob.Shows("API token")

	ann.Visit(dashboard + "/")
	ann.Shows("ann@example.com viewer")
	ann.Click("Log out")
	ann.Shows("API token")
	ann.Visit(dashboard + "/")
	ann.Shows("API token")
	ann.Accessible("login with a provider")

	events := g.CLI("events", "-o", "json")
	for _, want := range []string{"by oidc as operator", "by oidc as viewer", "none of their groups has a role"} {
		if !strings.Contains(events, want) {
			t.Errorf("no event says %q:\n%s", want, events)
		}
	}
}
