package operator

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	api "github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/operator/passbook"
	"github.com/greenroom-dev/greenroom/internal/pass"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// MintCallback makes an address that outside systems can call: a route of the
// gateways that nobody can guess. They are told of it when it is kept, and follow
// within seconds.
func (e *Engine) MintCallback(ctx context.Context, who string, in api.MintCallback) (api.MintedCallback, error) {
	life, ok := pass.CallbackLife(in.For)
	if !ok {
		return api.MintedCallback{}, &httpapi.InputError{Problem: fmt.Sprintf("a callback address cannot be for %q", in.For), Remedy: pass.LifeRemedy}
	}
	callback, err := pass.NewCallback(in.Paths, in.Methods, in.Count)
	if err != nil {
		return api.MintedCallback{}, &httpapi.InputError{Problem: err.Error(), Remedy: pass.PathsRemedy}
	}
	if in.Count > 0 {
		return api.MintedCallback{}, &release.Refused{Rule: "unsupported", Reason: "on Kubernetes a callback address takes any number of calls: the gateways do not count them",
			Remedy: "leave the count out, and let it hold for a short time"}
	}
	r, err := e.previewed(in.Release)
	if err != nil {
		return api.MintedCallback{}, err
	}
	ask := passbook.Request{Release: r.Name, UID: r.UID, Subject: cmp.Or(in.Subject, who), By: who, Life: life}
	if in.DryRun {
		now := e.d.Now().Truncate(time.Second).UTC()
		return api.MintedCallback{Pass: e.showPass(passbook.Pass{Release: r.Name, UID: r.UID, Subject: ask.Subject, By: who, Issued: now, Expires: now.Add(life), Callback: &callback})}, nil
	}
	p, err := e.book.Keep(ctx, ask, callback, e.d.Now())
	if err != nil {
		return api.MintedCallback{}, fmt.Errorf("keep the callback address: %w", err)
	}
	e.note(ctx, api.Event{Type: "CallbackCreated", Release: r.Name, Who: who, Why: in.Reason,
		Message: fmt.Sprintf("callback address %s for %s, %s at %s until %s", p.ID, p.Subject, strings.Join(callback.Methods, ","), strings.Join(callback.Paths, ","), p.Expires.UTC().Format(time.RFC3339))})
	e.ask()
	return api.MintedCallback{Pass: e.showPass(p), Base: callback.Base(e.edgeURL()), Addresses: callback.Addresses(e.edgeURL())}, nil
}

// callbacks are the callback addresses that can be called now, as the gateways'
// routes have them.
func (e *Engine) callbacks() []kubernetes.Callback {
	list, _ := e.book.Callbacks(e.d.Now())
	var out []kubernetes.Callback
	for _, p := range list {
		out = append(out, kubernetes.Callback{
			Token: p.Callback.Token, Base: p.Callback.Base(e.edgeURL()), Release: p.Release, UID: p.UID, Paths: p.Callback.Paths, Methods: p.Callback.Methods,
		})
	}
	return out
}
