package dashboard

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/login"
	"github.com/greenroom-dev/greenroom/internal/passpage"
	"github.com/greenroom-dev/greenroom/internal/signon"
	"github.com/greenroom-dev/greenroom/internal/signon/signontest"
)

// vouched is a dashboard with a provider.
type vouched struct {
	*site
	idp      *signontest.Provider
	settings signon.Settings
}

func openVouched(t *testing.T, base string) *vouched {
	t.Helper()
	s := open(t, base)
	idp := signontest.Start(t, map[string][]string{"ann": {"managers"}, "bob": {"staff"}, "eve": {"guests<b>"}}, s.url+callbackPath)
	v := &vouched{s, idp, signon.Settings{
		Issuer: idp.URL, Name: "Example ID", ClientID: signontest.ClientID, Scopes: []string{"email"}, GroupsClaim: "groups", Session: time.Hour,
		Roles:   map[httpapi.Role][]string{httpapi.Viewer: {"staff"}, httpapi.Operator: {"managers"}},
		Secrets: func() (signon.Secrets, error) { return signon.Secrets{Client: signontest.ClientSecret}, nil },
	}}
	v.set()
	return v
}

func (v *vouched) set() { s := v.settings; v.on.Set(&s) }

// answer has somebody log in at the provider, and returns where it sends the
// browser back to, below the dashboard's address.
func (v *vouched) answer(c *http.Client, user, to string) string {
	v.t.Helper()
	resp, body := v.get(c, "/login/provider?to="+url.QueryEscape(to))
	if resp.StatusCode != http.StatusSeeOther {
		v.t.Fatalf("%s %s", resp.Status, body)
	}
	return strings.TrimPrefix(v.idp.LogIn(resp.Header.Get("Location"), user).String(), v.url)
}

func (v *vouched) vouchedFor(user string) *http.Client {
	v.t.Helper()
	c := v.browser()
	if resp, body := v.get(c, v.answer(c, user, "/releases")); resp.StatusCode != http.StatusSeeOther {
		v.t.Fatalf("%s %s", resp.Status, body)
	}
	return c
}

// noted returns the events of a type, as "who: message".
func (v *vouched) noted(kind string) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []string
	for _, e := range v.notes {
		if e.Type == kind {
			out = append(out, e.Who+": "+e.Message)
		}
	}
	return out
}

func TestLogInByProvider(t *testing.T) {
	v := openVouched(t, "/fleets/live")
	c := v.browser()
	_, page := v.get(c, "/login?to=/releases/r42")
	if !strings.Contains(page, "Log in with Example ID") || !strings.Contains(page, `href="/fleets/live/login/provider?to=%2freleases%2fr42"`) {
		t.Errorf("the login says %s", page)
	}
	if _, page := v.get(c, "/login", "Accept-Language", "ja"); !strings.Contains(page, "Example ID でログイン") {
		t.Errorf("in Japanese it says %s", page)
	}
	resp, body := v.get(c, v.answer(c, "ann", "/releases/r42"))
	if at := resp.Header.Get("Location"); resp.StatusCode != http.StatusSeeOther || at != "/fleets/live/releases/r42" {
		t.Fatalf("%s to %s: %s", resp.Status, at, body)
	}
	for _, cookie := range resp.Cookies() {
		if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode {
			t.Errorf("the cookie %s is open to others", cookie)
		}
	}
	if resp, page := v.get(c, "/releases/r42"); resp.StatusCode != http.StatusOK || !strings.Contains(page, "ann@example.com") || !strings.Contains(page, "/releases/r42/promote") {
		t.Errorf("%s: %s", resp.Status, page)
	}
	if resp, body := v.post(c, "/releases/r42/promote", url.Values{"confirm": {"r42"}, "override": {"stamps"}, "unstamped": {"yes"}, "generation": {"3"}}, "HX-Request", "true"); resp.StatusCode == http.StatusForbidden {
		t.Errorf("an operator may not promote: %s", body)
	}
	if got := v.noted("LoggedIn"); len(got) != 1 || got[0] != "ann@example.com: to the dashboard, by oidc as operator" {
		t.Errorf("noted: %q", got)
	}
	if resp, _ := v.post(c, "/logout", nil); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("logout: %s", resp.Status)
	}
	if resp, _ := v.get(c, "/"); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("after the logout: %s", resp.Status)
	}
	for _, secret := range []string{signontest.ClientSecret, "eyJ"} {
		if strings.Contains(v.log.String(), secret) {
			t.Errorf("the log holds %s", secret)
		}
	}
}

