package signon_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/signon"
	"github.com/greenroom-dev/greenroom/internal/signon/signontest"
)

const back = "http://127.0.0.1:9090/login/callback"

// scene is a provider and who asks it.
type scene struct {
	t    *testing.T
	idp  *signontest.Provider
	p    *signon.Provider
	s    signon.Settings
	late time.Duration // by which greenroom's clock is ahead
}

func begin(t *testing.T) *scene {
	t.Helper()
	c := &scene{t: t, idp: signontest.Start(t, map[string][]string{"ann": {"managers", "staff"}, "bob": {"staff"}, "eve": {"guests"}, "joe": nil}, back)}
	var err error
	if c.p, err = signon.New(func() time.Time { return time.Now().Add(c.late) }); err != nil {
		t.Fatal(err)
	}
	c.s = signon.Settings{
		Issuer: c.idp.URL, Name: "our provider", ClientID: signontest.ClientID, Scopes: []string{"email"}, GroupsClaim: "groups", Session: time.Hour,
		Roles:   map[httpapi.Role][]string{httpapi.Viewer: {"staff"}, httpapi.Operator: {"managers"}},
		Secrets: func() (signon.Secrets, error) { return signon.Secrets{Client: signontest.ClientSecret}, nil },
	}
	c.set()
	return c
}

func (c *scene) set() { s := c.s; c.p.Set(&s) }

func (c *scene) begin(to string) signon.Start {
	c.t.Helper()
	start, err := c.p.Begin(c.t.Context(), signon.Wish{Site: "http://127.0.0.1:9090", Path: "/login/callback", To: to})
	if err != nil {
		c.t.Fatal(err)
	}
	return start
}

func (c *scene) logIn(user string) (signon.Person, string, error) {
	c.t.Helper()
	start := c.begin("/releases")
	return c.p.Finish(c.t.Context(), start.Cookie, c.idp.LogIn(start.URL, user).Query())
}

// fails says of an error what kind it is.
func (c *scene) fails(what string, err error, want signon.Kind) {
	c.t.Helper()
	var e *signon.Error
	if !errors.As(err, &e) || e.Kind != want {
		c.t.Errorf("%s: %v, not of kind %d", what, err, want)
	}
	if err != nil && strings.Contains(err.Error(), signontest.ClientSecret) {
		c.t.Errorf("%s: the error holds the secret: %v", what, err)
	}
}

func TestLogIn(t *testing.T) {
	c := begin(t)
	who, to, err := c.logIn("ann")
	if err != nil || who.Name != "ann@example.com" || who.Role != httpapi.Operator || to != "/releases" || who.Issuer != c.idp.URL || who.Session != time.Hour {
		t.Errorf("%+v, to %q, %v", who, to, err)
	}
	if who, _, err := c.logIn("bob"); err != nil || who.Role != httpapi.Viewer {
		t.Errorf("%+v, %v", who, err)
	}
	for _, user := range []string{"eve", "joe"} {
		who, _, err := c.logIn(user)
		c.fails(user+" has no role", err, signon.NoRole)
		var e *signon.Error
		if errors.As(err, &e) && e.Person.Name != user+"@example.com" || who.Name != "" {
			t.Errorf("%s: %+v", user, e.Person)
		}
	}
	q := urlOf(t, c.begin("/").URL).Query()
	if q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "" || q.Get("nonce") == "" || q.Get("state") == "" || q.Get("redirect_uri") != back {
		t.Errorf("the provider is asked with %v", q)
	}
	c.s.UsernameClaim = "sub"
	c.s.PublicURL = "https://greenroom.example.com"
	c.set()
	if at := urlOf(t, c.begin("/").URL).Query().Get("redirect_uri"); at != "https://greenroom.example.com/login/callback" {
		t.Errorf("it comes back to %s", at)
	}
	c.s.PublicURL = ""
	c.set()
	if who, _, err := c.logIn("ann"); err != nil || who.Name != "ann" {
		t.Errorf("named by sub: %+v, %v", who, err)
	}
}

