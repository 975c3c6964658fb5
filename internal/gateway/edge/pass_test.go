package edge_test

import (
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
	"github.com/greenroom-dev/greenroom/internal/pass"
)

const html = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"

func TestPassOpensItsRelease(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	token := f.Pass("r42", "u42")
	for _, header := range []string{"Greenroom-Pass: " + token, "Cookie: greenroom_pass=" + token, "Cookie: a=1; greenroom_pass=\"" + token + "\""} {
		s, _ := seen(t, request(t, "GET", f.URL, header))
		if s.Version != "web@2" || s.Header.Get("X-Greenroom-Release") != "r42" {
			t.Errorf("%s with %s", s.Version, s.Header.Get("X-Greenroom-Release"))
		}
		for name, values := range s.Header {
			if strings.Contains(strings.Join(values, ""), token) {
				t.Errorf("the service got the pass in %s", name)
			}
		}
	}
}

func TestPassThatOpensNothing(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	f.Passes["aborted"] = gateway.PassRule{UID: "ua", Access: gateway.Denied, Reason: "Release aborted was aborted."}
	f.Passes["preparing"] = gateway.PassRule{UID: "up"}
	f.Passes["viewless"] = gateway.PassRule{UID: "uv", Access: gateway.Preview, Stamp: "viewless"}
	f.Revoked = map[string]struct{}{"gone": {}}
	f.Publish("r41")
	good := f.Pass("r42", "u42")
	other := gatewaytest.New(t, gatewaytest.Config{})
	at := func(id string, from, to time.Duration) string {
		return f.PassOf(pass.Claims{ID: id, Release: "r42", UID: "u42", Subject: "s", IssuedAt: time.Now().Add(from), ExpiresAt: time.Now().Add(to)})
	}
	for _, c := range []struct {
		name, token string
		code        gateway.Code
		says        string
	}{
		{"expired", at("a", -2*time.Hour, -time.Hour), gateway.CodePassExpired, "new one"},
		{"revoked", at("gone", -time.Hour, time.Hour), gateway.CodePassRevoked, "took the pass"},
		{"revoked and expired", at("gone", -2*time.Hour, -time.Hour), gateway.CodePassExpired, "new one"},
		{"issued in the future", at("b", time.Hour, 2*time.Hour), gateway.CodePassForged, "not made here"},
		{"garbage", "garbage", gateway.CodePassForged, "not made here"},
		{"changed", good[:len(good)-4] + "AAAA", gateway.CodePassForged, "not made here"},
		{"too long", strings.Repeat("a", 5000), gateway.CodePassForged, "not made here"},
		{"of another greenroom", other.Pass("r42", "u42"), gateway.CodePassForged, "not made here"},
		{"of an aborted release", f.Pass("aborted", "ua"), gateway.CodePassDenied, "Release aborted was aborted."},
		{"of a release without a view yet", f.Pass("preparing", "up"), gateway.CodePassDenied, "preparing"},
		{"of a release whose view is gone", f.Pass("viewless", "uv"), gateway.CodePassDenied, "viewless"},
		{"of a release nobody knows", f.Pass("r7", "u7"), gateway.CodePassUnknown, "r7"},
		{"of a former release of that name", f.Pass("r42", "u41"), gateway.CodePassUnknown, "r42"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, body := problem(t, request(t, "GET", f.URL, "Greenroom-Pass: "+c.token), 403, c.code)
			if !strings.Contains(body, c.says) {
				t.Errorf("it does not say %q: %s", c.says, body)
			}
			resp, body := problem(t, request(t, "GET", f.URL+"/at?x=1", "Cookie: greenroom_pass="+c.token, html), 403, c.code)
			if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") || !strings.Contains(body, "Leave the preview</button>") ||
				!strings.Contains(body, `action="/.greenroom/leave"`) || !strings.Contains(body, `value="/at?x=1"`) || !strings.Contains(body, c.says) {
				t.Errorf("the page: %s", body)
			}
			if resp.Header.Get("Cache-Control") != "private, no-store" {
				t.Errorf("Cache-Control %q", resp.Header.Get("Cache-Control"))
			}
			if strings.Contains(body, c.token) {
				t.Error("the page contains the pass")
			}
			r := request(t, "POST", f.URL, "Greenroom-Pass: "+c.token, "Content-Type: application/grpc+proto", html)
			resp, body = do(t, r)
			if resp.StatusCode != 200 || resp.Header.Get("Grpc-Status") != "7" || resp.Header.Get("X-Greenroom-Error") != string(c.code) || body != "" {
				t.Errorf("gRPC: %v %q", resp, body)
			}
		})
	}
	if _, body := do(t, request(t, "GET", f.URL, "Greenroom-Pass: ")); !strings.Contains(body, "web@1") {
		t.Errorf("an empty header is a pass: %s", body)
	}
	// The header decides, whatever the cookie would open.
	problem(t, request(t, "GET", f.URL, "Greenroom-Pass: garbage", "Cookie: greenroom_pass="+good), 403, gateway.CodePassForged)
}

