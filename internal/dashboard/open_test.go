package dashboard

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// opens posts the form, in English.
func (s *site) opens(c *http.Client, form url.Values) (*http.Response, string) {
	s.t.Helper()
	return s.post(c, "/open", form, "Accept-Language", "en")
}

func TestOpen(t *testing.T) {
	s := open(t, "")
	c := s.loggedIn("s-operator")
	for _, path := range []string{"/", "/releases"} {
		if _, body := s.get(c, path, "Accept-Language", "en"); !strings.Contains(body, `id="ask-open"`) {
			t.Errorf("%s does not lead to it", path)
		}
	}
	_, body := s.get(c, "/open", "Accept-Language", "en")
	for _, want := range []string{`<label for="o-set-web">web</label>`, `<label for="o-set-wallet">wallet</label>`, `<code>./bin/web --version v1</code>`, "Serving v1"} {
		if !strings.Contains(body, want) {
			t.Errorf("the form lacks %s: %s", want, body)
		}
	}
	form := url.Values{"name": {"r43"}, "set.web": {" ./bin/web v3 "}, "set.wallet": {""}, "reason": {"gifts"}}
	checked := url.Values{"check": {"1"}}
	for k, v := range form {
		checked[k] = v
	}
	resp, body := s.opens(c, checked)
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, "r43 would be opened") || !strings.Contains(body, "<ins>v3</ins>") || len(s.did) > 0 {
		t.Errorf("a look ahead: %s %s, done: %v", resp.Status, body, s.did)
	}
	keeps(t, body, "r43", "./bin/web v3", "gifts")
	resp, body = s.opens(c, form)
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/releases/r43" {
		t.Errorf("opened: %s to %s %s", resp.Status, resp.Header.Get("Location"), body)
	}
	if want := []string{"operator open r43 gifts web=./bin/web v3"}; !slices.Equal(s.did, want) {
		t.Errorf("done: %q", s.did)
	}
}

// keeps fails where a page has lost what was typed.
func keeps(t *testing.T, body string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(body, `value="`+html.EscapeString(text)+`"`) {
			t.Errorf("%q is lost", text)
		}
	}
}

func TestOpenKeepsWhatIsWrong(t *testing.T) {
	s := open(t, "")
	c := s.loggedIn("s-operator")
	const document = "kind: Release\n  bad: <b>\n\n  # end"
	for _, one := range []struct {
		what   string
		form   url.Values
		status int
		want   []string // expressions
	}{
		{"a bad version", url.Values{"name": {"r43"}, "set.web": {"./bad"}, "set.wallet": {"./good"}, "reason": {"gifts"}}, 422, []string{"What is wrong is said below",
			`<input id="o-set-web"[^>]* aria-invalid="true" aria-describedby="o-set-web-wrong">\s*<ul class="wrong" id="o-set-web-wrong"><li>it is bad<br><span>write good`}},
		{"a bad version of a service that is gone", url.Values{"name": {"r43"}, "set.gone": {"./bad"}}, 422, []string{`id="o-set-gone-wrong"><li>it is bad`}},
		{"a bad name", url.Values{"name": {"R43"}, "set.web": {"./good"}}, 422, []string{
			`<input id="o-name"[^>]* aria-invalid="true" aria-describedby="o-name-wrong">\s*<ul class="wrong" id="o-name-wrong"><li>that is no name`}},
		{"no name", url.Values{"set.web": {"./good"}}, 422, []string{"Give the release a name"}},
		{"nothing", url.Values{"name": {"r43"}, "set.web": {" "}}, 422, []string{"Say which service gets a new version"}},
		{"a bad document", url.Values{"document": {strings.ReplaceAll(document, "\n", "\r\n")}, "reason": {"gifts"}}, 422, []string{
			`<details open>`, `<b>Line 2:</b> it is bad`, `<pre>  bad: &lt;b&gt;</pre>`, `<textarea id="o-document"[^>]* aria-invalid="true"`}},
		{"both", url.Values{"document": {document}, "set.web": {"./good"}}, 422, []string{"Empty one of the two", `<details open>`}},
		{"another's document", url.Values{"name": {"r43"}, "document": {"kind: Release"}}, 422, []string{"The document is of r42, not of r43"}},
		{"an open one", url.Values{"name": {"r42"}, "set.web": {"./good"}}, 409, []string{"r42 is open already", `<input type="checkbox" name="replace" value="1"> Change r42`, "<ins>v3</ins>"}},
		{"an open one's document", url.Values{"document": {"kind: Release"}}, 409, []string{"r42 is open already"}},
	} {
		resp, body := s.opens(c, one.form)
		if resp.StatusCode != one.status || len(s.did) > 0 {
			t.Errorf("%s: %s, done: %v", one.what, resp.Status, s.did)
		}
		for _, want := range one.want {
			if !regexp.MustCompile(want).MatchString(body) {
				t.Errorf("%s: the page lacks %s:\n%s", one.what, want, body)
			}
		}
		for field, texts := range one.form {
			switch text := strings.TrimSpace(texts[0]); {
			case field == "document":
				if kept := html.EscapeString(strings.ReplaceAll(text, "\r\n", "\n")); !strings.Contains(body, ">\n"+kept+"</textarea>") {
					t.Errorf("%s: the document is lost:\n%s", one.what, body)
				}
			case text != "":
				keeps(t, body, text)
			}
		}
	}
	if resp, body := s.opens(c, url.Values{"name": {"r42"}, "set.web": {"./good"}, "replace": {"1"}}); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("meant to change it: %s %s", resp.Status, body)
	}
	s.change(func() { s.status.Releases[0].Phase = "Aborted" })
	if resp, body := s.opens(c, url.Values{"document": {"kind: Release"}}); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("one that is over: %s %s", resp.Status, body)
	}
	if want := []string{"operator open r42  web=./good", "operator open r42 kind: Release"}; !slices.Equal(s.did, want) {
		t.Errorf("done: %q", s.did)
	}
}

