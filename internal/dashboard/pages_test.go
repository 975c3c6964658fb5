package dashboard

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/client"
)

var pages = []string{
	"/", "/releases", "/releases/r42", "/releases/r41", "/releases/r42/promote", "/releases/r42/plan", "/releases/r42/sign-off?item=look",
	"/open", "/releases/r41/rollback", "/releases/r42/abort", "/releases/r42/approve", "/hold", "/passes", "/passes/new", "/passes/callback",
	"/passes/P1/revoke", "/events", "/events?who=ann", "/settings", "/settings/tokens/new", "/settings/tokens/ci/revoke", "/logs/web",
}

func TestEveryPage(t *testing.T) {
	for _, base := range []string{"", "/fleets/shop/live"} {
		s := open(t, base)
		c := s.loggedIn("s-admin")
		for _, lang := range []string{"en", "ja"} {
			for _, path := range pages {
				for _, partial := range []string{"", "true"} {
					resp, body := s.get(c, path, "Accept-Language", lang, "HX-Request", partial)
					if resp.StatusCode != 200 {
						t.Fatalf("%s: %s %s\n%s", path, resp.Status, body, s.log)
					}
					if partial == "" && !strings.Contains(body, `<p class="headline">`) {
						t.Errorf("%s does not begin with what serves", path)
					}
					for _, bad := range []string{" style=", "<script>", " onclick=", "javascript:", "<no value>", "%!"} {
						if strings.Contains(body, bad) {
							t.Errorf("%s has %q", path, bad)
						}
					}
					for _, m := range regexp.MustCompile(`(?:href|action|src)="(/[^"]*)"`).FindAllStringSubmatch(body, -1) {
						if !strings.HasPrefix(m[1], base+"/") {
							t.Errorf("%s leads out of %s: %s", path, base, m[1])
						}
					}
				}
			}
		}
		if text := s.log.String(); strings.Contains(text, "level=ERROR") {
			t.Error(text)
		}
	}
}

func TestHeadline(t *testing.T) {
	s := open(t, "")
	c := s.loggedIn("s-viewer")
	_, body := s.get(c, "/", "Accept-Language", "en")
	if !regexp.MustCompile(`Serving <b>r41</b>, can be rolled back until <time [^>]*>16:00 UTC</time>; before it <b>baseline \(web v0, wallet v1\)</b>`).MatchString(body) {
		t.Error(body[:min(len(body), 3000)])
	}
	_, body = s.get(c, "/", "Accept-Language", "fr;q=0.9, ja;q=0.8, en;q=0.1")
	if !strings.Contains(body, "<b>r41</b> を提供中") || !strings.Contains(body, `<html lang="ja">`) {
		t.Error("Japanese was asked for")
	}
}

// TestLiveRelease holds the page of a release that went live to what is so
// now: what was before it, and neither an old rollback nor what would keep it
// from being promoted.
func TestLiveRelease(t *testing.T) {
	s := open(t, "")
	s.world.change(func() {
		r := &s.world.status.Releases[1]
		r.Rolled = s.world.status.Releases[0].Rolled
		r.Checks = []client.Check{{Rule: "phase", Detail: "r41 is Live already", Remedy: "promote another"}}
	})
	c := s.loggedIn("s-admin")
	_, body := s.get(c, "/releases/r41", "Accept-Language", "en")
	for _, bad := range []string{"the colour", "r41 is Live already", "Serving now"} {
		if strings.Contains(body, bad) {
			t.Errorf("a live release shows %q", bad)
		}
	}
	if !regexp.MustCompile(`<th scope="col">Before</th>(?s:.*)<td>v0</td><td><span class="tag serves">v1</span></td>`).MatchString(body) {
		t.Errorf("what was before it is not shown: %s", body)
	}
	_, body = s.get(c, "/releases/r42", "Accept-Language", "en")
	for _, good := range []string{"the colour", "web drops stamps", "Serving now"} {
		if !strings.Contains(body, good) {
			t.Errorf("a release in preview does not show %q", good)
		}
	}
}

