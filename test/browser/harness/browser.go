//go:build e2e

package harness

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Profile is what a browser is started with. The zero value is a desktop with
// English pages.
type Profile struct {
	Language string // as Accept-Language has it; en-US if empty
	Phone    bool   // 360 × 740 points and touch; else 1200 × 900
	Dark     bool
	NoScript bool
	Within   time.Duration // how long it may be open; three times Patience if 0
}

// Browser is a Chromium with a fresh profile and one tab.
type Browser struct {
	t   testing.TB
	ctx context.Context

	mu      sync.Mutex
	faults  []string
	allowed []string // faults with these in them are none
}

// Open starts a browser. When the test ends, it is closed, and what violated a
// page's policy or was thrown and not caught fails the test.
func Open(t testing.TB, p Profile) *Browser {
	t.Helper()
	language := p.Language
	if language == "" {
		language = "en-US"
	}
	width, height := 1200, 900
	if p.Phone {
		width, height = 360, 740
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(width, height),
		chromedp.UserDataDir(profileDir(t)), chromedp.Flag("lang", language), chromedp.Flag("accept-lang", language),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.WSURLReadTimeout(Patience))
	allocated, endProcess := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, endTab := chromedp.NewContext(allocated)
	limited, cancel := context.WithTimeout(ctx, max(p.Within, 3*Patience))
	b := &Browser{t: t, ctx: limited}
	t.Cleanup(func() {
		cancel()
		endTab()
		endProcess()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, fault := range b.faults {
			t.Errorf("the browser reports: %s", fault)
		}
	})
	if err := chromedp.Listen(ctx, b.hear); err != nil { // starts the browser
		t.Fatalf("start the browser: %v", err)
	}
	call(b, cdplog.Enable, cdp.Empty{})
	call(b, audits.Enable, cdp.Empty{})
	call(b, runtime.Enable, cdp.Empty{})
	if slow, err := strconv.ParseFloat(os.Getenv("GREENROOM_SLOW"), 64); err == nil {
		call(b, emulation.SetCPUThrottlingRate, emulation.SetCPUThrottlingRateParams{Rate: slow})
	}
	if p.Phone {
		call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: int64(width), Height: int64(height), DeviceScaleFactor: 2, Mobile: true})
		call(b, emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: true})
	}
	if p.Dark {
		call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}})
	}
	if p.NoScript {
		call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	}
	return b
}

func call[P, R any](b *Browser, command cdp.Command[P, R], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, command, params); err != nil {
		b.t.Fatalf("set the browser up: %v", err)
	}
}

// profileDir is a folder that goes when the browser has let go of it.
func profileDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "greenroom-profile")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Do runs an action that has to succeed.
func Do[T any](b *Browser, action chromedp.Action[T]) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, action)
	if err != nil {
		b.t.Fatalf("the browser: %v\nthe page says: %s", err, b.text())
	}
	return v
}

// Visit loads a page.
func (b *Browser) Visit(url string) {
	b.t.Helper()
	Do(b, chromedp.Navigate(url))
}

// URL is where the tab is.
func (b *Browser) URL() string {
	b.t.Helper()
	return Do(b, chromedp.Location())
}

// Origin is the site that the tab is at; no slash at its end.
func (b *Browser) Origin() string {
	b.t.Helper()
	return Value[string](b, `location.origin`)
}

// Value is what a script's expression comes to.
func Value[T any](b *Browser, expression string) T {
	b.t.Helper()
	return Do(b, chromedp.Evaluate[T](expression))
}

// Shows waits until the page's text has all of these in it.
func (b *Browser) Shows(texts ...string) {
	b.t.Helper()
	Eventually(b.t, fmt.Sprintf("the page shows %q", texts), func() error {
		said := b.text()
		for _, text := range texts {
			if !strings.Contains(said, text) {
				return fmt.Errorf("it says %q", said)
			}
		}
		return nil
	})
}

// text is what the page says, with what stands in open shadow roots.
func (b *Browser) text() string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	said, err := chromedp.Run(ctx, chromedp.Evaluate[string](`(() => {
		let all = document.body ? document.body.innerText : '';
		for (const e of document.querySelectorAll('*')) if (e.shadowRoot) all += '\n' + [...e.shadowRoot.children].map((c) => c.innerText).join('\n');
		return all;
	})()`))
	if err != nil {
		return "?: " + err.Error()
	}
	return said
}

// ready is a script's condition: the page has loaded, its scripts have taken in
// all that is there, and no link or form is on its way to another page. What is
// clicked before that is an ordinary form or link, which works, but opens a page
// where otherwise a dialog comes; or it is of the page that goes away.
const ready = `(() => {
	if (!window.awaitsLeaving) {
		window.awaitsLeaving = true;
		const leaves = (e) => {
			if (e.defaultPrevented) return;
			const link = e.composedPath().find((n) => n.matches && n.matches('a[href]'));
			const form = e.type === 'submit' && (e.submitter || e.target).formMethod !== 'dialog' && e.target.method !== 'dialog';
			if (form || link && !link.hasAttribute('download') && !link.target && !link.getAttribute('href').startsWith('#')) window.leaving = true;
		};
		addEventListener('click', leaves);
		addEventListener('submit', leaves);
		addEventListener('pageshow', () => { window.leaving = false; });
	}
	return !window.leaving && document.readyState === 'complete' && !document.querySelector('.htmx-added, .htmx-settling, .htmx-swapping');
})()`

// Click clicks what has a text and can be clicked: a button, a link or a
// summary, in the page or in an open shadow root.
func (b *Browser) Click(text string) {
	b.t.Helper()
	Eventually(b.t, "there is "+text+" to click", func() error {
		found, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](fmt.Sprintf(`(() => {
			if (!`+ready+`) return false;
			const modal = document.querySelector('dialog[open]'); // what is behind it can not be clicked
			const roots = modal ? [modal] : [document, ...[...document.querySelectorAll('*')].filter((e) => e.shadowRoot).map((e) => e.shadowRoot)];
			for (const root of roots) for (const e of root.querySelectorAll('button, a, summary, [role=button], label, input[type=submit]')) {
				const name = (e.getAttribute('aria-label') || e.innerText || e.value || '').trim().replace(/\s+/g, ' ');
				if (name === %q && e.getClientRects().length) { e.click(); return true; }
			}
			return false;
		})()`, text)))
		if err == nil && !found {
			err = fmt.Errorf("the page says %q", b.text())
		}
		return err
	})
}

// Shot keeps a picture of the page as NAME.png among the test's artefacts, or in
// the folder GREENROOM_SHOTS, and checks that the page is not wider than the
// window.
func (b *Browser) Shot(name string) {
	b.t.Helper()
	picture := Do(b, chromedp.CaptureScreenshot())
	dir := os.Getenv("GREENROOM_SHOTS")
	if dir == "" {
		dir = b.t.ArtifactDir()
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644); err != nil {
		b.t.Fatal(err)
	}
	if over := Value[float64](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
		b.t.Errorf("%s is %v points wider than the window", name, over)
	}
}