// What a viewer may not do, the API refuses, whatever the page shows.
func TestViewerOfProvider(t *testing.T) {
	v := openVouched(t, "")
	c := v.vouchedFor("bob")
	if _, page := v.get(c, "/releases/r42"); strings.Contains(page, "/releases/r42/promote") {
		t.Error("a viewer sees Promote")
	}
	if resp, _ := v.post(c, "/releases/r42/promote", url.Values{"confirm": {"r42"}}, "HX-Request", "true"); resp.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer promotes: %s", resp.Status)
	}
	if len(v.did) != 0 {
		t.Errorf("it was done: %q", v.did)
	}
}

// A changed mapping holds for those who are logged in, with their next request.
func TestChangedMapping(t *testing.T) {
	v := openVouched(t, "")
	ann, bob := v.vouchedFor("ann"), v.vouchedFor("bob")
	v.settings.Roles = map[httpapi.Role][]string{httpapi.Viewer: {"managers"}}
	v.set()
	if resp, _ := v.post(ann, "/releases/r42/promote", url.Values{"confirm": {"r42"}}, "HX-Request", "true"); resp.StatusCode != http.StatusForbidden {
		t.Errorf("who is viewer now promotes: %s", resp.Status)
	}
	if resp, _ := v.get(bob, "/"); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("who has no role any more looks: %s", resp.Status)
	}
	v.settings.Roles = map[httpapi.Role][]string{httpapi.Admin: {"managers", "staff"}}
	v.set()
	if resp, _ := v.get(bob, "/"); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("a session that ended came back: %s", resp.Status)
	}
	if resp, _ := v.get(ann, "/settings/tokens/new"); resp.StatusCode != http.StatusOK {
		t.Errorf("who is admin now: %s", resp.Status)
	}
	v.on.Set(nil)
	if resp, _ := v.get(ann, "/"); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("without a provider: %s", resp.Status)
	}
	if resp, _ := v.get(ann, "/login/provider"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("without a provider: %s", resp.Status)
	}
	if _, page := v.get(ann, "/login"); strings.Contains(page, "Example ID") {
		t.Error("the button is there without a provider")
	}
}

func TestProviderSaysNo(t *testing.T) {
	v := openVouched(t, "")
	c := v.browser()
	resp, page := v.get(c, v.answer(c, "eve", "/"))
	if resp.StatusCode != http.StatusForbidden || !strings.Contains(page, "eve@example.com") || !strings.Contains(page, "guests&lt;b&gt;") || !strings.Contains(page, "spec.api.oidc.roles") {
		t.Errorf("%s %s", resp.Status, page)
	}
	if got := v.noted("LoginFailed"); len(got) != 1 || !strings.HasPrefix(got[0], "eve@example.com: to the dashboard, from 127.0.0.1, by oidc: none of their groups") {
		t.Errorf("noted: %q", got)
	}
	denied := strings.Replace(v.answer(c, "ann", "/"), "code=", "error=access_denied&none=", 1)
	if resp, page := v.get(c, denied); resp.StatusCode != http.StatusForbidden || !strings.Contains(page, "Example ID did not let you in") {
		t.Errorf("%s %s", resp.Status, page)
	}
	if got := v.noted("LoginFailed"); len(got) != 2 || !strings.Contains(got[1], "access_denied") {
		t.Errorf("noted: %q", got)
	}
	if resp, _ := v.get(c, "/"); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("they are in all the same: %s", resp.Status)
	}
}

func TestProviderIsDown(t *testing.T) {
	v := openVouched(t, "")
	v.idp.Down()
	c := v.browser()
	if resp, page := v.get(c, "/login/provider"); resp.StatusCode != http.StatusBadGateway || !strings.Contains(page, "Logging in with Example ID is not possible right now") || !strings.Contains(page, `name="token"`) {
		t.Errorf("%s %s", resp.Status, page)
	}
	v.loggedIn("s-viewer")
	v.idp.Up()
	v.set() // so that it is not left alone any more
	v.vouchedFor("ann")
}

