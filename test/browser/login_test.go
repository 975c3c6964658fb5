//go:build e2e

package browser

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"
	"golang.org/x/oauth2"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/test/browser/harness"
)

// provider is a real OpenID Connect provider, on another site than the fleet:
// localhost is not 127.0.0.1 to a browser. It matches redirect URIs exactly.
type provider struct {
	url    string
	server *httptest.Server
}

func startProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{server: httptest.NewUnstartedServer(nil)}
	_, port, _ := strings.Cut(p.server.Listener.Addr().String(), ":")
	p.url = "http://localhost:" + port
	t.Cleanup(p.server.Close)
	return p
}

// serve begins to serve logins that lead to these addresses.
func (p *provider) serve(redirects ...string) {
	storage.RegisterClients(storage.WebClient("shop", "secret", redirects...))
	p.server.Config.Handler = exampleop.SetupServer(p.url, storage.NewStorage(storage.NewUserStore(p.url)), nil, false, op.WithAllowInsecure())
	p.server.Start()
}

// shopfront is a version of a service with a login: the code comes back as a
// redirect of the browser, or as a form that the provider's page posts.
type shopfront struct {
	version  string
	provider *provider
	live     string // address of the edge

	mu     sync.Mutex
	states map[string]string // of logins under way → their redirect URI
}

func (s *shopfront) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	switch r.URL.Path {
	case "/healthz":
	case "/login":
		s.login(w, r)
	case "/oauth/callback":
		s.callback(w, r)
	default:
		who := "nobody"
		if c, err := r.Cookie("shop_user"); err == nil {
			who = c.Value
		}
		fmt.Fprintf(w, "<!doctype html><title>shop</title><h1>Shop %s knows %s</h1>", s.version, html.EscapeString(who))
	}
}

func (s *shopfront) config(redirect string) *oauth2.Config {
	return &oauth2.Config{ClientID: "shop", ClientSecret: "secret", RedirectURL: redirect, Scopes: []string{"openid", "email"},
		Endpoint: oauth2.Endpoint{AuthURL: s.provider.url + "/auth", TokenURL: s.provider.url + "/oauth/token", AuthStyle: oauth2.AuthStyleInHeader}}
}

// login sends the browser to the provider. How it is to come back is asked by
// the query: as a redirect, as a form, or as a form to the callback address that
// the edge tells.
func (s *shopfront) login(w http.ResponseWriter, r *http.Request) {
	redirect := s.live + "/oauth/callback"
	var how []oauth2.AuthCodeOption
	switch r.URL.Query().Get("by") {
	case "form":
		how = append(how, oauth2.SetAuthURLParam("response_mode", "form_post"))
	case "callback":
		redirect = r.Header.Get("X-Greenroom-Callback-Base") + "/oauth/callback"
		how = append(how, oauth2.SetAuthURLParam("response_mode", "form_post"))
	}
	state := rand.Text()
	s.mu.Lock()
	s.states[state] = redirect
	s.mu.Unlock()
	http.Redirect(w, r, s.config(redirect).AuthCodeURL(state, how...), http.StatusSeeOther)
}

func (s *shopfront) callback(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	redirect, ours := s.states[r.FormValue("state")]
	delete(s.states, r.FormValue("state"))
	s.mu.Unlock()
	if !ours {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, "<!doctype html><title>shop</title><h1>Shop %s did not begin this login</h1>", s.version)
		return
	}
	config := s.config(redirect)
	token, err := config.Exchange(r.Context(), r.FormValue("code"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	answer, err := config.Client(r.Context(), token).Get(s.provider.url + "/userinfo")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	var user struct{ Email string }
	if err := json.NewDecoder(answer.Body).Decode(&user); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: "shop_user", Value: user.Email, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, s.live+"/?by="+s.version, http.StatusSeeOther)
}

// TestLogin brings a preview through logins at another site's provider. One that
// redirects the browser comes back to the live address and finds the preview by
// the pass's cookie. One that posts a form does not, since browsers send no Lax
// cookie with another site's form: it needs a callback address.
func TestLogin(t *testing.T) {
	idp := startProvider(t)
	fronts := map[string]*shopfront{}
	addr := func(version string) string {
		fronts[version] = &shopfront{version: version, provider: idp, states: map[string]string{}}
		s := httptest.NewServer(fronts[version])
		t.Cleanup(s.Close)
		return strings.TrimPrefix(s.URL, "http://")
	}
	edge := harness.FreeAddress(t)
	g := harness.Start(t, fmt.Sprintf(`apiVersion: greenroom.dev/v1alpha1
kind: Fleet
metadata: {name: shop}
spec:
  edge: {listen: %q}
  services:
  - {name: web, version: v1, endpoints: [%q], health: {path: /healthz}}
`, edge, addr("v1")))
	live := "http://" + edge
	g.Open("r42", fmt.Sprintf("  services: [{name: web, version: v2, endpoints: [%q]}]\n", addr("v2")))
	for _, f := range fronts {
		f.live = live
	}
	var callback client.MintedCallback
	if err := json.Unmarshal([]byte(g.CLI("pass", "callback", "r42", "--path", "/oauth/callback", "--method", "POST", "--count", "1", "-o", "json")), &callback); err != nil {
		t.Fatal(err)
	}
	idp.serve(live+"/oauth/callback", callback.Addresses[0])
	link := pass(t, g, "r42").Link

	logIn := func(b *harness.Browser, by string) {
		t.Helper()
		b.Visit(live + "/login?by=" + by)
		b.Shows("Username")
		harness.Value[bool](b, `(() => { document.getElementById('username').value = 'test-user@localhost'; document.getElementById('password').value = 'verysecure'; document.forms[0].submit(); return true })()`)
	}
	holder := harness.Open(t, harness.Profile{})
	holder.Visit(link)
	holder.Shows("You are looking at r42")
	logIn(holder, "redirect")
	holder.Shows("Shop v2 knows test-user@zitadel.ch")

	logIn(holder, "form")
	holder.Shows("Shop v1 did not begin this login") // the form came without the pass

	second := harness.Open(t, harness.Profile{})
	second.Visit(link)
	second.Shows("You are looking at r42")
	logIn(second, "callback")
	second.Shows("Shop v2 knows test-user@zitadel.ch")
	if at := second.URL(); at != live+"/?by=v2" {
		t.Errorf("the browser is at %s", at)
	}
	if list := g.CLI("pass", "list"); !strings.Contains(list, "called 1 of 1 times") {
		t.Errorf("the address took another number of calls:\n%s", list)
	}

	other := harness.Open(t, harness.Profile{})
	logIn(other, "redirect")
	other.Shows("Shop v1 knows test-user@zitadel.ch")
}