func TestPassOfASettledRelease(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	token := f.Pass("r42", "u42")
	f.Passes["r42"] = gateway.PassRule{UID: "u42", Access: gateway.Ordinary}
	f.Publish("r41")
	s, resp := seen(t, request(t, "GET", f.URL, "Cookie: greenroom_pass="+token))
	if s.Version != "web@1" || resp.Header.Get("X-Greenroom-Release") != "" {
		t.Errorf("reached %s as a holder", s.Version)
	}
	if c := resp.Cookies(); len(c) != 1 || c[0].Name != "greenroom_pass" || c[0].MaxAge >= 0 {
		t.Errorf("the cookie was not cleared: %v", resp.Header["Set-Cookie"])
	}
	if _, resp := seen(t, request(t, "GET", f.URL+"/?answer=Cache-Control:%20max-age=60", "Cookie: greenroom_pass="+token)); resp.Header["Set-Cookie"] != nil {
		t.Errorf("what caches keep clears cookies: %v", resp.Header)
	}
	if s, resp := seen(t, request(t, "GET", f.URL, "Greenroom-Pass: "+token)); s.Version != "web@1" || resp.Header["Set-Cookie"] != nil {
		t.Errorf("by header: %s, %v", s.Version, resp.Header["Set-Cookie"])
	}
}

// browser is a client with cookies that follows redirects.
func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

func visit(t *testing.T, b *http.Client, r *http.Request) (*http.Response, string) {
	t.Helper()
	old := noRedirects
	noRedirects = b
	defer func() { noRedirects = old }()
	return do(t, r)
}

