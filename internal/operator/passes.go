package operator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	api "github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/operator/passbook"
	"github.com/greenroom-dev/greenroom/internal/pass"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// MintPass makes a pass for a release that has, or will have, a preview. None
// is made while the gateways could take other tokens for passes.
func (e *Engine) MintPass(ctx context.Context, who string, in api.MintPass) (api.MintedPass, error) {
	if in.Live == (in.Release != "") {
		return api.MintedPass{}, httpapi.PassNeedsOne()
	}
	life, ok := pass.Life(in.For)
	if !ok {
		return api.MintedPass{}, &httpapi.InputError{Problem: fmt.Sprintf("a pass cannot be for %q", in.For), Remedy: pass.LifeRemedy}
	}
	if len(in.Paths) > 0 {
		return api.MintedPass{}, &release.Refused{Rule: "unsupported", Reason: "on Kubernetes a pass is for every path: the gateways cannot limit it",
			Remedy: "leave the paths out"}
	}
	var r release.Release // none, for what serves
	if !in.Live {
		var err error
		if r, err = e.previewed(in.Release); err != nil {
			return api.MintedPass{}, err
		}
	}
	waits, cancel := context.WithTimeout(ctx, promoteTimeout)
	defer cancel()
	if err := e.status.awaitTold(waits); err != nil {
		return api.MintedPass{}, err
	}
	for _, c := range e.status.told() {
		if c.Type == kubernetes.PassesBlocked {
			return api.MintedPass{}, &release.Refused{Rule: c.Type, Reason: c.Object + ": " + c.Message, Remedy: c.Remedy}
		}
	}
	ask := passbook.Request{Live: in.Live, Release: r.Name, UID: r.UID, Subject: cmp.Or(in.Subject, who), By: who, Life: life}
	if in.DryRun {
		p, _, err := e.book.Draft(ask, e.d.Now())
		return api.MintedPass{Pass: e.showPass(p)}, err
	}
	p, token, err := e.book.Mint(ctx, ask, e.d.Now())
	if err != nil {
		return api.MintedPass{}, fmt.Errorf("make the pass: %w", err)
	}
	e.note(ctx, api.Event{Type: "PassCreated", Release: r.Name, Who: who, Why: in.Reason,
		Message: fmt.Sprintf("pass %s for %s until %s", p.ID, p.Subject, p.Expires.UTC().Format("2006-01-02T15:04:05Z"))})
	return api.MintedPass{Pass: e.showPass(p), Token: token, Header: "Greenroom-Pass: " + token, Link: pass.Link(e.edgeURL(), token)}, nil
}

// previewed returns a release that has, or will have, a preview.
func (e *Engine) previewed(name string) (release.Release, error) {
	r, ok := e.controller.Record().State.Releases[name]
	if !ok {
		return release.Release{}, fmt.Errorf("%w: %s", release.ErrUnknown, name)
	}
	if r.Phase.Ended() || r.Phase == release.Settling || r.Phase == release.Failed {
		return release.Release{}, &release.Refused{Rule: "phase", Reason: fmt.Sprintf("%s is %s and has no preview", r.Name, r.Phase),
			Remedy: "passes are for releases from Preparing to Live"}
	}
	return r, nil
}

// Passes lists the passes and callback addresses that were made, the latest
// first.
func (e *Engine) Passes(context.Context) ([]api.Pass, error) {
	out := []api.Pass{}
	for _, p := range e.book.List() {
		out = append(out, e.showPass(p))
	}
	slices.SortStableFunc(out, func(x, y api.Pass) int { return y.Issued.Compare(x.Issued) })
	return out, nil
}

func (e *Engine) showPass(p passbook.Pass) api.Pass {
	out := api.Pass{
		ID: p.ID, Kind: "pass", Live: p.Live, Release: p.Release, Subject: p.Subject, By: p.By, Issued: p.Issued, Expires: p.Expires,
		Revoked: p.Revoked, RevokedBy: p.RevokedBy, State: "valid",
	}
	if c := p.Callback; c != nil {
		out.Kind, out.Paths, out.Methods = "callback", c.Paths, c.Methods
	}
	r, ok := e.controller.Record().State.Releases[p.Release]
	switch {
	case !p.Revoked.IsZero():
		out.State = "revoked"
	case !e.d.Now().Before(p.Expires):
		out.State = "expired"
	case p.Live:
	case !ok || r.UID != p.UID || r.Phase.Ended() || r.Phase == release.Failed:
		out.State = "ended"
	}
	return out
}

// RevokePass takes a pass or a callback address back: durable at once, in force when the gateways
// have heard of it.
func (e *Engine) RevokePass(ctx context.Context, who, id string, in api.Asked) (api.Pass, error) {
	list := e.book.List()
	i := slices.IndexFunc(list, func(p passbook.Pass) bool { return p.ID == id })
	if i < 0 {
		return api.Pass{}, fmt.Errorf("pass %s: %w", id, httpapi.ErrNotFound)
	}
	if in.DryRun || !list[i].Revoked.IsZero() {
		return e.showPass(list[i]), nil
	}
	p, err := e.book.Revoke(ctx, id, who, in.Reason, e.d.Now())
	if errors.Is(err, passbook.ErrNotFound) {
		return api.Pass{}, fmt.Errorf("pass %s: %w", id, httpapi.ErrNotFound)
	}
	if err != nil {
		return api.Pass{}, fmt.Errorf("revoke the pass: %w", err)
	}
	e.note(ctx, api.Event{Type: "PassRevoked", Release: p.Release, Who: who, Why: in.Reason, Message: "pass " + id + " for " + p.Subject})
	e.ask()
	return e.showPass(p), nil
}
