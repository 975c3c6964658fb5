package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/pass"
	"github.com/greenroom-dev/greenroom/internal/store"
)

// MintCallback makes an address that outside systems can call, for a release
// that has, or will have, a preview.
func (a *App) MintCallback(_ context.Context, who string, in client.MintCallback) (client.MintedCallback, error) {
	life, ok := pass.CallbackLife(in.For)
	if !ok {
		return client.MintedCallback{}, &httpapi.InputError{Problem: fmt.Sprintf("a callback address cannot be for %q", in.For), Remedy: pass.LifeRemedy}
	}
	callback, err := pass.NewCallback(in.Paths, in.Methods, in.Count)
	if err != nil {
		return client.MintedCallback{}, &httpapi.InputError{Problem: err.Error(), Remedy: pass.PathsRemedy}
	}
	rec := a.controller.Record()
	r, err := previewed(rec, in.Release)
	if err != nil {
		return client.MintedCallback{}, err
	}
	now := a.now().Truncate(time.Second)
	record := store.Pass{
		ID: rand.Text(), Release: r.Name, UID: r.UID, Subject: cmp.Or(in.Subject, who), By: who, Issued: now, Expires: now.Add(life), Callback: &callback,
	}
	if in.DryRun {
		return client.MintedCallback{Pass: a.showPass(record)}, nil
	}
	err = a.store.PutPass(record, a.event("CallbackCreated", r.Name, who, in.Reason, fmt.Sprintf("callback address %s for %s, %s at %s until %s",
		record.ID, record.Subject, strings.Join(callback.Methods, ","), strings.Join(callback.Paths, ","), record.Expires.UTC().Format(time.RFC3339))))
	if err != nil {
		return client.MintedCallback{}, fmt.Errorf("keep the callback address: %w", err)
	}
	a.followCallbacks()
	public := rec.Fleet.Edge.PublicURL
	return client.MintedCallback{Pass: a.showPass(record), Base: callback.Base(public), Addresses: callback.Addresses(public)}, nil
}

// followCallbacks makes the edge take the calls that callback addresses are for
// now. Where they cannot be read, it goes on as before.
func (a *App) followCallbacks() {
	a.calling.Lock()
	defer a.calling.Unlock()
	records, err := a.store.Passes()
	if err != nil {
		a.o.Log.Error("the callback addresses could not be read", "error", err)
		return
	}
	var list []gateway.Callback
	for _, p := range records {
		if p.Callback != nil && p.Revoked.IsZero() && a.now().Before(p.Expires) && !p.UsedUp() {
			list = append(list, gateway.Callback{Callback: *p.Callback, ID: p.ID, Release: p.Release, UID: p.UID, Issued: p.Issued, Expires: p.Expires})
		}
	}
	a.hops.call(list)
}
