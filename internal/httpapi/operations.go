package httpapi

import (
	"context"
	"errors"

	"github.com/greenroom-dev/greenroom/client"
)

// Operations is what the API lets people do. Both engines offer it.
//
// Errors that a caller can do something about are of these kinds, which the
// API turns into problems: *release.Refused, release.ErrUnknown,
// release.ErrStale, config.Errors (documents), *InputError, ErrNotFound,
// ErrExists, controller.ErrStopped. Any other is the server's own failure.
type Operations interface {
	Status(ctx context.Context) (client.Status, error)
	// Changed returns a channel that is closed when Status would answer
	// otherwise in more than its clock and counters.
	Changed() <-chan struct{}

	// Flow returns so many of the last points of every service and release.
	Flow(ctx context.Context, points int) (client.Flow, error)

	Fleet(ctx context.Context) (client.Fleet, error)
	ApplyFleet(ctx context.Context, who string, in client.FleetApply) (client.FleetChange, error)

	Releases(ctx context.Context) ([]client.Release, error)
	Release(ctx context.Context, name string) (client.Release, error)
	OpenRelease(ctx context.Context, who string, in client.Open) (client.Changed, error)
	Rebase(ctx context.Context, who, name string, in client.Asked) (client.Changed, error)
	Verify(ctx context.Context, who, name string, in client.Verify) (client.Changed, error)
	Promote(ctx context.Context, who, name string, in client.Promote) (client.Changed, error)
	Rollback(ctx context.Context, who, name string, in client.Asked) (client.Changed, error)
	Revert(ctx context.Context, who, name string, in client.Revert) (client.Changed, error)
	Settle(ctx context.Context, who, name string, in client.Asked) (client.Changed, error)
	Abort(ctx context.Context, who, name string, in client.Asked) (client.Changed, error)

	// SignOff, Approve and CancelPromotion have a say in a promotion that is
	// yet to come. Promote with a time plans one.
	SignOff(ctx context.Context, who, name string, in client.Say) (client.Changed, error)
	Approve(ctx context.Context, who, name string, in client.Approve) (client.Changed, error)
	CancelPromotion(ctx context.Context, who, name string, in client.Asked) (client.Changed, error)
	LockFleet(ctx context.Context, who string, in client.LockFleet) (client.Changed, error)
	UnlockFleet(ctx context.Context, who string, in client.UnlockFleet) (client.Changed, error)

	Notifications(ctx context.Context) ([]client.Notification, error)
	// TestNotification returns when the receiver has taken a trial.
	TestNotification(ctx context.Context, who, name string, in client.Asked) (client.Told, error)

	Hold(ctx context.Context) (client.Hold, error)
	HoldOn(ctx context.Context, who string, in client.HoldOn) (client.HoldChanged, error)
	HoldOff(ctx context.Context, who string, in client.Asked) (client.HoldChanged, error)

	MintPass(ctx context.Context, who string, in client.MintPass) (client.MintedPass, error)
	MintCallback(ctx context.Context, who string, in client.MintCallback) (client.MintedCallback, error)
	// Passes lists callback addresses too, and RevokePass revokes them.
	Passes(ctx context.Context) ([]client.Pass, error)
	RevokePass(ctx context.Context, who, id string, in client.Asked) (client.Pass, error)

	MakeToken(ctx context.Context, who string, in client.MakeToken) (client.MadeToken, error)
	Tokens(ctx context.Context) ([]client.Token, error)
	MakeLogin(ctx context.Context, who string, in client.MakeLogin) (client.MadeLogin, error)
	RevokeToken(ctx context.Context, who, idOrName string, in client.Asked) (client.Token, error)

	// Events returns events in the order of their numbers: those after the
	// one numbered after, or with tail the last ones.
	Events(ctx context.Context, q EventQuery) ([]client.Event, error)
	// Logs calls each with the last lines of a service's instances and, when
	// it follows, with new ones until ctx is done or each fails.
	Logs(ctx context.Context, q LogQuery, each func(client.LogLine) error) error

	Doctor(ctx context.Context) ([]client.Finding, error)
	// Shutdown begins the end of the server and returns at once.
	Shutdown(ctx context.Context, who string, in client.Shutdown) error
}

// ErrNotFound is returned by Operations when no pass or token has that ID or
// name.
var ErrNotFound = errors.New("not found")

// ErrExists is returned by Operations when a name is taken.
var ErrExists = errors.New("exists already")

// EventQuery chooses events.
type EventQuery struct {
	After   uint64 // event number; 0: from the first
	Tail    bool   // the last Limit ones below Before rather than the first
	Before  uint64 // event number; 0: no bound
	Limit   int    // 1..1000
	Release string // only of this release; "" for all
}

// LogQuery chooses log lines.
type LogQuery struct {
	Service string
	Release string // the version that this release brings; "" for all that run
	Tail    int    // lines of each version to begin with; on Kubernetes of each pod
	Follow  bool
}

// Role is what an Identity may do; each may do what those before it may.
type Role int

// The roles.
const (
	Viewer   Role = iota + 1 // look
	Tester                   // and make passes, sign off
	Operator                 // and open, promote, roll back, settle, abort, hold, apply
	Admin                    // and make tokens, shut down
)

// InputError is a request that can not be understood, with what is wrong.
type InputError struct {
	Problem string
	Remedy  string
}

// PassNeedsOne is the error of who asks for a pass for nothing, or for two
// things at once.
func PassNeedsOne() error {
	return &InputError{Problem: "a pass is for a release or for what serves, and for one of them", Remedy: "name a release, or ask for live"}
}

// Error returns the problem and what to do about it.
func (e *InputError) Error() string {
	if e.Remedy == "" {
		return e.Problem
	}
	return e.Problem + "; " + e.Remedy
}
