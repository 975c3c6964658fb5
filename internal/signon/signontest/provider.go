// Package signontest is a real OpenID Connect provider for tests: that of
// another project's example, on another site than the tests' own servers
// (localhost is not 127.0.0.1 to a browser). It matches redirect URIs exactly,
// wants PKCE and a client secret, and tells groups and addresses at its userinfo
// endpoint alone, as many do.
//
// It imports nothing of greenroom. Start at Start.
package signontest

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// What greenroom is at the provider, and everybody's password.
const (
	ClientID     = "greenroom"
	ClientSecret = "a-secret-of-the-client"
	Password     = "verysecure"
)

// Provider runs until its test ends.
type Provider struct {
	URL string // the issuer

	t      testing.TB
	addr   string
	server *httptest.Server

	mu       sync.Mutex
	handler  http.Handler
	groups   map[string][]string
	nonce    string        // what ID tokens say instead of the client's
	lifetime time.Duration // of ID tokens
}

// Start returns a provider whose people are in these groups: their user names
// are the keys, their addresses NAME@example.com. It sends browsers back to the
// redirect URIs, exactly.
func Start(t testing.TB, groups map[string][]string, redirects ...string) *Provider {
	t.Helper()
	p := &Provider{t: t, groups: groups, lifetime: time.Hour}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.addr = l.Addr().String()
	_, port, _ := strings.Cut(p.addr, ":")
	p.URL = "http://localhost:" + port
	p.Allow(redirects...)
	p.serve(l)
	t.Cleanup(p.Down)
	return p
}

// Allow has the provider begin anew with other redirect URIs.
func (p *Provider) Allow(redirects ...string) {
	clients := map[string]*storage.Client{ClientID: storage.WebClient(ClientID, ClientSecret, redirects...)}
	keep := &keeper{storage.NewStorageWithClients(people{p}, clients), p}
	h := exampleop.SetupServer(p.URL, keep, nil, false, op.WithAllowInsecure(), op.WithLogger(slog.New(slog.DiscardHandler)))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handler = h
}

func (p *Provider) serve(l net.Listener) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		h := p.handler
		p.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	_ = server.Listener.Close()
	server.Listener = l
	server.Start()
	p.server = server
}

// Down ends the provider; Up has it listen again where it did.
func (p *Provider) Down() {
	if p.server != nil {
		p.server.Close()
		p.server = nil
	}
}

// Up is Down's opposite.
func (p *Provider) Up() {
	p.t.Helper()
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.serve(l)
}

// Groups puts somebody into other groups.
func (p *Provider) Groups(user string, groups ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.groups[user] = groups
}

// Misbehave has later ID tokens say another nonce, or be over.
func (p *Provider) Misbehave(nonce string, lifetime time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nonce, p.lifetime = nonce, lifetime
}

// LogIn does what somebody does at the provider's page to which a browser was
// sent, and returns where the provider sends the browser back to.
func (p *Provider) LogIn(page, user string) *url.URL {
	p.t.Helper()
	jar, _ := cookiejar.New(nil) // never fails
	c := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if "http://"+r.URL.Host != p.URL {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	form := p.do(c.Get(page))
	if form.Request.URL.Path != "/login/username" {
		p.t.Fatalf("the provider shows %s", form.Request.URL)
	}
	at := *form.Request.URL
	id := at.Query().Get("authRequestID")
	at.RawQuery = ""
	done := p.do(c.PostForm(at.String(), url.Values{"id": {id}, "username": {user}, "password": {Password}}))
	back, err := done.Location()
	if err != nil {
		p.t.Fatalf("the provider answers %s: %v", done.Status, err)
	}
	return back
}

func (p *Provider) do(resp *http.Response, err error) *http.Response {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp
}

// people are the provider's users.
type people struct{ p *Provider }

func (u people) GetUserByID(id string) *storage.User { return u.GetUserByUsername(id) }

func (u people) GetUserByUsername(name string) *storage.User {
	u.p.mu.Lock()
	defer u.p.mu.Unlock()
	if _, ok := u.p.groups[name]; !ok {
		return nil
	}
	return &storage.User{ID: name, Username: name, Password: Password, Email: name + "@example.com", EmailVerified: true}
}

func (people) ExampleClientID() string { return "service" }

// keeper is the example's storage, with groups and what Misbehave says.
type keeper struct {
	*storage.Storage
	p *Provider
}

func (k *keeper) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, token, subject, origin string) error {
	k.p.mu.Lock()
	groups := k.p.groups[subject]
	k.p.mu.Unlock()
	info.AppendClaims("groups", groups)
	return k.Storage.SetUserinfoFromToken(ctx, info, token, subject, origin)
}

func (k *keeper) CreateAuthRequest(ctx context.Context, r *oidc.AuthRequest, user string) (op.AuthRequest, error) {
	k.p.mu.Lock()
	if k.p.nonce != "" {
		r.Nonce = k.p.nonce
	}
	k.p.mu.Unlock()
	return k.Storage.CreateAuthRequest(ctx, r, user)
}

func (k *keeper) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	c, err := k.Storage.GetClientByClientID(ctx, id)
	if err != nil {
		return nil, err
	}
	k.p.mu.Lock()
	defer k.p.mu.Unlock()
	return &client{c, k.p.lifetime}, nil
}

type client struct {
	op.Client
	lifetime time.Duration
}

func (c *client) IDTokenLifetime() time.Duration { return c.lifetime }
