package signon

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"net/url"
	"regexp"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/greenroom-dev/greenroom/internal/httpapi"
)

// Person is who the provider says that somebody is.
type Person struct {
	Name     string
	Groups   []string
	Issuer   string // that said so,
	ClientID string // to this client
	Role     httpapi.Role
	Session  time.Duration // how long they stay logged in
}

// Start is what sends a browser to the provider.
type Start struct {
	URL    string // the provider's page
	Cookie string // what the browser has to bring back, for PendingLife
}

// Wish is what somebody wants who logs in.
type Wish struct {
	Site  string // scheme, host and port of the dashboard as the browser asks for it
	Path  string // of the page that the provider sends them back to
	To    string // where they want to go
	Other bool   // choose among accounts, rather than take the one that the provider knows
}

// Begin begins a login. Its errors are *Error: Off or Down.
func (p *Provider) Begin(ctx context.Context, w Wish) (Start, error) {
	t := p.target()
	if t == nil {
		return Start{}, fail(Off, "the fleet names no provider")
	}
	found, err := p.discover(ctx, t)
	if err != nil {
		return Start{}, err
	}
	site := t.PublicURL
	if site == "" {
		site = w.Site
	}
	now := pending{
		State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Issuer: t.Issuer, ClientID: t.ClientID,
		Redirect: site + w.Path, To: w.To, Ends: p.now().Add(PendingLife),
	}
	cookie, err := p.sealer.seal(now)
	if err != nil {
		return Start{}, err
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(now.Nonce), oauth2.S256ChallengeOption(now.Verifier)}
	if w.Other {
		options = append(options, oauth2.SetAuthURLParam("prompt", "select_account"))
	}
	return Start{URL: found.config(t.Settings, now.Redirect).AuthCodeURL(now.State, options...), Cookie: cookie}, nil
}

// word is what the provider's codes of errors look like.
var word = regexp.MustCompile(`^[a-z_]{1,40}$`)

// Finish ends a login with what the browser brought: the cookie, and the
// query that the provider sent it back with. It returns who it is, and where
// they wanted to go. Its errors are *Error.
func (p *Provider) Finish(ctx context.Context, cookie string, query url.Values) (who Person, to string, err error) {
	t := p.target()
	if t == nil {
		return Person{}, "", fail(Off, "the fleet names no provider")
	}
	was, ok := p.sealer.open(cookie)
	switch {
	case !ok, !p.now().Before(was.Ends), was.Issuer != t.Issuer, was.ClientID != t.ClientID:
		return Person{}, "", fail(Stale, "the browser has no such login under way")
	case subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(was.State)) != 1:
		return Person{}, was.To, fail(Refused, "the state is not that of the login")
	case query.Has("iss") && query.Get("iss") != t.Issuer:
		return Person{}, was.To, fail(Refused, "another issuer answers")
	case query.Has("error"):
		code := query.Get("error")
		if !word.MatchString(code) {
			code = "an error"
		}
		return Person{}, was.To, fail(Turned, "the provider says %s", code)
	case query.Get("code") == "":
		return Person{}, was.To, fail(Refused, "there is no code")
	}
	found, err := p.discover(ctx, t)
	if err != nil {
		return Person{}, was.To, err
	}
	// The context is the request's: who goes away while the code is exchanged
	// has to log in again anyway.
	said, err := p.redeem(oidc.ClientContext(ctx, found.client), t, found, was, query.Get("code"))
	if err != nil {
		return Person{}, was.To, err
	}
	who = Person{Groups: said.groups(t.GroupsClaim), Issuer: t.Issuer, ClientID: t.ClientID, Session: t.Session}
	if who.Name, err = said.name(t.UsernameClaim); err != nil {
		return Person{}, was.To, &Error{Kind: Refused, Err: err}
	}
	if who.Role = t.role(who.Groups); who.Role == 0 {
		return Person{}, was.To, &Error{Kind: NoRole, Person: who, Err: errors.New("none of their groups has a role")}
	}
	return who, was.To, nil
}

// redeem turns a code into what the provider says of a person.
func (p *Provider) redeem(ctx context.Context, t *target, found *discovered, was pending, code string) (claims, error) {
	token, err := found.config(t.Settings, was.Redirect).Exchange(ctx, code, oauth2.VerifierOption(was.Verifier))
	var no *oauth2.RetrieveError
	switch {
	case errors.As(err, &no) && no.ErrorCode == "invalid_client":
		return nil, fail(Down, "the provider does not take the client's id and secret")
	case errors.As(err, &no) && no.Response.StatusCode < 500:
		return nil, fail(Refused, "the provider does not take the code: %s", no.ErrorCode)
	case errors.As(err, &no):
		return nil, fail(Down, "the provider answered with %s", no.Response.Status)
	case err != nil:
		t.forget()
		return nil, &Error{Kind: Down, Err: err}
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return nil, fail(Refused, "the provider sent no ID token")
	}
	id, err := found.Verifier(&oidc.Config{ClientID: t.ClientID, Now: p.now}).Verify(ctx, raw)
	if err != nil {
		return nil, fail(Refused, "the ID token is not to be believed: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(was.Nonce)) != 1 {
		return nil, fail(Refused, "the ID token is of another login: its nonce differs")
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(token.AccessToken); err != nil {
			return nil, fail(Refused, "the ID token goes with another access token: %w", err)
		}
	}
	said := claims{}
	if err := id.Claims(&said); err != nil {
		return nil, fail(Refused, "the ID token can not be read: %w", err)
	}
	if !said.lacks(t.Settings) || found.UserInfoEndpoint() == "" {
		return said, nil
	}
	return said, askMore(ctx, found, token, id.Subject, said)
}

// askMore asks the provider's other endpoint for what the ID token does not say.
func askMore(ctx context.Context, found *discovered, token *oauth2.Token, subject string, said claims) error {
	more, err := found.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return fail(Down, "ask the provider for more about the person: %w", err)
	}
	if more.Subject != subject {
		return fail(Refused, "the provider speaks of another person than its ID token")
	}
	others := claims{}
	if err := more.Claims(&others); err != nil {
		return fail(Refused, "what the provider says of the person can not be read: %w", err)
	}
	said.fill(others)
	return nil
}