// TestBaselineIsNamed holds every page to what people are told: the baseline's
// name stands nowhere without versions behind it, whether it serves or did.
func TestBaselineIsNamed(t *testing.T) {
	bare := regexp.MustCompile(`\bbaseline\b(?: \([a-z]+ v\d|\|| \[)?`)
	tags := regexp.MustCompile(`<[^>]*>`)
	s := open(t, "")
	c := s.loggedIn("s-admin")
	look := func(want ...string) {
		t.Helper()
		all := ""
		for _, path := range pages {
			_, body := s.get(c, path, "Accept-Language", "en")
			text := tags.ReplaceAllString(body, " ")
			all += text
			for _, found := range bare.FindAllString(text, -1) {
				if found == "baseline" {
					t.Errorf("%s says baseline alone", path)
				}
			}
		}
		for _, w := range want {
			if !strings.Contains(all, w) {
				t.Errorf("no page says %q", w)
			}
		}
	}
	s.change(func() { // a version that only the baseline has
		former := s.status.Services[0].Versions[0]
		former.ID, former.Name, former.Serving, former.Releases = "web@v0", "v0", false, nil
		s.status.Services[0].Versions = append(s.status.Services[0].Versions, former)
	})
	look("before it  baseline (web v0, wallet v1)", "before r41")
	s.change(func() {
		s.status.Serving = client.Serving{Release: "baseline", Named: "baseline (web v1, wallet v1)", Stamp: "baseline"}
		s.status.Releases = s.status.Releases[:1]
		s.status.Dropped[0].Release = "baseline"
	})
	look("get r42 instead of baseline (web v1, wallet v1)", " serving ")
}

// TestMomentsAreLocal has the moments in an event's words shown as others are.
func TestMomentsAreLocal(t *testing.T) {
	got := told("<b>writes</b> until 2026-11-25T15:04:05Z, not 2026-11-25T15:04:99Z")
	want := `&lt;b&gt;writes&lt;/b&gt; until <time datetime="2026-11-25T15:04:05Z" data-show="clock">15:04 UTC</time>, not 2026-11-25T15:04:99Z`
	if string(got) != want {
		t.Errorf("%s", got)
	}
}

// TestPassLeadsBack has the form that is a page of its own lead back to the
// release that it was opened for.
func TestPassLeadsBack(t *testing.T) {
	s := open(t, "")
	c := s.loggedIn("s-operator")
	for _, path := range []string{"/passes/new?release=r42", "/passes/callback?release=r42"} {
		if _, body := s.get(c, path, "Accept-Language", "en"); !strings.Contains(body, `<a href="/releases/r42">Back to r42</a>`) {
			t.Errorf("%s leads nowhere", path)
		}
	}
	if _, body := s.post(c, "/passes/new", url.Values{"release": {"r42"}, "for": {"2h"}}, "Accept-Language", "en"); !strings.Contains(body, `<a href="/releases/r42">Back to r42</a>`) {
		t.Errorf("the pass that was made leads nowhere: %s", body)
	}
	if _, body := s.get(c, "/passes/new?release=%3Cb%3E"); !strings.Contains(body, `<a href="/passes">`) {
		t.Error("without a release it leads nowhere")
	}
}

func TestStrangersSeeNothing(t *testing.T) {
	s := open(t, "")
	for _, path := range append(slices.Clone(pages), "/flow", "/events/export", "/nothing") {
		resp, body := s.get(s.browser(), path)
		if resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(resp.Header.Get("Location"), "/login") || strings.Contains(body, "<b>r41") {
			t.Errorf("%s: %s to %s", path, resp.Status, resp.Header.Get("Location"))
		}
	}
	if _, body := s.get(s.browser(), "/live?kind=fleet"); body != "event: over\ndata: \n\n" {
		t.Errorf("the stream says %q", body)
	}
}