func TestOpenIsForThoseWhoMay(t *testing.T) {
	s := open(t, "")
	for _, role := range []string{"s-viewer", "s-tester"} {
		c := s.loggedIn(role)
		for _, path := range []string{"/", "/releases"} {
			if _, body := s.get(c, path, "Accept-Language", "en"); strings.Contains(body, "/open") || strings.Contains(body, "Open a release") {
				t.Errorf("%s sees on %s that releases can be opened", role, path)
			}
		}
		if resp, body := s.get(c, "/open"); resp.StatusCode != http.StatusForbidden || strings.Contains(body, "textarea") {
			t.Errorf("%s gets the form: %s", role, resp.Status)
		}
		if resp, _ := s.opens(c, url.Values{"name": {"r43"}, "set.web": {"./good"}}); resp.StatusCode != http.StatusForbidden || len(s.did) > 0 {
			t.Errorf("%s opens: %s, done: %v", role, resp.Status, s.did)
		}
	}
	c := s.loggedIn("s-operator")
	form := strings.NewReader(url.Values{"name": {"r43"}, "set.web": {"./good"}}.Encode())
	resp, _ := s.do(c, "POST", "/open", form, "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "cross-site")
	if resp.StatusCode != http.StatusForbidden || len(s.did) > 0 {
		t.Errorf("another site opens: %s, done: %v", resp.Status, s.did)
	}
}

func TestOpenBoundsWhatItReads(t *testing.T) {
	s := open(t, "")
	c := s.loggedIn("s-operator")
	big := "kind: Release\n#" + strings.Repeat("x", maxForm)
	if resp, body := s.opens(c, url.Values{"document": {big}, "replace": {"1"}}); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("a large document: %s %.300s", resp.Status, body)
	}
	if resp, _ := s.opens(c, url.Values{"document": {strings.Repeat("x", maxOpening)}}); resp.StatusCode != http.StatusBadRequest || len(s.did) != 1 {
		t.Errorf("one that is too large: %s", resp.Status)
	}
}

// TestOpenLeadsToWhatIsThere has a release whose versions are yet to come lead
// to the fleet, where it appears.
func TestOpenLeadsToWhatIsThere(t *testing.T) {
	s := open(t, "/fleets/shop/live")
	s.later = true
	c := s.loggedIn("s-operator")
	if resp, _ := s.opens(c, url.Values{"name": {"r43"}, "set.web": {"./good"}}); resp.Header.Get("Location") != "/fleets/shop/live/" {
		t.Errorf("it leads to %s", resp.Header.Get("Location"))
	}
}
