//go:build e2e

package browser

import (
	"testing"

	"github.com/greenroom-dev/greenroom/test/browser/harness"
)

// The keys that do something.
const (
	enter  = "\r"
	space  = " "
	escape = "\x1b"
)

// TestKeyboard plays the story without a pointer: Tab reaches everything, Enter
// and Space press it, Escape leaves, and the focus is then where it was.
func TestKeyboard(t *testing.T) {
	d := harness.StartDemo(t)
	b := harness.Open(t, harness.Profile{})
	b.Visit(d.Login)
	b.Shows("Serving baseline (api v1,", "Open a release")
	b.Tab("a Skip to the content")
	b.Keys(enter)
	if at := harness.Value[string](b, `document.activeElement.tagName`); at != "MAIN" {
		t.Errorf("skipped to %s", at)
	}
	b.Tab("button Open a release")
	b.Keys(enter)
	b.Shows("Its versions start beside what serves")
	b.Tab("summary " + paste)
	b.Keys(space)
	b.Tab("textarea Release document")
	b.Paste(checked(t, d))
	b.Tab("input Reason")
	b.Keys("by keyboard" + enter) // which is the form's first button
	b.Shows("Holders of a pass see it")

	b.Tab("button Sign off: gifts")
	b.Keys(enter)
	b.Focuses("input Note")
	b.Keys("by keyboard")
	b.Tab("button go")
	b.Keys(space)
	b.Shows("Go / no-go go", "by keyboard")
	b.Focuses("button Sign off: gifts")

	// A dialog opens with the focus in it, keeps Tab inside, and gives it back.
	b.Tab("button Promote")
	b.Keys(enter)
	b.Focuses("input Reason")
	for range 12 {
		b.Keys("\t")
		if !harness.Value[bool](b, `document.activeElement === document.body || document.querySelector('dialog').contains(document.activeElement)`) {
			t.Errorf("Tab leaves the dialog for %s", b.Focused())
		}
	}
	b.Keys(escape)
	b.Focuses("button Promote")
	b.Keys(space)
	b.Focuses("input Reason")
	b.Tab("button Close")
	b.Keys(enter)
	b.Focuses("button Promote")

	b.Tab("button New pass")
	b.Keys(enter)
	b.Focuses("select Release")
	b.Tab("input For whom")
	b.Keys("ann" + enter)
	b.Shows("A pass for ann")
	b.Tab("button Copy: Link")
	b.Keys(escape)
	b.Focuses("button New pass")

	b.Tab("button Promote")
	b.Keys(enter)
	b.Focuses("input Reason")
	b.Tab("input Type r2 to confirm")
	b.Keys("r2" + enter)
	b.Shows("Serving r2, can be rolled back until")

	// A key that is kept pressed confirms, too.
	b.Tab("button Roll back r2")
	b.Keys(enter)
	b.Focuses("input Reason")
	b.Keys("the colour")
	b.Tab("button Roll back r2")
	b.Down(space)
	b.Shows("Serving baseline (api v1,", "the colour")
	b.Up(space)
	b.Keys("\t") // whatever had the focus is gone, and nothing is trapped
	b.Tab("a Events")
	b.Keys(enter)
	b.Shows("ReleaseRolledBack", "the colour")
}