// post is a form as a page's own form or script sends it.
func post(t *testing.T, to string, form url.Values, header ...string) *http.Request {
	t.Helper()
	r := request(t, "POST", to, append(header, "Content-Type: application/x-www-form-urlencoded")...)
	body := form.Encode()
	r.Body, r.ContentLength = http.NoBody, 0
	if body != "" {
		next, err := http.NewRequest("POST", to, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		next.Header = r.Header
		return next
	}
	return r
}

func TestLinkThroughTheBrowser(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	b := browser(t)
	token := f.Pass("r42", "u42")
	link := pass.Link(f.URL, token)
	resp, page := visit(t, b, request(t, "GET", link, html)) // the fragment stays here
	if resp.StatusCode != 200 || !strings.Contains(page, "Open the link") {
		t.Fatalf("%d %s", resp.StatusCode, page)
	}
	policy := resp.Header.Get("Content-Security-Policy")
	nonce := regexp.MustCompile(`script-src 'nonce-([A-Z2-7]{26})'`).FindStringSubmatch(policy)
	if nonce == nil || strings.Count(page, `nonce="`+nonce[1]+`"`) != 2 || !strings.HasPrefix(policy, "default-src 'none';") || !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("policy %q", policy)
	}
	for name, want := range map[string]string{"Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	resp, body := visit(t, b, post(t, f.URL+pass.LinkPath, url.Values{"token": {token}}, "Accept: application/json", "Sec-Fetch-Site: same-origin", "Origin: "+f.URL))
	var taken struct {
		Release, Stamp string
		Until          time.Time
	}
	if err := json.Unmarshal([]byte(body), &taken); err != nil || taken.Release != "r42" || taken.Stamp != "r42" || time.Until(taken.Until) > time.Hour || time.Until(taken.Until) < 59*time.Minute {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	c := resp.Cookies()[0]
	if c.Name != "greenroom_pass" || !c.HttpOnly || c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.MaxAge < 3500 || c.MaxAge > 3600 {
		t.Errorf("the cookie: %v", c)
	}
	if _, page := visit(t, b, request(t, "GET", f.URL+pass.LinkPath, html)); !strings.Contains(page, "You are looking at r42") || !strings.Contains(page, "for another 1 h 0 min") {
		t.Errorf("the page says: %s", page)
	}
	if _, body := visit(t, b, request(t, "GET", f.URL)); !strings.Contains(body, "web@2") {
		t.Errorf("reached %s", body)
	}
	if _, page := visit(t, b, request(t, "GET", f.URL+"/.greenroom/leave", html)); !strings.Contains(page, "Leave the preview</button>") {
		t.Errorf("the page: %s", page)
	}
	resp, body = visit(t, b, post(t, f.URL+"/.greenroom/leave", url.Values{"to": {"/here?x=1"}}, html, "Origin: "+f.URL))
	if resp.Request.URL.RequestURI() != "/here?x=1" || !strings.Contains(body, "web@1") {
		t.Errorf("after leaving: %s %s", resp.Request.URL, body)
	}
}

func TestTakingAPass(t *testing.T) {
	f := start(t, gatewaytest.Config{Edge: fleet.Edge{PublicURL: "https://live.example.com", TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}})
	f.Passes["old"] = gateway.PassRule{UID: "uo", Access: gateway.Ordinary}
	f.Publish("r41")
	good := url.Values{"token": {f.Pass("r42", "u42")}}
	take := f.URL + pass.LinkPath
	problem(t, post(t, take, nil), 400, gateway.CodePassMissing)
	problem(t, post(t, take, url.Values{"token": {"a", "b"}}), 400, gateway.CodePassMissing)
	problem(t, post(t, take+"?token="+good.Get("token"), nil), 400, gateway.CodePassMissing)
	problem(t, post(t, take, url.Values{"token": {strings.Repeat("a", 20<<10)}}), 400, gateway.CodePassMissing)
	problem(t, post(t, take, url.Values{"token": {"garbage"}}), 403, gateway.CodePassForged)
	problem(t, post(t, take, good, "Sec-Fetch-Site: cross-site"), 403, gateway.CodeCrossSite)
	problem(t, post(t, take, good, "Sec-Fetch-Site: same-site"), 403, gateway.CodeCrossSite)
	problem(t, post(t, take, good, "Origin: https://evil.example"), 403, gateway.CodeCrossSite)
	problem(t, post(t, take, good, "Origin: null"), 403, gateway.CodeCrossSite)
	problem(t, post(t, f.URL+"/.greenroom/leave", nil, "Origin: https://evil.example"), 403, gateway.CodeCrossSite)
	resp, body := do(t, post(t, take, good, "Origin: https://live.example.com", "X-Forwarded-Proto: https"))
	if resp.StatusCode != 200 || len(resp.Cookies()) != 2 || !resp.Cookies()[0].Secure || !resp.Cookies()[1].Secure {
		t.Errorf("over https: %v %s", resp, body)
	}
	resp, _ = do(t, post(t, take, good, html))
	if resp.StatusCode != 303 || resp.Header.Get("Location") != pass.LinkPath {
		t.Errorf("without a script: %v", resp)
	}
	resp, body = do(t, post(t, take, url.Values{"token": {f.Pass("old", "uo")}}))
	if resp.StatusCode != 200 || strings.Contains(body, "stamp") || len(resp.Cookies()) != 1 || resp.Cookies()[0].MaxAge >= 0 {
		t.Errorf("of a settled release: %v %s", resp, body)
	}
	if _, page := do(t, request(t, "GET", take, "Cookie: greenroom_pass="+f.Pass("old", "uo"))); !strings.Contains(page, "old is what everybody gets") {
		t.Errorf("the page: %s", page)
	}
	if _, page := do(t, request(t, "GET", take, "Cookie: greenroom_pass=garbage")); !strings.Contains(page, "The pass opens nothing") {
		t.Errorf("the page: %s", page)
	}
}

func TestLeavingLeadsNowhereElse(t *testing.T) {
	f := start(t, gatewaytest.Config{})
	for _, to := range []string{"https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil", "javascript:alert(1)", "", "/\t/evil.example"} {
		resp, _ := do(t, post(t, f.URL+"/.greenroom/leave", url.Values{"to": {to}}, html))
		if resp.StatusCode != 303 || resp.Header.Get("Location") != "/" {
			t.Errorf("%q leads to %q", to, resp.Header.Get("Location"))
		}
	}
	resp, _ := do(t, post(t, f.URL+"/.greenroom/leave", nil))
	if resp.StatusCode != 204 || resp.Cookies()[0].MaxAge >= 0 {
		t.Errorf("for a program: %v", resp)
	}
}

func TestSessionPinning(t *testing.T) {
	f := start(t, gatewaytest.Config{Edge: fleet.Edge{SessionPinning: 10 * time.Minute}})
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.SetNow(now)
	b := browser(t)
	page := func() *http.Request { return request(t, "GET", f.URL, html) }
	reach := func(want string, setsCookie bool, r *http.Request) {
		t.Helper()
		resp, body := visit(t, b, r)
		if !strings.Contains(body, `"Version":"`+want+`"`) {
			t.Errorf("want %s: %s", want, body)
		}
		if got := resp.Header["Set-Cookie"] != nil; got != setsCookie {
			t.Errorf("Set-Cookie: %v", resp.Header["Set-Cookie"])
		}
	}
	reach("web@1", false, request(t, "GET", f.URL))                               // no page
	reach("web@1", false, request(t, "GET", f.URL, html, "Sec-Fetch-Mode: cors")) // a script's request
	reach("web@1", false, post(t, f.URL, nil, html))
	reach("web@1", false, request(t, "GET", f.URL+"/?answer=Cache-Control:%20public", html)) // would be kept for others
	reach("web@1", false, request(t, "GET", f.URL+"/?answer=Cache-Control:%20max-age=60", html))
	reach("web@1", false, request(t, "GET", f.URL+"/?answer=CDN-Cache-Control:%20max-age=60", html))
	reach("web@1", true, request(t, "GET", f.URL+"/?answer=Cache-Control:%20max-age=0,%20must-revalidate", html))
	reach("web@1", false, page())
	f.Pins = []gateway.Pin{{Stamp: "r41", Until: now.Add(10 * time.Minute)}}
	f.Publish("r42")
	reach("web@1", false, page())
	reach("web@1", false, request(t, "GET", f.URL))
	reach("web@2", false, request(t, "GET", f.URL, "Greenroom-Pass: "+f.Pass("r42", "u42"))) // a pass goes first
	if s, _ := seen(t, request(t, "GET", f.URL)); s.Version != "web@2" {
		t.Errorf("a new session got %s", s.Version)
	}
	if s, resp := seen(t, request(t, "GET", f.URL, "Cookie: greenroom_session=r41")); s.Version != "web@1" || s.Header["Cookie"] != nil || resp.Header.Get("Cache-Control") != "private, no-store" {
		t.Errorf("a pinned session: %+v, %v", s, resp.Header)
	}
	f.SetNow(now.Add(10*time.Minute - time.Nanosecond))
	reach("web@1", false, page())
	f.SetNow(now.Add(10 * time.Minute))
	reach("web@2", false, request(t, "GET", f.URL))
	reach("web@2", true, page())
	reach("web@2", false, page())
	f.Pins = nil // rolled back: the pin to what was rolled back ends
	f.Publish("r41")
	reach("web@1", true, page())
}

func TestPinChoosesOnlyWhatOrdinaryUsersGet(t *testing.T) {
	f := start(t, gatewaytest.Config{Edge: fleet.Edge{SessionPinning: time.Minute}})
	f.Pins = []gateway.Pin{{Stamp: "ended", Until: time.Now().Add(time.Hour)}}
	f.Publish("r41")
	for _, stamp := range []string{"r42", "ended", "nothing", "", "r41, r42"} {
		if s, _ := seen(t, request(t, "GET", f.URL, "Cookie: greenroom_session="+stamp)); s.Version != "web@1" {
			t.Errorf("%q chose %s", stamp, s.Version)
		}
	}
	f.Settings.SessionPinning = 0
	f.Pins = []gateway.Pin{{Stamp: "r42", Until: time.Now().Add(time.Hour)}}
	f.Publish("r41")
	if s, resp := seen(t, request(t, "GET", f.URL, html, "Cookie: greenroom_session=r42")); s.Version != "web@1" || resp.Header["Set-Cookie"] != nil {
		t.Errorf("pinning is off, and %s was chosen", s.Version)
	}
}
