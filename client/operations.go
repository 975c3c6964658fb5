package client

import (
	"context"
	"net/url"
	"strconv"
)

// Whoami returns who the server takes the caller for.
func (c *Client) Whoami(ctx context.Context) (Whoami, error) {
	return get[Whoami](ctx, c, "/v1/whoami")
}

// Status returns everything that a status screen shows.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return get[Status](ctx, c, "/v1/status")
}

// Doctor returns what goes wrong, or soon will.
func (c *Client) Doctor(ctx context.Context) ([]Finding, error) {
	return get[[]Finding](ctx, c, "/v1/doctor")
}

// Shutdown ends the server.
func (c *Client) Shutdown(ctx context.Context, in Shutdown) error {
	_, err := post[Whoami](ctx, c, "/v1/shutdown", in)
	return err
}

// Fleet returns the fleet as last applied.
func (c *Client) Fleet(ctx context.Context) (Fleet, error) { return get[Fleet](ctx, c, "/v1/fleet") }

// ApplyFleet applies a Fleet document.
func (c *Client) ApplyFleet(ctx context.Context, in FleetApply) (FleetChange, error) {
	return post[FleetChange](ctx, c, "/v1/fleet", in)
}

// Releases returns the releases that are kept, the latest first.
func (c *Client) Releases(ctx context.Context) ([]Release, error) {
	return get[[]Release](ctx, c, "/v1/releases")
}

// Release returns one release.
func (c *Client) Release(ctx context.Context, name string) (Release, error) {
	return get[Release](ctx, c, release(name, ""))
}

// OpenRelease opens a release, or updates it.
func (c *Client) OpenRelease(ctx context.Context, in Open) (Changed, error) {
	return post[Changed](ctx, c, "/v1/releases", in)
}

// Rebase builds a release upon what serves now.
func (c *Client) Rebase(ctx context.Context, name string, in Asked) (Changed, error) {
	return post[Changed](ctx, c, release(name, "/rebase"), in)
}

// Verify runs hooks again.
func (c *Client) Verify(ctx context.Context, name string, in Verify) (Changed, error) {
	return post[Changed](ctx, c, release(name, "/verify"), in)
}

// Promote makes a release what ordinary requests get. When it returns, the
// edge has switched.
func (c *Client) Promote(ctx context.Context, name string, in Promote) (Changed, error) {
	return post[Changed](ctx, c, release(name, "/promote"), in)
}

// Rollback puts back what served before a release. When it returns, the edge
// has switched.
func (c *Client) Rollback(ctx context.Context, name string, in Asked) (Changed, error) {
	return post[Changed](ctx, c, release(name, "/rollback"), in)
}

// Revert opens a release of the versions that another one replaced.
func (c *Client) Revert(ctx context.Context, name string, in Revert) (Changed, error) {
	return post[Changed](ctx, c, release(name, "/revert"), in)
}

// Settle ends a release's rollback window.
func (c *Client) Settle(ctx context.Context, name string, in Asked) (Changed, error) {
	return post[Changed](ctx, c, release(name, "/settle"), in)
}

// Abort ends a release.
func (c *Client) Abort(ctx context.Context, name string, in Asked) (Changed, error) {
	return post[Changed](ctx, c, release(name, "/abort"), in)
}

func release(name, verb string) string { return "/v1/releases/" + url.PathEscape(name) + verb }

// MintPass makes a pass.
func (c *Client) MintPass(ctx context.Context, in MintPass) (MintedPass, error) {
	return post[MintedPass](ctx, c, "/v1/passes", in)
}

// Passes returns the passes that were made.
func (c *Client) Passes(ctx context.Context) ([]Pass, error) {
	return get[[]Pass](ctx, c, "/v1/passes")
}

// RevokePass makes a pass worthless.
func (c *Client) RevokePass(ctx context.Context, id string, in Asked) (Pass, error) {
	return post[Pass](ctx, c, "/v1/passes/"+url.PathEscape(id)+"/revoke", in)
}

// MakeToken makes an API token.
func (c *Client) MakeToken(ctx context.Context, in MakeToken) (MadeToken, error) {
	return post[MadeToken](ctx, c, "/v1/tokens", in)
}

// Tokens returns the API tokens.
func (c *Client) Tokens(ctx context.Context) ([]Token, error) {
	return get[[]Token](ctx, c, "/v1/tokens")
}

// RevokeToken makes an API token worthless.
func (c *Client) RevokeToken(ctx context.Context, idOrName string, in Asked) (Token, error) {
	return post[Token](ctx, c, "/v1/tokens/"+url.PathEscape(idOrName)+"/revoke", in)
}

// EventQuery chooses events.
type EventQuery struct {
	After   uint64 // only events with a higher number
	Last    int    // begin with so many of the last ones instead
	Limit   int    // 1..1000; 100 when 0
	Release string // only those of this release
}

func (q EventQuery) values() string {
	v := url.Values{}
	if q.After > 0 {
		v.Set("after", strconv.FormatUint(q.After, 10))
	}
	if q.Last > 0 {
		v.Set("last", strconv.Itoa(q.Last))
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	if q.Release != "" {
		v.Set("release", q.Release)
	}
	return "?" + v.Encode()
}

// Events returns what happened, in order.
func (c *Client) Events(ctx context.Context, q EventQuery) ([]Event, error) {
	return get[[]Event](ctx, c, "/v1/events"+q.values())
}
