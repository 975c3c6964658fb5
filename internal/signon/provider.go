package signon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/greenroom-dev/greenroom/internal/httpapi"
)

// patience is how long the provider may take for an answer; pause is how long
// it is left alone after it failed.
const (
	patience = 10 * time.Second
	pause    = 2 * time.Second
)

// Provider logs people in. It is safe for concurrent use.
type Provider struct {
	now    func() time.Time
	sealer sealer

	mu sync.Mutex
	at *target // nil: there is no provider
}

// target is the provider as some settings have it.
type target struct {
	*Settings
	discovering chan struct{} // held by who discovers
	found       *discovered   // nil: not yet
	failed      time.Time
	why         error
}

// discovered is what the provider says of itself.
type discovered struct {
	*oidc.Provider
	style  oauth2.AuthStyle
	client *http.Client
	secret string
	roots  string
}

// New returns a Provider that logs nobody in until Set says who.
func New(now func() time.Time) (*Provider, error) {
	s, err := newSealer()
	if err != nil {
		return nil, err
	}
	return &Provider{now: now, sealer: s}, nil
}

// Set is told what a fleet says of its provider; nil for none. It holds at once,
// also for those who are logged in.
func (p *Provider) Set(s *Settings) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = nil
	if s != nil {
		p.at = &target{Settings: s, discovering: make(chan struct{}, 1)}
	}
}

// Name is what people call the provider; "" where there is none.
func (p *Provider) Name() string {
	if t := p.target(); t != nil {
		return t.Name
	}
	return ""
}

// Role is what somebody may do now whom this client of an issuer logged in; 0
// when that is nothing any more.
func (p *Provider) Role(issuer, client string, groups []string) httpapi.Role {
	t := p.target()
	if t == nil || t.Issuer != issuer || t.ClientID != client {
		return 0
	}
	return t.role(groups)
}

func (p *Provider) target() *target {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at
}

// discover asks the provider what it is, unless that is known. One asks at a
// time; after a failure the next who want to know are told of it for a moment.
func (p *Provider) discover(ctx context.Context, t *target) (*discovered, error) {
	select {
	case t.discovering <- struct{}{}:
		defer func() { <-t.discovering }()
	case <-ctx.Done():
		return nil, &Error{Kind: Down, Err: ctx.Err()}
	}
	secrets, err := t.Secrets()
	if err != nil {
		return nil, &Error{Kind: Down, Err: err}
	}
	if f := t.found; f != nil && f.roots == string(secrets.Roots) {
		known := *f
		known.secret = secrets.Client
		return &known, nil
	}
	if t.why != nil && p.now().Sub(t.failed) < pause {
		return nil, &Error{Kind: Down, Err: t.why}
	}
	found, err := ask(ctx, t.Settings, secrets)
	if err != nil {
		t.failed, t.why = p.now(), err
		return nil, &Error{Kind: Down, Err: err}
	}
	t.found, t.why = found, nil
	return found, nil
}

// forget has the provider asked again what it is.
func (t *target) forget() {
	t.discovering <- struct{}{}
	t.found = nil
	<-t.discovering
}

func ask(ctx context.Context, s *Settings, secrets Secrets) (*discovered, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if len(secrets.Roots) > 0 {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(secrets.Roots) {
			return nil, errors.New("the provider's caFile holds no certificate")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	found := &discovered{client: &http.Client{Transport: transport, Timeout: patience}, secret: secrets.Client, roots: string(secrets.Roots)}
	var err error
	// Who asked may go away; what is found is for all.
	if found.Provider, err = oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), found.client), s.Issuer); err != nil {
		return nil, err
	}
	var says struct {
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := found.Claims(&says); err != nil {
		return nil, err
	}
	found.style = oauth2.AuthStyleInHeader
	if len(says.Methods) > 0 && !slices.Contains(says.Methods, "client_secret_basic") {
		found.style = oauth2.AuthStyleInParams
	}
	return found, nil
}

// config is the client, for a login that comes back to redirect.
func (f *discovered) config(s *Settings, redirect string) *oauth2.Config {
	endpoint := f.Endpoint()
	endpoint.AuthStyle = f.style
	if f.secret == "" {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{
		ClientID: s.ClientID, ClientSecret: f.secret, Endpoint: endpoint, RedirectURL: redirect,
		Scopes: append([]string{oidc.ScopeOpenID}, s.Scopes...),
	}
}
