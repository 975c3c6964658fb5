package pages

import (
	"context"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/greenroom-dev/greenroom/internal/operator/passbook"
	"github.com/greenroom-dev/greenroom/internal/pass"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// world is one fleet with real keys. r42 is previewed, r41 settled, r40 gone.
type world struct {
	*testing.T
	keys    *pass.Keys
	revoked string
	url     string
}

func (w *world) Fleet(name types.NamespacedName) (Fleet, bool) {
	return w, name == types.NamespacedName{Namespace: "shop", Name: "live"}
}

func (w *world) Verify(token string, now time.Time) (pass.Claims, error) {
	claims, err := w.keys.Verify(token, now)
	if err == nil && claims.ID == w.revoked {
		err = passbook.ErrRevoked
	}
	return claims, err
}

func (w *world) PassOpens(release, uid string) (string, bool) {
	switch release + "/" + uid {
	case "r42/u":
		return "r42.2", true
	case "r41/u":
		return "", true
	}
	return "", false
}

func (w *world) Serving() string { return "r41" }

func (w *world) PublicURL() string { return "https://live.example.com" }

// memory is a store of keys for one test.
type memory struct{ value []byte }

func (m *memory) String() string { return "memory" }
func (m *memory) Load(context.Context) ([]byte, error) {
	if m.value == nil {
		return nil, fs.ErrNotExist
	}
	return m.value, nil
}
func (m *memory) Create(_ context.Context, v []byte) error  { m.value = v; return nil }
func (m *memory) Replace(_ context.Context, v []byte) error { m.value = v; return nil }

func start(t *testing.T) *world {
	t.Helper()
	keys, err := pass.Open(t.Context(), "greenroom/shop/live", &memory{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, keys: keys, revoked: "revoked"}
	server := httptest.NewServer(New(w, func() time.Time { return noon }))
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

func (w *world) token(id, release string, issued time.Time) string {
	w.Helper()
	token, err := w.keys.Mint(pass.Claims{ID: id, Release: release, UID: "u", Subject: "ada", IssuedAt: issued, ExpiresAt: issued.Add(time.Hour)})
	if err != nil {
		w.Fatal(err)
	}
	return token
}

// ask sends a request as a gateway passes it on. headers are pairs.
func (w *world) ask(method, path string, form url.Values, headers ...string) (*http.Response, string) {
	w.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequest(method, w.url+path, body)
	if err != nil {
		w.Fatal(err)
	}
	req.Header.Set(FleetHeader, "shop/live")
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := c.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.Fatal(err)
	}
	return res, string(text)
}

func TestTakingAPass(t *testing.T) {
	w := start(t)
	good := w.token("p1", "r42", noon)
	res, body := w.ask("POST", pass.LinkPath, url.Values{"token": {good}}, "Sec-Fetch-Site", "same-origin", "X-Forwarded-Proto", "https")
	if res.StatusCode != 200 || body != `{"release":"r42","stamp":"r42.2","until":"2026-11-23T13:00:00Z"}`+"\n" {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	c := res.Cookies()
	if len(c) != 2 || c[0].Name != "greenroom_pass" || c[0].Value != good || c[0].MaxAge != 3600 || !c[0].Secure || !c[0].HttpOnly || c[0].Path != "/" {
		t.Errorf("cookies %v", c)
	}
	res, _ = w.ask("POST", pass.LinkPath, url.Values{"token": {good}}, "Accept", "text/html")
	if res.StatusCode != 303 || res.Header.Get("Location") != pass.LinkPath || res.Cookies()[0].Secure {
		t.Errorf("a form without a script: %d %v", res.StatusCode, res.Header)
	}
	res, body = w.ask("POST", pass.LinkPath, url.Values{"token": {w.token("p2", "r41", noon)}})
	if res.StatusCode != 200 || strings.Contains(body, "stamp") || res.Cookies()[0].MaxAge >= 0 {
		t.Errorf("what everybody gets: %d %s %v", res.StatusCode, body, res.Cookies())
	}
	for name, c := range map[string]struct {
		token string
		code  string
	}{
		"expired":          {w.token("p3", "r42", noon.Add(-time.Hour)), "pass-expired"},
		"revoked":          {w.token("revoked", "r42", noon), "pass-revoked"},
		"a release gone":   {w.token("p4", "r40", noon), "pass-denied"},
		"another's":        {start(t).token("p5", "r42", noon), "pass-forged"},
		"nothing":          {"", "pass-missing"},
		"more than a form": {strings.Repeat("a", 10<<10), "pass-missing"},
	} {
		res, body := w.ask("POST", pass.LinkPath, url.Values{"token": {c.token}})
		if res.Header.Get("X-Greenroom-Error") != c.code || res.StatusCode/100 != 4 || !strings.Contains(body, `"title"`) || len(res.Cookies()) > 0 {
			t.Errorf("%s: %d %s %v", name, res.StatusCode, body, res.Header)
		}
	}
	res, body = w.ask("POST", pass.LinkPath, url.Values{"token": {w.token("revoked", "r42", noon)}}, "Accept", "text/html")
	if res.StatusCode != 403 || !strings.Contains(body, "Leave the preview") {
		t.Errorf("a person with a revoked pass: %d %s", res.StatusCode, body)
	}
}

func TestShowingAPass(t *testing.T) {
	w := start(t)
	for name, c := range map[string]struct{ token, says string }{
		"good":    {w.token("p1", "r42", noon), "You are looking at r42"},
		"settled": {w.token("p2", "r41", noon), "r41 is what everybody gets"},
		"revoked": {w.token("revoked", "r42", noon), "Somebody took the pass for r42 back"},
		"none":    {"", "Open the link"},
	} {
		headers := []string{"Accept", "text/html"}
		if c.token != "" {
			headers = append(headers, "Cookie", "a=b; greenroom_pass="+c.token)
		}
		res, body := w.ask("GET", pass.LinkPath, nil, headers...)
		if res.StatusCode != 200 || !strings.Contains(body, c.says) || res.Header.Get("Cache-Control") != "no-store" ||
			!strings.Contains(res.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: %d %v %s", name, res.StatusCode, res.Header, body)
		}
	}
	if _, body := w.ask("GET", pass.LinkPath, nil, "Cookie", "greenroom_pass="+w.token("p1", "r42", noon)); !strings.Contains(body, "for another 1 h 0 min") || !strings.Contains(body, "r42.2") {
		t.Errorf("it does not say until when: %s", body)
	}
}

func TestLeaving(t *testing.T) {
	w := start(t)
	if res, body := w.ask("GET", "/.greenroom/leave", nil); res.StatusCode != 200 || !strings.Contains(body, "<form") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	for to, want := range map[string]string{"/chat?x=1": "/chat?x=1", "//evil.example.com": "/", "https://evil.example.com": "/", "": "/"} {
		res, _ := w.ask("POST", "/.greenroom/leave", url.Values{"to": {to}}, "Accept", "text/html")
		if res.StatusCode != 303 || res.Header.Get("Location") != want || res.Cookies()[0].MaxAge >= 0 || res.Cookies()[0].Value != "" {
			t.Errorf("%q leads to %d %s %v", to, res.StatusCode, res.Header.Get("Location"), res.Cookies())
		}
	}
	if res, _ := w.ask("POST", "/.greenroom/leave", url.Values{}); res.StatusCode != 204 {
		t.Errorf("a program gets %d", res.StatusCode)
	}
}

func TestRefused(t *testing.T) {
	w := start(t)
	for _, path := range []string{pass.LinkPath, "/.greenroom/leave"} {
		res, _ := w.ask("POST", path, url.Values{"token": {w.token("p1", "r42", noon)}}, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example.com")
		if res.StatusCode != 403 || res.Header.Get("X-Greenroom-Error") != "cross-site" || len(res.Cookies()) > 0 {
			t.Errorf("%s from another site: %d %v", path, res.StatusCode, res.Header)
		}
		res, _ = w.ask("POST", path, url.Values{"token": {w.token("p1", "r42", noon)}}, "Sec-Fetch-Site", "cross-site", "Origin", "https://live.example.com")
		if res.StatusCode/100 == 4 {
			t.Errorf("%s from the public address: %d", path, res.StatusCode)
		}
		if res, _ = w.ask("GET", path, nil, FleetHeader, "shop/other"); res.StatusCode != 503 {
			t.Errorf("another fleet: %d", res.StatusCode)
		}
		if res, _ = w.ask("PUT", path, nil); res.StatusCode != 405 && res.StatusCode != 404 {
			t.Errorf("PUT: %d", res.StatusCode)
		}
	}
	if res, body := w.ask("GET", "/.greenroom/cb/some-token/oauth/callback", nil); res.StatusCode != 404 ||
		res.Header.Get("X-Greenroom-Error") != "no-callback" || strings.Contains(body, "some-token") {
		w.Errorf("a callback address that no route takes: %d %v %s", res.StatusCode, res.Header, body)
	}
	if res, body := w.ask("GET", "/.greenroom/x", nil); res.StatusCode != 404 || !strings.Contains(body, "callback addresses below /.greenroom/cb/") {
		t.Errorf("no such page: %d", res.StatusCode)
	}
}