func TestLogin(t *testing.T) {
	s := open(t, "")
	c := s.browser()
	resp, _ := s.post(c, "/login", url.Values{"token": {"s-eve"}})
	if resp.StatusCode != http.StatusUnauthorized || len(resp.Cookies()) > 0 {
		t.Errorf("a token of nobody: %s", resp.Status)
	}
	resp, _ = s.post(c, "/login", url.Values{"token": {"s-operator"}, "to": {"/releases"}})
	if resp.Header.Get("Location") != "/releases" {
		t.Errorf("it leads to %s", resp.Header.Get("Location"))
	}
	cookie := resp.Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" {
		t.Errorf("%+v", cookie)
	}
	for _, to := range []string{"//evil.example", "https://evil.example", "/\\evil.example", "x"} {
		if resp, _ := s.post(s.browser(), "/login", url.Values{"token": {"s-viewer"}, "to": {to}}); resp.Header.Get("Location") != "/" {
			t.Errorf("to %s leads to %s", to, resp.Header.Get("Location"))
		}
	}
	code, _, _ := s.links.Make("ann", 4)
	if resp, _ := s.post(s.browser(), "/login", url.Values{"code": {code}}); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("a link: %s", resp.Status)
	}
	if resp, _ := s.post(s.browser(), "/login", url.Values{"code": {code}}); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a used link: %s", resp.Status)
	}
	if resp, _ := s.post(c, "/logout", nil, "Sec-Fetch-Site", "cross-site"); resp.StatusCode != http.StatusForbidden {
		t.Errorf("logged out by another site: %s", resp.Status)
	}
	s.post(c, "/logout", nil)
	if resp, _ := s.get(c, "/"); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("logged out: %s", resp.Status)
	}
	var kinds []string
	for _, e := range s.notes {
		kinds = append(kinds, e.Type)
		if strings.Contains(e.Message, "s-eve") || strings.Contains(e.Message, code) {
			t.Errorf("a secret is in the log: %s", e.Message)
		}
	}
	if !slices.Contains(kinds, "LoginFailed") || !slices.Contains(kinds, "LoggedIn") {
		t.Errorf("noted: %v", kinds)
	}
	if strings.Contains(s.log.String(), "s-eve") {
		t.Error("a token is in the log")
	}
	for range 12 {
		resp, _ = s.post(s.browser(), "/login", url.Values{"token": {"s-eve"}})
	}
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
		t.Errorf("after many failures: %s", resp.Status)
	}
	if resp, _ := s.post(s.browser(), "/login", url.Values{"token": {"s-admin"}}); resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("then even a good one: %s", resp.Status)
	}
}

func TestSessionEndsWithItsToken(t *testing.T) {
	s := open(t, "")
	c := s.loggedIn("s-viewer")
	s.mu.Lock()
	delete(s.tokens, "s-viewer")
	s.mu.Unlock()
	if resp, _ := s.get(c, "/"); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("after its token was revoked: %s", resp.Status)
	}
}

func TestRolesAreTheAPIs(t *testing.T) {
	s := open(t, "")
	c := s.loggedIn("s-viewer")
	promote := url.Values{"confirm": {"r42"}, "reason": {"why"}, "unstamped": {"1"}}
	resp, body := s.post(c, "/releases/r42/promote", promote)
	if !strings.Contains(body, "viewer is viewer, and this needs operator") || len(s.did) > 0 {
		t.Errorf("%s, done: %v", resp.Status, s.did)
	}
	if _, body := s.get(c, "/releases/r42"); strings.Contains(body, "act-promote") {
		t.Error("a viewer sees the button")
	}
	c = s.loggedIn("s-operator")
	if resp, _ := s.post(c, "/releases/r42/promote", promote, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"); resp.StatusCode != http.StatusForbidden {
		t.Errorf("from another site: %s", resp.Status)
	}
	if _, body := s.post(c, "/releases/r42/promote", url.Values{"unstamped": {"1"}}); !strings.Contains(body, "Type r42, or keep the button pressed") || len(s.did) > 0 {
		t.Errorf("without a confirmation, done: %v", s.did)
	}
	if _, body := s.post(c, "/releases/r42/promote", url.Values{"confirm": {"r42"}}); !strings.Contains(body, "web drops stamps") {
		t.Error("a refusal is not shown")
	}
	if resp, body := s.post(c, "/releases/r42/promote", promote, "HX-Request", "true"); resp.Header.Get("HX-Trigger") != "done" || !strings.Contains(body, "r42 serves") {
		t.Errorf("%s %s", resp.Status, body)
	}
	if got := s.did[len(s.did)-1]; got != "operator promote r42 why" {
		t.Errorf("done: %s", got)
	}
}

