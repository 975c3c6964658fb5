package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Whoami returns who the server takes the caller for.
func (c *Client) Whoami(ctx context.Context) (Whoami, error) {
	return get[Whoami](ctx, c, "/v1/whoami")
}

// Status returns everything that a status screen shows.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return get[Status](ctx, c, "/v1/status")
}

// Flow returns what goes through the fleet: so many of the last points of every
// service and release, 1..150.
func (c *Client) Flow(ctx context.Context, points int) (Flow, error) {
	return get[Flow](ctx, c, "/v1/flow?points="+strconv.Itoa(points))
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

// SignOff says go or no-go of an item of a release's checklist.
func (c *Client) SignOff(ctx context.Context, name string, in Say) (Changed, error) {
	return post[Changed](ctx, c, release(name, "/sign-off"), in)
}

// Approve says that a release may go live.
func (c *Client) Approve(ctx context.Context, name string, in Approve) (Changed, error) {
	return post[Changed](ctx, c, release(name, "/approve"), in)
}

// CancelPromotion takes back that a release is promoted at some time.
func (c *Client) CancelPromotion(ctx context.Context, name string, in Asked) (Changed, error) {
	return post[Changed](ctx, c, release(name, "/cancel-promotion"), in)
}

// LockFleet keeps others than the caller from promoting.
func (c *Client) LockFleet(ctx context.Context, in LockFleet) (Changed, error) {
	return post[Changed](ctx, c, "/v1/fleet/lock", in)
}

// UnlockFleet ends a lock.
func (c *Client) UnlockFleet(ctx context.Context, in UnlockFleet) (Changed, error) {
	return post[Changed](ctx, c, "/v1/fleet/unlock", in)
}

// Notifications returns who is told of events, and how that goes.
func (c *Client) Notifications(ctx context.Context) ([]Notification, error) {
	return get[[]Notification](ctx, c, "/v1/notifications")
}

// TestNotification tells one of them, now, that this is a trial. It returns
// when that was taken, or with why it was not.
func (c *Client) TestNotification(ctx context.Context, name string, in Asked) (Told, error) {
	return post[Told](ctx, c, "/v1/notifications/"+url.PathEscape(name)+"/test", in)
}

func release(name, verb string) string { return "/v1/releases/" + url.PathEscape(name) + verb }

// Hold returns what the edge keeps waiting or turns away.
func (c *Client) Hold(ctx context.Context) (Hold, error) { return get[Hold](ctx, c, "/v1/hold") }

// HoldOn begins a hold, or changes the one that is on. When it returns, the
// edge follows it.
func (c *Client) HoldOn(ctx context.Context, in HoldOn) (HoldChanged, error) {
	return post[HoldChanged](ctx, c, "/v1/hold", in)
}

// HoldOff ends the hold. Requests that waited are resumed, the oldest first.
func (c *Client) HoldOff(ctx context.Context, in Asked) (HoldChanged, error) {
	return post[HoldChanged](ctx, c, "/v1/hold/off", in)
}

// MintPass makes a pass.
func (c *Client) MintPass(ctx context.Context, in MintPass) (MintedPass, error) {
	return post[MintedPass](ctx, c, "/v1/passes", in)
}

// MintCallback makes a callback address.
func (c *Client) MintCallback(ctx context.Context, in MintCallback) (MintedCallback, error) {
	return post[MintedCallback](ctx, c, "/v1/callbacks", in)
}

// Passes returns the passes and callback addresses that were made.
func (c *Client) Passes(ctx context.Context) ([]Pass, error) {
	return get[[]Pass](ctx, c, "/v1/passes")
}

// RevokePass makes a pass or a callback address worthless.
func (c *Client) RevokePass(ctx context.Context, id string, in Asked) (Pass, error) {
	return post[Pass](ctx, c, "/v1/passes/"+url.PathEscape(id)+"/revoke", in)
}

// MakeToken makes an API token.
func (c *Client) MakeToken(ctx context.Context, in MakeToken) (MadeToken, error) {
	return post[MadeToken](ctx, c, "/v1/tokens", in)
}

// MakeLogin makes a link that logs somebody in to the dashboard, once.
func (c *Client) MakeLogin(ctx context.Context, in MakeLogin) (MadeLogin, error) {
	return post[MadeLogin](ctx, c, "/v1/logins", in)
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
	After   uint64    // only events with a higher number
	Last    int       // begin with so many of the last ones instead
	Limit   int       // 1..1000; 100 when 0
	Release string    // only those of this release
	Kinds   []string  // only of these types, as ReleasePromoted
	Who     string    // only by this person
	Since   time.Time // only at that time or later
	Until   time.Time // only before that time
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
	for _, kind := range q.Kinds {
		v.Add("kind", kind)
	}
	if q.Who != "" {
		v.Set("who", q.Who)
	}
	if !q.Since.IsZero() {
		v.Set("since", q.Since.Format(time.RFC3339Nano))
	}
	if !q.Until.IsZero() {
		v.Set("until", q.Until.Format(time.RFC3339Nano))
	}
	return "?" + v.Encode()
}

// Events returns what happened, in order.
func (c *Client) Events(ctx context.Context, q EventQuery) ([]Event, error) {
	return get[[]Event](ctx, c, "/v1/events"+q.values())
}

// EachEvent gives each all events that q chooses, in order, until it fails.
// Last and Limit do not count.
func (c *Client) EachEvent(ctx context.Context, q EventQuery, each func(Event) error) error {
	for q.Last, q.Limit = 0, 1000; ; {
		events, err := c.Events(ctx, q)
		if err != nil {
			return err
		}
		for _, e := range events {
			q.After = e.Seq
			if err := each(e); err != nil {
				return err
			}
		}
		if len(events) < q.Limit {
			return nil
		}
	}
}

// ExportEvents writes all events that q chooses to w, in order, as "jsonl"
// (one JSON object a line) or "csv" (with a header, and without anything that
// a spreadsheet would take for a formula). Last and Limit do not count.
func (c *Client) ExportEvents(ctx context.Context, q EventQuery, format string, w io.Writer) error {
	q.Last, q.Limit = 0, 0
	resp, err := c.do(ctx, http.MethodGet, "/v1/events/export"+q.values()+"&format="+url.QueryEscape(format), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return ErrCut
	}
	return nil
}
