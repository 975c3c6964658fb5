//go:build e2e

package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/test/browser/harness"
)

// site is a version of a service: a page that names it.
func site(t *testing.T, version string, answer http.HandlerFunc) (addr string) {
	t.Helper()
	m := http.NewServeMux()
	m.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	if answer == nil {
		answer = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprintf(w, "<!doctype html><html lang=en><head><meta name=viewport content='width=device-width'><title>shop</title></head><body><h1>The shop is %s</h1></body></html>", version)
		}
	}
	m.HandleFunc("/", answer)
	s := httptest.NewServer(m)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// shop starts a fleet of one service of which v1 serves and r42 brings v2.
func shop(t *testing.T, edge string) *harness.Greenroom {
	t.Helper()
	g := harness.Start(t, fmt.Sprintf(`apiVersion: greenroom.dev/v1alpha1
kind: Fleet
metadata: {name: shop}
spec:
  edge: {listen: "EDGE"%s}
  services:
  - {name: web, version: v1, endpoints: [%q], health: {path: /healthz}}
`, edge, site(t, "v1", nil)))
	g.Open("r42", fmt.Sprintf("  services: [{name: web, version: v2, endpoints: [%q]}]\n", site(t, "v2", nil)))
	return g
}

// pass makes a pass by the command line.
func pass(t *testing.T, g *harness.Greenroom, args ...string) client.MintedPass {
	t.Helper()
	var p client.MintedPass
	if err := json.Unmarshal([]byte(g.CLI(append([]string{"pass", "create", "-o", "json"}, args...)...)), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestBadge has a holder switch the preview off and on again, on the fleet's own
// pages, on a phone, in the dark, in Japanese.
func TestBadge(t *testing.T) {
	g := shop(t, ", badge: true")
	g.Open("r43", fmt.Sprintf("  description: \"<script>alert(1)</script>\"\n  services: [{name: web, version: v3, endpoints: [%q]}]\n", site(t, "v3", nil)))
	first := pass(t, g, "r42", "--to", "<img src=x onerror=alert(1)>")
	second := pass(t, g, "r43", "--paths", "/new", "--for", "26h")

	b := harness.Open(t, harness.Profile{})
	b.Visit(first.Link)
	b.Shows("You are looking at r42", "Passes in this browser", "<img src=x onerror=alert(1)>")
	b.Click("Go on")
	b.Shows("The shop is v2", "You are looking at r42", "min left")
	b.Shot("badge-on")
	b.Click("Off")
	b.Shows("The shop is v1", "Preview off: r42 is not shown")
	b.Shot("badge-off")
	b.Click("On")
	b.Shows("The shop is v2", "You are looking at r42")
	b.Visit(second.Link)
	b.Shows("You are looking at r43", "You see it only below /new")
	b.Shot("passes")
	b.Visit(g.URL)
	b.Shows("The shop is v1", "r43 is shown on other pages only")
	b.Visit(g.URL + "/new")
	b.Shows("The shop is v3", "You are looking at r43")
	b.Click("Passes")
	b.Click("Show r42")
	b.Shows("The shop is v2", "You are looking at r42")
	if at := b.URL(); at != g.URL+"/new" {
		t.Errorf("switched, the browser is at %s", at)
	}
	b.Click("Hide this badge")
	harness.Eventually(t, "the badge is gone", func() error {
		if harness.Value[bool](b, `!!document.querySelector('greenroom-badge')`) {
			return fmt.Errorf("it is there")
		}
		return nil
	})
	b.Visit(g.URL + "/.greenroom/")
	b.Click("Show the badge")
	b.Shows("A badge on the fleet's pages")
	g.CLI("pass", "revoke", first.ID)
	b.Visit(g.URL)
	b.Shows("The pass was revoked", "Leave the preview")
	b.Shot("revoked")
	b.Click("Leave the preview")
	b.Shows("The shop is v1")

	phone := harness.Open(t, harness.Profile{Phone: true, Dark: true, Language: "ja"})
	phone.Visit(pass(t, g, "r42", "--to", "佐藤さん").Link)
	phone.Shows("r42 を表示しています", "佐藤さん")
	phone.Shot("pass-phone-ja")
	phone.Click("サイトへ進む")
	phone.Shows("The shop is v2", "r42 を表示中")
	phone.Shot("badge-phone-ja")
	phone.Click("オフ")
	phone.Shows("The shop is v1", "プレビューはオフ")

	other := harness.Open(t, harness.Profile{})
	other.Visit(g.URL)
	other.Shows("The shop is v1")
	if harness.Value[bool](other, `!!document.querySelector('greenroom-badge, script')`) {
		t.Error("everybody has the badge")
	}
}

// TestNoScript goes on with what a browser without scripts has left: nothing can
// be taken by a link, and the pages still say what to do.
func TestNoScript(t *testing.T) {
	g := shop(t, "")
	b := harness.Open(t, harness.Profile{NoScript: true})
	b.Visit(pass(t, g, "r42").Link)
	if got := harness.Do(b, chromedp.Title()); !strings.Contains(got, "Preview pass") {
		t.Errorf("the page is called %q", got)
	}
}

// TestBadgePolicy shows that a page's own policy is respected: one that forbids
// the badge gets none, and nothing is reported to have violated it.
func TestBadgePolicy(t *testing.T) {
	policed := func(policy string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", policy)
			fmt.Fprint(w, "<!doctype html><title>shop</title><h1>The policed shop</h1>")
		}
	}
	g := shop(t, ", badge: true")
	g.Open("strict", fmt.Sprintf("  services: [{name: web, version: s1, endpoints: [%q]}]\n", site(t, "s1", policed("default-src 'none'"))))
	g.Open("self", fmt.Sprintf("  services: [{name: web, version: s2, endpoints: [%q]}]\n", site(t, "s2", policed("default-src 'self'; require-trusted-types-for 'script'"))))
	b := harness.Open(t, harness.Profile{})
	for release, want := range map[string]bool{"strict": false, "self": true} {
		b.Visit(pass(t, g, release).Link)
		b.Shows("You are looking at " + release)
		b.Visit(g.URL)
		b.Shows("The policed shop")
		if want {
			b.Shows("You are looking at self")
			b.Shot("badge-policy")
		} else if harness.Value[bool](b, `!!document.querySelector('greenroom-badge, script')`) {
			t.Error("a page that forbids the badge has it")
		}
	}
}

func TestPassLink(t *testing.T) {
	g := shop(t, "")
	p := pass(t, g, "r42")
	holder, other := harness.Open(t, harness.Profile{}), harness.Open(t, harness.Profile{Phone: true})
	holder.Visit(p.Link)
	holder.Shows("You are looking at r42")
	if url := holder.URL(); strings.Contains(url, "#") {
		t.Errorf("the token stays in the address: %s", url)
	}
	holder.Shot("pass")
	holder.Click("Go on")
	holder.Shows("The shop is v2")
	other.Visit(g.URL)
	other.Shows("The shop is v1")
}