// TestRefusalsHaveTheirStatus has the page on which a form comes back answer as
// the API does, also where no script asked.
func TestRefusalsHaveTheirStatus(t *testing.T) {
	s := open(t, "")
	s.change(func() { s.status.Hold = &client.Hold{} })
	operator, viewer := s.loggedIn("s-operator"), s.loggedIn("s-viewer")
	for _, one := range []struct {
		c      *http.Client
		path   string
		form   url.Values
		status int
	}{
		{operator, "/releases/r42/promote", url.Values{"confirm": {"r42"}}, http.StatusConflict},
		{operator, "/releases/r42/promote", url.Values{}, http.StatusUnprocessableEntity},
		{operator, "/releases/r42/plan", url.Values{"at": {"noon"}}, http.StatusUnprocessableEntity},
		{viewer, "/releases/r42/promote", url.Values{"confirm": {"r42"}}, http.StatusForbidden},
		{viewer, "/hold", url.Values{"mode": {"wait"}}, http.StatusForbidden},
		{viewer, "/passes/new", url.Values{"release": {"r42"}}, http.StatusForbidden},
		{viewer, "/passes/P1/revoke", url.Values{}, http.StatusForbidden},
		{operator, "/settings/tokens/new", url.Values{"name": {"ci"}}, http.StatusForbidden},
		{operator, "/settings/tokens/ci/revoke", url.Values{}, http.StatusForbidden},
	} {
		for _, partial := range []string{"", "true"} {
			resp, body := s.post(one.c, one.path, one.form, "HX-Request", partial)
			if resp.StatusCode != one.status || !strings.Contains(body, `role="alert"`) {
				t.Errorf("%s (%s): %s, want %d\n%.400s", one.path, partial, resp.Status, one.status, body)
			}
		}
	}
}

func TestWhatPeopleTypeIsText(t *testing.T) {
	const evil = `<img src=x onerror=alert(1)>"'{{.}}`
	s := open(t, "")
	s.change(func() {
		r := &s.status.Releases[0]
		r.Description, r.Reason, r.Rolled.Why, r.Checklist[0].Name, r.Checklist[0].SignOffs[0].Note = evil, evil, evil, evil, evil
		r.Approvals[0].Note, r.Hooks[0].Name, r.Hooks[0].Output, r.Changes[0].Fields[0].To, r.Planned.Why = evil, evil, evil, evil, evil
		s.status.Hold.Reason, s.status.Lock.Why, s.status.Freezes[0].Why, s.status.Freezes[0].Name = evil, evil, evil, evil
		s.status.Services[0].Versions[1].Name, s.status.Services[0].Versions[1].Message, s.status.Services[0].Versions[1].Commit = evil, evil, evil
		s.status.Services[0].Versions[0].Runs, s.status.Services[1].Name = evil, evil
		s.status.Warnings[0], s.events[0].Why, s.events[0].Who, s.events[0].Message = evil, evil, evil, evil
		s.status.Dropped[0].Caller = "web@" + evil
	})
	c := s.loggedIn("s-admin")
	for _, path := range append(slices.Clone(pages), "/events?who="+url.QueryEscape(evil), "/releases/"+url.PathEscape(evil), "/logs/"+url.PathEscape(evil)) {
		if _, body := s.get(c, path); strings.Contains(body, "<img") {
			t.Errorf("%s runs what somebody typed", path)
		}
	}
	form := url.Values{"subject": {evil}, "reason": {evil}, "name": {evil}, "confirm": {evil}, "for": {evil}, "paths": {evil}, "release": {evil}, "at": {evil},
		"document": {evil}, "set." + evil: {evil}, "set.web": {evil}}
	for _, path := range []string{"/passes/new", "/settings/tokens/new", "/releases/r42/promote", "/releases/r42/plan", "/open", "/login"} {
		if _, body := s.post(c, path, form); strings.Contains(body, "<img") {
			t.Errorf("%s runs what somebody typed", path)
		}
	}
}
