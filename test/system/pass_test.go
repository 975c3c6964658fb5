package system

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/client"
)

// denied asserts that a request is turned away by a code.
func (s *system) denied(code string, headers ...string) {
	s.t.Helper()
	got := s.get("/", headers...)
	if got.status != http.StatusForbidden || got.header.Get("X-Greenroom-Error") != code {
		s.t.Errorf("answered %d %s %q, want 403 %s", got.status, got.header.Get("X-Greenroom-Error"), got.body, code)
	}
}

// TestPasses takes passes through everything that can become of them.
func TestPasses(t *testing.T) {
	t.Parallel()
	s := newSystem(t, one).start()
	s.open("r1", web("v2"))
	token := s.pass("r1")
	cookie := "mine=1; greenroom_pass=" + token + "; yours=2"
	s.answers("web=v1")
	s.answers("web=v2", "Greenroom-Pass", token)
	s.answers("web=v2", "Cookie", cookie)
	if got := s.get("/", "Greenroom-Pass", token); !strings.Contains(got.header.Get("Cache-Control"), "no-store") {
		t.Errorf("a preview may be cached: %v", got.header)
	}

	seen := s.get("/headers", "Cookie", cookie, "Greenroom-Pass", token, "X-Greenroom-Release", "baseline", "Baggage", "greenroom.release=baseline,mine=1").body
	if strings.Contains(seen, token) || strings.Contains(seen, "greenroom_pass") || strings.Contains(seen, "baseline") {
		t.Errorf("what opens the preview reached the service: %s", seen)
	}
	if !strings.Contains(seen, "yours=2") || !strings.Contains(seen, `"X-Greenroom-Release":["r1"]`) || !strings.Contains(seen, "mine=1") {
		t.Errorf("the service got %s", seen)
	}

	s.denied("pass-forged", "Greenroom-Pass", token[:len(token)-8]+"AAAAAAAA")
	s.denied("pass-forged", "Greenroom-Pass", "nonsense")
	other, err := s.api.MintPass(t.Context(), client.MintPass{Release: "r1"})
	if err != nil {
		t.Fatal(err)
	}
	s.answers("web=v2", "Greenroom-Pass", other.Token)
	s.must("pass", "revoke", other.ID)
	s.denied("pass-revoked", "Greenroom-Pass", other.Token)
	page := s.get("/", "Cookie", "greenroom_pass="+other.Token, "Accept", "text/html")
	if page.status != http.StatusForbidden || !strings.Contains(page.body, "/.greenroom/leave") || !strings.Contains(page.header.Get("Content-Type"), "html") {
		t.Errorf("a browser is answered %d %s", page.status, page.body)
	}

	s.kill()
	s.start()
	s.answers("web=v2", "Greenroom-Pass", token)
	s.denied("pass-revoked", "Greenroom-Pass", other.Token)

	s.must("promote", "--yes")
	s.answers("web=v2", "Greenroom-Pass", token)
	s.must("release", "settle", "--yes")
	settled := s.get("/", "Cookie", cookie)
	if settled.body != "web=v2" || !strings.Contains(settled.header.Get("Set-Cookie"), "greenroom_pass=;") {
		t.Errorf("with a pass of a settled release: %q, %v", settled.body, settled.header)
	}

	s.open("r2", web("v3"))
	second := s.pass("r2")
	s.answers("web=v3", "Greenroom-Pass", second)
	s.must("release", "abort", "r2", "--yes")
	s.denied("pass-denied", "Greenroom-Pass", second)
	s.open("r2", web("v4")) // another release of that name
	s.denied("pass-unknown-release", "Greenroom-Pass", second)
	s.answers("web=v2")
}

// TestPassLink goes the way of a browser: the link's page posts the token that
// its fragment holds, and gets the cookie.
func TestPassLink(t *testing.T) {
	t.Parallel()
	s := newSystem(t, one).start()
	s.open("r1", web("v2"))
	p := decode[struct{ Token, Link string }](t, s.must("pass", "create", "r1", "-o", "json").out)
	link, err := url.Parse(p.Link)
	if err != nil || !strings.Contains(link.Fragment, p.Token) || strings.Contains(link.Path+link.RawQuery, p.Token) {
		t.Fatalf("the link %s does not carry the token in its fragment alone: %v", p.Link, err)
	}
	if page := s.get(link.Path, "Accept", "text/html"); page.status != http.StatusOK || strings.Contains(page.body, "web=") {
		t.Fatalf("the link's page: %d %s", page.status, page.body)
	}
	post := func(form url.Values, origin string) *http.Response {
		t.Helper()
		r, err := http.NewRequest(http.MethodPost, "http://"+s.edge+link.Path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", origin)
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp
	}
	form := url.Values{"pass": {p.Token}, "token": {p.Token}}
	if resp := post(form, "http://evil.example"); resp.StatusCode != http.StatusForbidden || len(resp.Cookies()) > 0 {
		t.Errorf("another site's form is answered %s with %v", resp.Status, resp.Cookies())
	}
	resp := post(form, "http://"+s.edge)
	cookies := resp.Cookies()
	if resp.StatusCode >= 400 || len(cookies) != 2 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode {
		t.Fatalf("the form is answered %s with %v", resp.Status, cookies)
	}
	s.answers("web=v2", "Cookie", cookies[0].Name+"="+cookies[0].Value)
	s.answers("web=v1")
}

// TestSessionPinning lets a browser session stay where it began, until a
// rollback.
func TestSessionPinning(t *testing.T) {
	t.Parallel()
	s := newSystem(t, strings.Replace(one, `listen: "EDGE"`, `listen: "EDGE", sessionPinning: 10m`, 1)).start()
	session := func(from string) string {
		t.Helper()
		got := s.get("/", "Accept", "text/html", "Cookie", from)
		if got.status != http.StatusOK {
			t.Fatalf("%d %s", got.status, got.body)
		}
		for _, line := range got.header.Values("Set-Cookie") {
			if pair, _, _ := strings.Cut(line, ";"); strings.HasPrefix(pair, "greenroom_session=") {
				return pair
			}
		}
		return from
	}
	s.open("r1", web("v2"))
	before := session("")
	s.must("promote", "--yes")
	s.answers("web=v1", "Cookie", before)
	s.answers("web=v2")
	after := session("")
	s.answers("web=v2", "Cookie", after)
	s.answers("web=v2", "Cookie", "greenroom_session=r7")
	s.must("rollback", "--yes")
	s.answers("web=v1", "Cookie", after)
	s.answers("web=v1", "Cookie", before)
	s.open("r2", web("v3"))
	s.answers("web=v1", "Cookie", "greenroom_session=r2") // no way into a preview
	s.must("promote", "r1", "--yes")
	s.answers("web=v1", "Cookie", before)
	s.must("release", "settle", "r1", "--yes")
	s.answers("web=v2", "Cookie", before)
}
