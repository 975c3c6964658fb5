//go:build e2e

package browser

import (
	"os"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/test/browser/harness"
)

// paste is the summary below which a document is pasted.
const paste = "Or paste a document: with a checklist, hooks and all else"

// checked is the demo's release with a checklist.
func checked(t *testing.T, d *harness.Demo) string {
	t.Helper()
	text, err := os.ReadFile(d.Release)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(string(text), "spec:\n", "spec:\n  checklist: [{name: gifts, text: Send a gift twice}]\n", 1)
}

// secret is what a field of a page shows that its label names.
func secret(b *harness.Browser, label string) string {
	return harness.Value[string](b, `[...document.querySelectorAll('label')].find((l) => l.innerText === '`+label+`').control.value`)
}

// TestWholeStory takes a release from open to settled in pages alone: an admin
// opens it, and makes a token for a tester, who makes a pass, looks, and signs
// off, but can neither open nor promote; the admin promotes, rolls back, promotes again when the tester has
// signed off again, and settles.
func TestWholeStory(t *testing.T) {
	d := harness.StartDemo(t)
	users(t, d.URL)

	admin := harness.Open(t, harness.Profile{})
	admin.Allow("status of 422")
	admin.Visit(d.Login)
	admin.Shows("Serving baseline (api v1,")
	admin.Click("Open a release")
	admin.Click(paste)
	admin.Fill("Release document", "")
	admin.Paste(strings.Replace(checked(t, d), "checklist:", "cheklist:", 1))
	admin.Click("Check first")
	admin.Shows("unknown field", "did you mean", "Line ")
	admin.Fill("Release document", "")
	admin.Paste(checked(t, d)) // over what stayed there
	admin.Click("Check first")
	admin.Shows("r2 would be opened", "wallet v1 → v2")
	admin.Click("Open the release")
	admin.Shows("Holders of a pass see it", "Send a gift twice")
	admin.Click("Settings")
	admin.Click("New token")
	admin.Fill("Name", "tina")
	admin.Choose("Role", "tester")
	admin.Click("New token") // the dialog's
	admin.Shows("The token tina is made")
	token := secret(admin, "Secret")

	tester := harness.Open(t, harness.Profile{})
	tester.Visit(d.Dashboard)
	tester.Shows("API token")
	tester.Fill("API token", token)
	tester.Click("Log in")
	tester.Shows("tina tester", "Serving baseline (api v1,")
	tester.Click("r2 Previewing")
	tester.Shows("Go / no-go no-go", "Send a gift twice")
	for _, button := range []string{"Promote", "Roll back", "Abort", "Settle", "Hold requests", "Open a release"} {
		if tester.Has(button) {
			t.Errorf("a tester is offered %s", button)
		}
	}
	tester.Click("New pass")
	tester.Shows("For whom")
	tester.Click("New pass") // the dialog's
	tester.Shows("A pass for tina")
	link := secret(tester, "Link")
	tester.Click("Close")
	holder := harness.Open(t, harness.Profile{})
	holder.Visit(link)
	holder.Shows("You are looking at r2", "It was made for tina")
	holder.Click("Go on")

	signOff := func(note string) {
		t.Helper()
		tester.Click("Sign off: gifts")
		tester.Fill("Note", note)
		tester.Click("go")
		tester.Shows("Go / no-go go", note)
	}
	signOff("two arrive")

	admin.Click("Close")
	admin.Click("Releases")
	admin.Click("r2")
	admin.Shows("two arrive")
	promote := func() {
		t.Helper()
		admin.Click("Promote")
		admin.Shows("Ordinary requests get r2 instead of baseline (api v1,")
		admin.Fill("Type r2 to confirm", "r2")
		admin.Click("Promote r2")
		for _, b := range []*harness.Browser{admin, tester} {
			b.Shows("Serving r2, can be rolled back until", "before it baseline (api v1,")
		}
	}
	promote()
	admin.Click("Roll back")
	admin.Fill("Reason", "the colour")
	admin.Fill("Type r2 to confirm", "r2")
	admin.Click("Roll back r2")
	for _, b := range []*harness.Browser{admin, tester} {
		b.Shows("Serving baseline (api v1,", "the colour", "does not count any more", "Go / no-go no-go")
	}
	signOff("still two")
	admin.Shows("Go / no-go go", "still two")
	promote()
	admin.Click("Settle")
	admin.Shows("The point of no return")
	admin.Fill("Type r2 to confirm", "r2")
	admin.Click("Settle r2")
	for _, b := range []*harness.Browser{admin, tester} {
		b.Shows("There is nothing left of what it replaced")
	}
	if got := d.CLI("release", "list"); !strings.Contains(got, "Settled") {
		t.Errorf("the page says that r2 is settled, and the command line\n%s", got)
	}
}
