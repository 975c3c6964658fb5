package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/pass"
	"github.com/greenroom-dev/greenroom/internal/release"
	"github.com/greenroom-dev/greenroom/internal/store"
)

// MintPass makes a pass for a release that has, or will have, a preview.
func (a *App) MintPass(_ context.Context, who string, in client.MintPass) (client.MintedPass, error) {
	if in.Live == (in.Release != "") {
		return client.MintedPass{}, httpapi.PassNeedsOne()
	}
	life, ok := pass.Life(in.For)
	if !ok {
		return client.MintedPass{}, &httpapi.InputError{Problem: fmt.Sprintf("a pass cannot be for %q", in.For), Remedy: pass.LifeRemedy}
	}
	paths, err := pass.Paths(in.Paths)
	if err != nil {
		return client.MintedPass{}, &httpapi.InputError{Problem: err.Error(), Remedy: pass.PathsRemedy}
	}
	rec := a.controller.Record()
	var r release.Release // none, for what serves
	if !in.Live {
		if r, err = previewed(rec, in.Release); err != nil {
			return client.MintedPass{}, err
		}
	}
	now := a.now().Truncate(time.Second)
	if in.Subject == "" {
		in.Subject = who
	}
	record := store.Pass{
		ID: rand.Text(), Live: in.Live, Release: r.Name, UID: r.UID, Subject: in.Subject, By: who, Issued: now, Expires: now.Add(life), Paths: paths,
	}
	token, err := a.keys.Mint(pass.Claims{
		ID: record.ID, Live: in.Live, Release: r.Name, UID: r.UID, Subject: in.Subject, IssuedAt: now, ExpiresAt: record.Expires, Paths: paths,
	})
	if err != nil {
		return client.MintedPass{}, fmt.Errorf("sign the pass: %w", err)
	}
	out := client.MintedPass{
		Pass: a.showPass(record), Token: token, Header: "Greenroom-Pass: " + token,
		Link: pass.Link(rec.Fleet.Edge.PublicURL, token),
	}
	if in.DryRun {
		return client.MintedPass{Pass: out.Pass}, nil
	}
	if err := a.prunePasses(); err != nil {
		a.o.Log.Warn("passes that expired long ago could not be forgotten", "error", err)
	}
	return out, a.store.PutPass(record, a.event("PassCreated", r.Name, who, in.Reason,
		fmt.Sprintf("pass %s%s%s until %s", record.ID, forLive(in.Live), forSubject(in.Subject), record.Expires.UTC().Format(time.RFC3339))))
}

// previewed returns a release that has, or will have, a preview.
func previewed(rec Record, name string) (release.Release, error) {
	r, ok := rec.State.Releases[name]
	if !ok {
		return release.Release{}, fmt.Errorf("%w: %s", release.ErrUnknown, name)
	}
	if r.Phase.Ended() || r.Phase == release.Settling || r.Phase == release.Failed {
		return release.Release{}, &release.Refused{Rule: "phase", Reason: fmt.Sprintf("%s is %s and has no preview", r.Name, r.Phase),
			Remedy: "passes are for releases from Preparing to Live"}
	}
	return r, nil
}

func forLive(live bool) string {
	if live {
		return " for what serves,"
	}
	return ""
}

func forSubject(subject string) string {
	if subject == "" {
		return ""
	}
	return " for " + subject
}

// Passes lists the passes and callback addresses that were made, the latest
// first.
func (a *App) Passes(context.Context) ([]client.Pass, error) {
	a.passes.flush()
	records, err := a.store.Passes()
	if err != nil {
		return nil, fmt.Errorf("list the passes: %w", err)
	}
	out := make([]client.Pass, 0, len(records))
	for _, p := range records {
		out = append(out, a.showPass(p))
	}
	slices.SortFunc(out, func(x, y client.Pass) int {
		return cmp.Or(y.Issued.Compare(x.Issued), cmp.Compare(x.ID, y.ID))
	})
	return out, nil
}

func (a *App) showPass(p store.Pass) client.Pass {
	out := client.Pass{
		ID: p.ID, Kind: "pass", Live: p.Live, Release: p.Release, Subject: p.Subject, By: p.By, Issued: p.Issued, Expires: p.Expires,
		Revoked: p.Revoked, RevokedBy: p.RevokedBy, LastUse: p.LastUse, State: "valid", Paths: p.Paths, Used: p.Used,
	}
	if c := p.Callback; c != nil {
		out.Kind, out.Paths, out.Methods, out.Count = "callback", c.Paths, c.Methods, c.Count
	}
	r, ok := a.controller.Record().State.Releases[p.Release]
	switch {
	case !p.Revoked.IsZero():
		out.State = "revoked"
	case !a.now().Before(p.Expires):
		out.State = "expired"
	case p.UsedUp():
		out.State = "used-up"
	case p.Live:
	case !ok || r.UID != p.UID || r.Phase.Ended() || r.Phase == release.Failed:
		out.State = "ended"
	}
	return out
}