func TestAnswersThatAreNotBelieved(t *testing.T) {
	c := begin(t)
	finish := func(cookie string, q url.Values) error {
		_, _, err := c.p.Finish(t.Context(), cookie, q)
		return err
	}
	start, other := c.begin("/"), c.begin("/")
	answer := c.idp.LogIn(start.URL, "ann").Query()
	c.fails("another browser's login", finish(other.Cookie, answer), signon.Refused)
	c.fails("no login under way", finish("", answer), signon.Stale)
	c.fails("a cookie that was made up", finish(start.Cookie[:len(start.Cookie)-2]+"AA", answer), signon.Stale)
	changed := func(key, value string) url.Values {
		q := url.Values{}
		for k, v := range answer {
			q[k] = v
		}
		q.Set(key, value)
		return q
	}
	c.fails("no state", finish(start.Cookie, changed("state", "")), signon.Refused)
	c.fails("another issuer's answer", finish(start.Cookie, changed("iss", "https://evil.example.com")), signon.Refused)
	c.fails("a code that was made up", finish(start.Cookie, changed("code", "abc")), signon.Refused)
	c.fails("access denied", finish(start.Cookie, changed("error", "access_denied")), signon.Turned)
	if err := finish(start.Cookie, changed("error", "<b>eve@example.com was here</b>")); strings.Contains(err.Error(), "eve") {
		t.Errorf("the log says what a link says: %v", err)
	}
	// The code of one login, with the state of another: its verifier is missing.
	mixed := changed("state", urlOf(t, other.URL).Query().Get("state"))
	c.fails("a code of another login", finish(other.Cookie, mixed), signon.Refused)
	if err := finish(start.Cookie, answer); err != nil {
		t.Errorf("the answer itself: %v", err)
	}
	c.fails("the answer once more", finish(start.Cookie, answer), signon.Refused)

	c.idp.Misbehave("another", time.Hour)
	_, _, err := c.logIn("ann")
	c.fails("an ID token with another nonce", err, signon.Refused)
	c.idp.Misbehave("", -time.Minute)
	_, _, err = c.logIn("ann")
	c.fails("an ID token that is over", err, signon.Refused)
	c.idp.Misbehave("", time.Hour)

	start = c.begin("/")
	answer = c.idp.LogIn(start.URL, "ann").Query()
	c.late = signon.PendingLife + time.Second
	c.fails("a login that took too long", finish(start.Cookie, answer), signon.Stale)
}

func TestProviderDown(t *testing.T) {
	c := begin(t)
	c.idp.Down()
	wish := signon.Wish{Site: "http://127.0.0.1:9090", Path: "/login/callback"}
	_, err := c.p.Begin(t.Context(), wish)
	c.fails("a provider that is down", err, signon.Down)
	c.idp.Up()
	c.late = time.Minute
	if _, _, err := c.logIn("ann"); err != nil {
		t.Errorf("when it is up again: %v", err)
	}
	start := c.begin("/")
	answer := c.idp.LogIn(start.URL, "ann").Query()
	c.idp.Down()
	_, _, err = c.p.Finish(t.Context(), start.Cookie, answer)
	c.fails("a provider that goes down meanwhile", err, signon.Down)
	c.idp.Up()

	c.s.Issuer = strings.Replace(c.idp.URL, "localhost", "127.0.0.1", 1)
	c.set()
	_, err = c.p.Begin(t.Context(), wish)
	c.fails("a provider that calls itself another issuer", err, signon.Down)
	if !strings.Contains(err.Error(), c.idp.URL) {
		t.Errorf("the log does not say as whom: %v", err)
	}
	c.s.Issuer = c.idp.URL
	c.s.Secrets = func() (signon.Secrets, error) { return signon.Secrets{Client: "another"}, nil }
	c.set()
	_, _, err = c.logIn("ann")
	c.fails("a secret that is not the client's", err, signon.Down)
	c.s.Secrets = func() (signon.Secrets, error) { return signon.Secrets{}, errors.New("no such file") }
	c.set()
	_, err = c.p.Begin(t.Context(), wish)
	c.fails("a secret that can not be read", err, signon.Down)

	c.p.Set(nil)
	_, err = c.p.Begin(t.Context(), wish)
	c.fails("no provider", err, signon.Off)
	if c.p.Name() != "" {
		t.Errorf("no provider is called %q", c.p.Name())
	}
}

// What somebody may do is what the settings say now.
func TestRoleFollowsSettings(t *testing.T) {
	c := begin(t)
	role := func() httpapi.Role { return c.p.Role(c.idp.URL, signontest.ClientID, []string{"managers", "staff"}) }
	if role() != httpapi.Operator {
		t.Errorf("%s", role())
	}
	c.s.Roles = map[httpapi.Role][]string{httpapi.Viewer: {"staff"}}
	c.set()
	if role() != httpapi.Viewer {
		t.Errorf("after managers lost their role: %s", role())
	}
	c.s.ClientID = "another"
	c.set()
	if role() != 0 {
		t.Errorf("of another client: %s", role())
	}
	c.p.Set(nil)
	if role() != 0 {
		t.Errorf("without a provider: %s", role())
	}
}

func urlOf(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