// A login ends where it began: in one browser, once, on this site.
func TestLoginsAreBoundToBrowsers(t *testing.T) {
	v := openVouched(t, "")
	ann, eve := v.browser(), v.browser()
	answer := v.answer(ann, "ann", "/")
	if resp, _ := v.get(eve, answer); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("in a browser that began none: %s", resp.Status)
	}
	if got := v.noted("LoginFailed"); len(got) != 0 {
		t.Errorf("any page can have that noted: %q", got)
	}
	v.answer(eve, "bob", "/")
	if resp, _ := v.get(eve, answer); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("in a browser that began another: %s", resp.Status)
	}
	if resp, _ := v.get(eve, "/"); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("it is logged in: %s", resp.Status)
	}
	cookie := ""
	for _, one := range ann.Jar.Cookies(urlAt(t, v.url+callbackPath)) {
		if one.Name == passpage.LoggingInCookie {
			cookie = one.String()
		}
	}
	if resp, _ := v.get(ann, answer); resp.StatusCode != http.StatusSeeOther || cookie == "" {
		t.Errorf("in the browser that began it: %s, with %q", resp.Status, cookie)
	}
	if resp, _ := v.get(ann, answer); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("once more: %s", resp.Status)
	}
	if resp, _ := v.get(v.browser(), answer, "Cookie", cookie); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the code once more, with the cookie: %s", resp.Status)
	}
	for _, to := range []string{"https://evil.example.com/", "//evil.example.com", `/\evil.example.com`, "/\t/evil.example.com", "javascript:alert(1)", "evil", ""} {
		c := v.browser()
		if resp, _ := v.get(c, v.answer(c, "ann", to)); resp.Header.Get("Location") != "/" {
			t.Errorf("to %q it leads to %s", to, resp.Header.Get("Location"))
		}
	}
}

// Codes are tried as seldom as tokens.
func TestCodesAreLimited(t *testing.T) {
	v := openVouched(t, "")
	c := v.browser()
	for i := range 11 {
		resp, _ := v.get(c, "/login/provider")
		if i == 10 {
			if resp.StatusCode != http.StatusTooManyRequests {
				t.Errorf("after %d failures: %s", i, resp.Status)
			}
			break
		}
		state := urlAt(t, resp.Header.Get("Location")).Query().Get("state")
		if resp, _ := v.get(c, callbackPath+"?code=guess&state="+state); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("guess %d: %s", i, resp.Status)
		}
	}
	if resp, _ := v.get(c, callbackPath+"?code=guess&state=x"); resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("the callback: %s", resp.Status)
	}
	if resp, _ := v.post(c, "/login", url.Values{"token": {"s-viewer"}}); resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a token: %s", resp.Status)
	}
}

// A session of a provider lasts as long as the settings say.
func TestSessionOfProviderEnds(t *testing.T) {
	v := openVouched(t, "")
	now := time.Now()
	sessions := login.NewSessions(login.NewMemory(func() time.Time { return now }), httpapi.ByRole(v.world), v.on, func() time.Time { return now })
	for _, life := range []time.Duration{time.Hour, 100 * time.Hour} {
		cookie, session, err := sessions.Begin(login.Session{Name: "ann", Via: login.ByOIDC, From: login.Provider{Issuer: v.idp.URL, Client: signontest.ClientID, Groups: []string{"staff"}, Life: life}})
		if want := min(life, login.OtherLife); err != nil || session.Ends.Sub(now) != want {
			t.Errorf("%s: it ends after %s, %v", life, session.Ends.Sub(now), err)
		}
		if who, _, err := sessions.Find(t.Context(), cookie); err != nil || who.Role != httpapi.Viewer || who.Via != login.ByOIDC {
			t.Errorf("%+v, %v", who, err)
		}
		now = session.Ends
		if _, _, err := sessions.Find(t.Context(), cookie); err == nil {
			t.Errorf("%s: it goes on", life)
		}
	}
}

func urlAt(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
