package passpage

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestLivePassIsListed follows a pass for whatever serves through the pages: it
// is listed by what serves, with its versions, and the same pass still when that
// has become another release; and it can be forgotten then.
func TestLivePassIsListed(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	serving, named := "baseline", "baseline (web v1, api v1, 4 more)"
	jar := map[string]string{}
	visit := func(method, path string, form url.Values) string {
		t.Helper()
		r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
		r.Header.Set("Accept", "text/html")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for name, value := range jar {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		w := httptest.NewRecorder()
		Desk{
			Set: NewSet(), Now: now, Serving: named, Badge: true,
			Judge: func(string) Opened {
				return Opened{Release: serving, Live: true, Subject: "ann", Stamp: serving, Until: now.Add(time.Hour)}
			},
			Refuse: func(_ http.ResponseWriter, _ *http.Request, why Refusal) { t.Errorf("refused: %+v", why) },
			Mark:   func(http.Header, Refusal) {},
		}.Serve(w, r, path)
		for _, c := range w.Result().Cookies() {
			if jar[c.Name] = c.Value; c.MaxAge < 0 {
				delete(jar, c.Name)
			}
		}
		return w.Body.String()
	}
	shows := func(page string, texts ...string) {
		t.Helper()
		for _, text := range texts {
			if !strings.Contains(page, text) {
				t.Errorf("no %q in %s", text, page)
			}
		}
	}
	visit(http.MethodPost, "/.greenroom/pass", url.Values{"token": {"t"}})
	shows(visit(http.MethodGet, "/.greenroom", nil), "You are looking at baseline (web v1, api v1, 4 more)", "<strong>what serves: baseline (web v1, api v1, 4 more)</strong>", "shown now")
	visit(http.MethodPost, "/.greenroom/leave", url.Values{"to": {"/"}})
	serving, named = "r42", "r42"
	shows(visit(http.MethodGet, "/.greenroom", nil), "<strong>what serves: r42</strong>", "Everybody gets r42", `value=".live"`)
	visit(http.MethodPost, "/.greenroom/switch", url.Values{"release": {".live"}, "to": {"/"}})
	shows(visit(http.MethodGet, "/.greenroom", nil), "You are looking at r42", "shown now")
	visit(http.MethodPost, "/.greenroom/forget", url.Values{"release": {".live"}})
	if len(jar) > 0 {
		t.Errorf("forgotten, the browser still has %v", jar)
	}
}
