//go:build e2e

package harness

import (
	"fmt"
	"slices"
	"strings"

	"github.com/chromedp/cdproto/audits"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
)

// hear notes faults.
func (b *Browser) hear(event any) {
	switch e := event.(type) {
	case *cdplog.EventEntryAdded:
		// An answer that is a refusal is an error of the network's to the browser;
		// what a page makes of it is the tests' to look at.
		if e.Entry.Source == cdplog.EntrySourceSecurity || e.Entry.Level == cdplog.EntryLevelError && e.Entry.Source != cdplog.EntrySourceNetwork {
			b.fault(e.Entry.Text + " (" + e.Entry.URL + ")")
		}
	case *audits.EventIssueAdded:
		if e.Issue.Code == audits.InspectorIssueCodeContentSecurityPolicyIssue {
			d := e.Issue.Details.ContentSecurityPolicyIssueDetails
			b.fault(fmt.Sprintf("%s violates the policy %s", d.BlockedURL, d.ViolatedDirective))
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert {
			b.fault("console." + string(e.Type) + ": " + printed(e.Args))
		}
	case *runtime.EventExceptionThrown:
		b.fault(thrown(e.ExceptionDetails))
	}
}

// printed is what a page wrote to the console.
func printed(args []*runtime.RemoteObject) string {
	var out []string
	for _, a := range args {
		if text := string(a.Value); text != "" {
			out = append(out, text)
		} else {
			out = append(out, a.Description)
		}
	}
	return strings.Join(out, " ")
}

func thrown(d *runtime.ExceptionDetails) string {
	if d.Exception != nil {
		return d.Text + " " + d.Exception.Description
	}
	return d.Text
}

func (b *Browser) fault(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.ContainsFunc(b.allowed, func(text string) bool { return strings.Contains(what, text) }) {
		b.faults = append(b.faults, what)
	}
}

// Allow takes faults that contain one of these texts for none from now on:
// htmx calls it one when a stream breaks off.
func (b *Browser) Allow(texts ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.allowed = append(b.allowed, texts...)
}

// Expected forgets the faults that were noted and contain a text, and fails the
// test where there was none.
func (b *Browser) Expected(text string) {
	b.t.Helper()
	Eventually(b.t, "the browser reports "+text, func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		before := len(b.faults)
		b.faults = slices.DeleteFunc(b.faults, func(one string) bool { return strings.Contains(one, text) })
		if len(b.faults) == before {
			return fmt.Errorf("it reported %q", b.faults)
		}
		return nil
	})
}
