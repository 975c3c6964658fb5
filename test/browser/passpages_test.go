//go:build e2e

package browser

import (
	"fmt"
	"testing"

	"github.com/greenroom-dev/greenroom/test/browser/harness"
)

// TestPassPages has every page that the holder of a pass or a user who is turned
// away meets looked at by axe-core: in light and dark, and on a phone.
func TestPassPages(t *testing.T) {
	for _, p := range []struct {
		name    string
		profile harness.Profile
	}{
		{"light", harness.Profile{}},
		{"dark", harness.Profile{Dark: true}},
		{"phone", harness.Profile{Phone: true}},
		{"phone-ja", harness.Profile{Phone: true, Dark: true, Language: "ja"}},
	} {
		t.Run(p.name, func(t *testing.T) {
			g := shop(t, ", badge: true")
			g.Open("r43", fmt.Sprintf("  services: [{name: web, version: v3, endpoints: [%q]}]\n", site(t, "v3", nil)))
			first, second := pass(t, g, "r42", "--to", "ann"), pass(t, g, "r43", "--paths", "/new", "--for", "26h")
			say := map[string]string{
				"home": "Preview pass", "at": "You are looking at ", "held": "Passes in this browser", "show": "Show r42", "leave": "Leave the preview",
				"off": "The preview is off in this browser.", "forged": "The pass was not made", "revoked": "The pass was revoked", "held by": "what serves: ",
			}
			if p.profile.Language == "ja" {
				say = map[string]string{
					"home": "プレビューパス", "at": " を表示しています", "held": "このブラウザーにあるパス", "show": "r42 を表示", "leave": "プレビューを終了",
					"off": "オフになっています", "revoked": "パスは取り消されました", "held by": "公開中のもの: ",
				}
			}
			b := harness.Open(t, p.profile)
			b.Allow("status of 403", "status of 503")
			look := func(page string, shows ...string) {
				t.Helper()
				b.Shows(shows...)
				b.Accessible(page)
				b.Shot(page + "-" + p.name)
			}
			b.Visit(g.URL + "/.greenroom/")
			look("pass-none", say["home"])
			b.Visit(first.Link)
			look("pass-taken", say["at"], "r42", "ann")
			b.Visit(second.Link)
			look("pass-two", say["at"], "r43", "/new", say["held"], "ann")
			b.Click(say["show"])
			b.Shows("v2")
			b.Visit(g.URL + "/.greenroom/")
			b.Shows(say["at"], "r42")
			b.Visit(g.URL + "/.greenroom/leave")
			look("pass-leave", say["leave"])
			b.Click(say["leave"])
			b.Shows("v1")
			b.Visit(g.URL + "/.greenroom/")
			look("pass-off", say["off"], say["held"], "baseline (web v1)")
			b.Click(say["show"])
			b.Shows("v2")
			g.CLI("pass", "revoke", first.ID)
			b.Visit(g.URL)
			look("pass-revoked", say["revoked"], say["leave"])
			b.Click(say["leave"])
			b.Shows("v1")

			g.CLI("hold", "on", "--mode", "page")
			b.Visit(g.URL)
			look("hold", "We are working on this right now.")
			b.Visit(pass(t, g, "--live").Link)
			look("pass-live", say["at"], "baseline (web v1)", say["held by"])
			b.Visit(g.URL)
			b.Shows("v1")
			g.CLI("hold", "off")
		})
	}
}