func kindOf(p store.Pass) string {
	if p.Callback != nil {
		return "callback address"
	}
	return "pass"
}

// RevokePass makes a pass or a callback address worthless at once.
func (a *App) RevokePass(_ context.Context, who, id string, in client.Asked) (client.Pass, error) {
	records, err := a.store.Passes()
	if err != nil {
		return client.Pass{}, fmt.Errorf("list the passes: %w", err)
	}
	i := slices.IndexFunc(records, func(p store.Pass) bool { return p.ID == id })
	if i < 0 {
		return client.Pass{}, fmt.Errorf("pass %s: %w", id, httpapi.ErrNotFound)
	}
	p := records[i]
	if in.DryRun || !p.Revoked.IsZero() {
		return a.showPass(p), nil
	}
	p.Revoked, p.RevokedBy = a.now(), who
	if err := a.store.RevokePass(id, p.Revoked, who, a.event("PassRevoked", p.Release, who, in.Reason, kindOf(p)+" "+id+forSubject(p.Subject))); err != nil {
		return client.Pass{}, fmt.Errorf("revoke the pass: %w", err)
	}
	if p.Callback != nil {
		a.followCallbacks()
	} else {
		a.hops.revoke(id)
	}
	return a.showPass(p), nil
}

// Token returns whose API token a secret is.
func (a *App) Token(_ context.Context, secret string) (name, role string, ok bool, err error) {
	t, ok, err := a.store.TokenBySecret(secret)
	if err != nil || !ok {
		return "", "", false, err
	}
	a.passes.usedToken(t.ID)
	return t.Name, t.Role, true, nil
}

// MakeToken makes an API token; its secret is shown this once.
func (a *App) MakeToken(_ context.Context, who string, in client.MakeToken) (client.MadeToken, error) {
	secret, hash := store.NewSecret()
	t := store.Token{ID: rand.Text(), Name: in.Name, Role: in.Role, Hash: hash, Created: a.now(), By: who}
	if in.DryRun {
		return client.MadeToken{Token: showToken(t)}, nil
	}
	err := a.store.PutToken(t, a.event("TokenCreated", "", who, in.Reason, in.Role+" token "+in.Name))
	if errors.Is(err, store.ErrExists) {
		return client.MadeToken{}, fmt.Errorf("a token %s %w", in.Name, httpapi.ErrExists)
	}
	if err != nil {
		return client.MadeToken{}, fmt.Errorf("keep the token %s: %w", in.Name, err)
	}
	return client.MadeToken{Token: showToken(t), Secret: secret}, nil
}

// Tokens lists the API tokens by name.
func (a *App) Tokens(context.Context) ([]client.Token, error) {
	a.passes.flush()
	records, err := a.store.Tokens()
	if err != nil {
		return nil, fmt.Errorf("list the tokens: %w", err)
	}
	out := make([]client.Token, 0, len(records))
	for _, t := range records {
		out = append(out, showToken(t))
	}
	slices.SortFunc(out, func(x, y client.Token) int { return cmp.Compare(x.Name, y.Name) })
	return out, nil
}

func showToken(t store.Token) client.Token {
	return client.Token{ID: t.ID, Name: t.Name, Role: t.Role, Created: t.Created, By: t.By, LastUse: t.LastUse}
}

// RevokeToken makes an API token worthless at once.
func (a *App) RevokeToken(_ context.Context, who, idOrName string, in client.Asked) (client.Token, error) {
	records, err := a.store.Tokens()
	if err != nil {
		return client.Token{}, fmt.Errorf("list the tokens: %w", err)
	}
	i := slices.IndexFunc(records, func(t store.Token) bool { return t.ID == idOrName || t.Name == idOrName })
	if i < 0 && a.wasRevoked(idOrName) {
		return client.Token{Name: idOrName}, nil
	}
	if i < 0 {
		return client.Token{}, fmt.Errorf("token %s: %w", idOrName, httpapi.ErrNotFound)
	}
	t := records[i]
	if in.DryRun {
		return showToken(t), nil
	}
	if err := a.store.RevokeToken(t.ID, a.event("TokenRevoked", "", who, in.Reason, "token "+t.Name)); err != nil {
		return client.Token{}, fmt.Errorf("revoke the token: %w", err)
	}
	return showToken(t), nil
}

// wasRevoked reports whether the last events tell of a token's end: it is not
// kept, and to revoke it again is no mistake.
func (a *App) wasRevoked(name string) bool {
	const far = 1000
	events, err := a.store.EventsBefore(0, store.Filter{Limit: far})
	return err == nil && slices.ContainsFunc(events, func(e store.Event) bool {
		return e.Type == "TokenRevoked" && e.Message == "token "+name
	})
}
