//go:build e2e

package harness

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Fill types into the field with a label.
func (b *Browser) Fill(label, text string) {
	b.t.Helper()
	Eventually(b.t, "there is a field "+label, func() error {
		found, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](fmt.Sprintf(`(() => {
			if (!(`+ready+`)) return false;
			for (const l of document.querySelectorAll('label')) if (l.innerText.trim() === %q && l.control && l.getClientRects().length) {
				l.control.focus(); if (l.control.select) l.control.select(); return document.activeElement === l.control;
			}
			return false;
		})()`, label)))
		if err == nil && !found {
			err = fmt.Errorf("the page says %q", b.text())
		}
		return err
	})
	b.Keys(text)
}

// Choose takes an option of the field with a label, by the option's text.
func (b *Browser) Choose(label, option string) {
	b.t.Helper()
	Eventually(b.t, "there is "+option+" to choose as "+label, func() error {
		found, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](fmt.Sprintf(`(() => {
			if (!(`+ready+`)) return false;
			for (const l of document.querySelectorAll('label')) if (l.innerText.trim() === %q && l.control && l.getClientRects().length) {
				const o = [...(l.control.options || [])].find((o) => o.text === %q);
				if (!o) return false;
				l.control.value = o.value;
				l.control.dispatchEvent(new Event('change', {bubbles: true}));
				return true;
			}
			return false;
		})()`, label, option)))
		if err == nil && !found {
			err = fmt.Errorf("the page says %q", b.text())
		}
		return err
	})
}

// Has reports whether the page shows a button of that name now.
func (b *Browser) Has(button string) bool {
	b.t.Helper()
	return Value[bool](b, fmt.Sprintf(`[...document.querySelectorAll('button')].some((e) => (e.getAttribute('aria-label') || e.innerText).trim() === %q && e.getClientRects().length > 0)`, button))
}

// Keys presses keys, one after the other, when the page is ready for them.
func (b *Browser) Keys(keys string) {
	b.t.Helper()
	b.awaitReady()
	Do(b, chromedp.KeyEvent(keys))
}

// Paste puts a text where the focus is, at once, over what is selected there.
func (b *Browser) Paste(text string) {
	b.t.Helper()
	b.awaitReady()
	call(b, input.InsertText, input.InsertTextParams{Text: text})
}

// Down presses a key of one character and keeps it pressed; Up lets it go.
func (b *Browser) Down(key string) {
	b.t.Helper()
	b.awaitReady()
	call(b, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: key, Text: key, WindowsVirtualKeyCode: int64(key[0])})
}

// Up lets a key go that was pressed by Down.
func (b *Browser) Up(key string) {
	b.t.Helper()
	call(b, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyUp, Key: key, WindowsVirtualKeyCode: int64(key[0])})
}

// awaitReady waits until the page has loaded and its scripts have taken it in.
func (b *Browser) awaitReady() {
	b.t.Helper()
	b.await("the page is ready", ready)
}

// Answered waits until what was asked of the server is answered, and in the page:
// where the page says before what the answer will say, too.
func (b *Browser) Answered() {
	b.t.Helper()
	b.await("the server has answered", ready+` && !document.querySelector('.htmx-request')`)
}

func (b *Browser) await(what, condition string) {
	b.t.Helper()
	Eventually(b.t, what, func() error {
		is, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](condition))
		if err == nil && !is {
			err = fmt.Errorf("it is not")
		}
		return err
	})
}

// Focused is the name and role of what has the keyboard's focus, as "button
// Promote r2".
func (b *Browser) Focused() string {
	b.t.Helper()
	return Value[string](b, `(() => {
		let e = document.activeElement || document.body;
		const name = (e.getAttribute('aria-label') || (e.labels && e.labels[0] && e.labels[0].innerText) || e.innerText || '').trim().split('\n')[0];
		return e.tagName.toLowerCase() + ' ' + name;
	})()`)
}

// Tab presses Tab until what has the focus is what is wanted.
func (b *Browser) Tab(want string) {
	b.t.Helper()
	var seen []string
	for range 120 {
		b.Keys("\t")
		now := b.Focused()
		if now == want {
			return
		}
		seen = append(seen, now)
	}
	b.t.Fatalf("Tab never reaches %q, only %q", want, seen)
}

// Focuses waits until something has the keyboard's focus.
func (b *Browser) Focuses(want string) {
	b.t.Helper()
	Eventually(b.t, want+" has the focus", func() error {
		if now := b.Focused(); now != want {
			return fmt.Errorf("%s has it", now)
		}
		return nil
	})
}

// Heap is how many bytes the page's script holds, after a collection.
func (b *Browser) Heap() float64 {
	b.t.Helper()
	call(b, heapprofiler.CollectGarbage, cdp.Empty{})
	use, err := chromedp.Call(b.ctx, runtime.GetHeapUsage, cdp.Empty{})
	if err != nil {
		b.t.Fatal(err)
	}
	return use.UsedSize
}

//go:embed axe.min.js.gz
var axe []byte

// Accessible fails the test for what axe-core finds wrong with the page.
func (b *Browser) Accessible(page string) {
	b.t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(axe))
	if err != nil {
		b.t.Fatal(err)
	}
	script, err := io.ReadAll(z)
	if err != nil {
		b.t.Fatal(err)
	}
	Value[bool](b, string(script)+"\n;true") // by the debugger, which no policy of the page concerns
	text := Do(b, chromedp.Evaluate[string](`axe.run(document, {resultTypes: ['violations']}).then((r) => JSON.stringify(r.violations.map((v) => ({
		id: v.id, help: v.help, nodes: v.nodes.map((n) => n.html.slice(0, 160) + ' | ' + n.failureSummary)}))))`, chromedp.EvalAwaitPromise))
	var found []struct {
		ID, Help string
		Nodes    []string
	}
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		b.t.Fatal(err)
	}
	for _, v := range found {
		b.t.Errorf("%s: %s: %s\n%s", page, v.ID, v.Help, strings.Join(v.Nodes, "\n"))
	}
}
