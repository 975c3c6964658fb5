//go:build e2e

package browser

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/test/browser/harness"
)

// evil is what somebody types who wants a page to run it.
const evil = `"'><img src=x onerror=alert(1)><script>alert(2)</script><b id=evil>{{.}}`

// harmless fails the test where the page has taken something in as markup.
func harmless(t *testing.T, b *harness.Browser, where string) {
	t.Helper()
	if harness.Value[bool](b, `(() => {
		const roots = [document, ...[...document.querySelectorAll('*')].filter((e) => e.shadowRoot).map((e) => e.shadowRoot)];
		return roots.some((r) => r.querySelector('img[src=x], #evil, [onerror]') || [...r.querySelectorAll('script')].some((s) => s.text.includes('alert(2)')));
	})()`) {
		t.Errorf("%s takes what somebody typed for markup", where)
	}
}

// TestTypedTextIsText types markup wherever people can type, and looks at it on
// every page: in the dashboard, on the pages of passes, and where users are
// turned away. A page that ran any of it would violate its policy, too, which
// fails every test.
func TestTypedTextIsText(t *testing.T) {
	quoted := strconv.Quote(evil)
	talkative := site(t, "v2", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "fine") })
	g := harness.Start(t, fmt.Sprintf(`apiVersion: greenroom.dev/v1alpha1
kind: Fleet
metadata: {name: shop}
spec:
  edge:
    listen: "EDGE"
    badge: true
    hold: {message: %s}
  api: {listen: "API"}
  release:
    checklist: [{name: look, text: %s}]
    freezes: [{name: party, why: %s, from: "2020-01-01", to: "2099-01-01"}]
  services:
  - {name: web, version: v1, endpoints: [%q], health: {path: /healthz}}
`, quoted, quoted, quoted, site(t, "v1", nil)))
	g.Open("r42", fmt.Sprintf(`  description: %s
  checklist: [{name: more, text: %s}]
  services: [{name: web, version: v2, source: {commit: %s}, endpoints: [%q]}]
`, quoted, quoted, quoted, talkative))

	b := harness.Open(t, harness.Profile{})
	b.Allow("status of 422", "status of 400", "status of 404", "status of 409")
	b.Visit(strings.TrimSpace(g.CLI("dashboard", "--name", "eve")))
	b.Shows("party", "eve", evil)
	typeInto := func(button string, fields map[string]string, do string, then ...string) {
		t.Helper()
		b.Click(button)
		for label, text := range fields {
			b.Fill(label, text)
		}
		b.Click(do)
		b.Answered()
		b.Shows(then...)
		harmless(t, b, button)
	}
	b.Click("Settings")
	typeInto("New token", map[string]string{"Name": evil}, "New token", evil) // refused: no name
	b.Keys("\x1b")
	b.Click("Passes")
	typeInto("New pass", map[string]string{"For whom": evil, "Only below these paths (empty: everywhere)": evil}, "New pass", "the path") // refused
	b.Keys("\x1b")
	typeInto("New pass", map[string]string{"For whom": evil}, "New pass", "A pass for "+evil)
	link := secret(b, "Link")
	b.Keys("\x1b")
	b.Click("Releases")
	b.Click("r42")
	b.Shows(evil)
	typeInto("Sign off: look", map[string]string{"Note": evil}, "no-go", "no-go · ")
	typeInto("Promote", map[string]string{"Reason": evil, "Type r42 to confirm": "r42"}, "Promote r42", "its checklist says no-go") // refused
	b.Keys("\x1b")
	b.Click("Fleet")
	typeInto("Hold requests", map[string]string{"Only these routes (empty: all)": evil, "Reason": evil}, "Hold requests", "is no route") // refused
	b.Keys("\x1b")
	typeInto("Open a release", map[string]string{"Name of the release": evil[:40], "web": evil, "Reason": evil}, "Open the release", "a quote is left open") // refused
	b.Click(paste)
	for label, text := range map[string]string{"Name of the release": "", "web": "\b", "Release document": evil} {
		b.Fill(label, text)
	}
	b.Click("Open the release")
	b.Shows("Line 1:")
	harmless(t, b, "the document")
	b.Click("Fleet")
	g.CLI("hold", "on", "--mode", "page", "--reason", evil)
	g.CLI("fleet", "lock", "--reason", evil)
	b.Shows("Page for all", "keeps others from promoting")
	harmless(t, b, "the banner")

	// Users are turned away; the holder of the pass goes through.
	user := harness.Open(t, harness.Profile{})
	user.Allow("status of 503")
	user.Visit(g.URL)
	user.Shows(evil)
	harmless(t, user, "the page of a hold")
	holder := harness.Open(t, harness.Profile{})
	holder.Visit(link)
	holder.Shows("You are looking at r42", "It was made for "+evil)
	harmless(t, holder, "the pass's page")
	g.CLI("hold", "off", "--reason", evil)
	b.Shows("Hold requests")
	for _, page := range []string{"/", "/releases", "/releases/r42", "/releases/r42/promote", "/releases/r42/plan", "/releases/r42/abort", "/releases/r42/sign-off?item=look",
		"/passes", "/passes/new?release=%3Cb%20id%3Devil%3E", "/events", "/open?name=%3Cb%20id%3Devil%3E", "/events?who=%3Cb%20id%3Devil%3E&kind=%3Cimg%20src%3Dx%3E", "/settings", "/hold", "/logs/%3Cb%20id%3Devil%3E", "/releases/%3Cb%20id%3Devil%3E"} {
		b.Visit(b.Origin() + page)
		b.Shows("greenroom")
		harmless(t, b, page)
	}
	b.Visit(b.Origin() + "/events")
	b.Shows(evil)
}
