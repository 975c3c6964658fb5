package passbook

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/greenroom-dev/greenroom/internal/pass"
)

var (
	// ErrRevoked is returned by Verify for a pass that somebody took back.
	ErrRevoked = errors.New("the pass was revoked")
	// ErrNotFound is returned for a pass that is in no list.
	ErrNotFound = errors.New("no such pass")
	// ErrFull is returned when no more passes can be remembered.
	ErrFull = errors.New("the list of passes is full")
	// ErrListLost is returned when the list is gone and the keys are not:
	// passes that were revoked would open again.
	ErrListLost = errors.New("the list of passes is gone, and with it which were revoked")

	errUnchanged = errors.New("unchanged")
)

// Request asks for a pass.
type Request struct {
	Live    bool // for what serves: it names no release
	Release string
	UID     string // of the release
	Subject string // whom it is for
	By      string // who asks
	Life    time.Duration
}

// Draft returns the pass that a request comes to, and its token, without
// writing it down.
func (b *Book) Draft(r Request, now time.Time) (p Pass, token string, err error) {
	if r.Life < pass.Shortest || r.Life > pass.Longest {
		return Pass{}, "", fmt.Errorf("a pass cannot be for %s: %s", r.Life, pass.LifeRemedy)
	}
	issued := now.Truncate(time.Second).UTC()
	p = Pass{
		ID: rand.Text(), Live: r.Live, Release: r.Release, UID: r.UID, Subject: r.Subject, By: r.By,
		Issued: issued, Expires: issued.Add(r.Life),
	}
	token, err = b.Sign(pass.Claims{
		ID: p.ID, Live: p.Live, Release: p.Release, UID: p.UID, Subject: p.Subject, IssuedAt: p.Issued, ExpiresAt: p.Expires,
	})
	return p, token, err
}

// Mint makes a pass: it is in the list when its token is returned. It fails
// with ErrFull when the list takes no more.
func (b *Book) Mint(ctx context.Context, r Request, now time.Time) (p Pass, token string, err error) {
	if p, token, err = b.Draft(r, now); err != nil {
		return Pass{}, "", err
	}
	b.edit.Lock()
	defer b.edit.Unlock()
	err = b.change(ctx, now, func(passes []Pass) ([]Pass, error) { return append(passes, p), nil })
	if err != nil {
		return Pass{}, "", err
	}
	return p, token, nil
}

// Keep writes a callback address down.
func (b *Book) Keep(ctx context.Context, r Request, c pass.Callback, now time.Time) (Pass, error) {
	issued := now.Truncate(time.Second).UTC()
	p := Pass{
		ID: rand.Text(), Release: r.Release, UID: r.UID, Subject: r.Subject, By: r.By, Issued: issued, Expires: issued.Add(r.Life), Callback: &c,
	}
	b.edit.Lock()
	defer b.edit.Unlock()
	err := b.change(ctx, now, func(passes []Pass) ([]Pass, error) { return append(passes, p), nil })
	if err != nil {
		return Pass{}, err
	}
	return p, nil
}

// Callbacks returns the callback addresses that can be called at a time, the
// newest first, and when that changes by itself, zero for never.
func (b *Book) Callbacks(now time.Time) (list []Pass, until time.Time) {
	for _, p := range b.List() {
		if p.Callback == nil || !p.Revoked.IsZero() || !now.Before(p.Expires) {
			continue
		}
		list = append(list, p)
		if until.IsZero() || p.Expires.Before(until) {
			until = p.Expires
		}
	}
	slices.Reverse(list)
	return list, until
}

// List returns the passes that are remembered, by time of issue.
func (b *Book) List() []Pass {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return slices.Clone(b.list.passes)
}

// Revoked returns the IDs of the passes that were revoked and have not expired,
// in order.
func (b *Book) Revoked(now time.Time) []string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return revoked(b.list.passes, now)
}

// Live reports whether a pass for what serves has not expired, revoked or not.
func (b *Book) Live(now time.Time) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return slices.ContainsFunc(b.list.passes, func(p Pass) bool { return p.Live && now.Before(p.Expires) })
}

// Revoke takes a pass back. It is durable when Revoke returns, and in force
// when the gateways know it. Revoking it again keeps who did it first. It fails
// with ErrNotFound for a pass that is not in the list.
func (b *Book) Revoke(ctx context.Context, id, by, why string, now time.Time) (Pass, error) {
	b.edit.Lock()
	defer b.edit.Unlock()
	var revoked Pass
	err := b.change(ctx, now, func(passes []Pass) ([]Pass, error) {
		i := slices.IndexFunc(passes, func(p Pass) bool { return p.ID == id })
		if i < 0 {
			return nil, fmt.Errorf("pass %s: %w", id, ErrNotFound)
		}
		if !passes[i].Revoked.IsZero() {
			revoked = passes[i]
			return nil, errUnchanged
		}
		passes[i].Revoked, passes[i].RevokedBy, passes[i].RevokedWhy = now.UTC(), by, why
		revoked = passes[i]
		return passes, nil
	})
	if err != nil {
		return Pass{}, err
	}
	return revoked, nil
}
