package httpapi

import (
	"context"

	"github.com/greenroom-dev/greenroom/client"
)

// Operations is what the API lets people do. Both engines offer it.
//
// Errors that a caller can do something about are of these kinds, which the
// API turns into problems: *release.Refused, release.ErrUnknown,
// release.ErrStale, config.Errors (documents), *InputError, store.ErrNotFound,
// store.ErrExists, controller.ErrStopped. Any other is the server's own
// failure.
type Operations interface {
	Status(ctx context.Context) (client.Status, error)
	// Changed returns a channel that is closed when Status would answer
	// otherwise in more than its clock and counters.
	Changed() <-chan struct{}

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

	MintPass(ctx context.Context, who string, in client.MintPass) (client.MintedPass, error)
	Passes(ctx context.Context) ([]client.Pass, error)
	RevokePass(ctx context.Context, who, id string, in client.Asked) (client.Pass, error)

	MakeToken(ctx context.Context, who string, in client.MakeToken) (client.MadeToken, error)
	Tokens(ctx context.Context) ([]client.Token, error)
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

// EventQuery chooses events.
type EventQuery struct {
	After   uint64 // event number; 0: from the first
	Tail    bool   // the last Limit ones rather than the first
	Limit   int    // 1..1000
	Release string // only of this release; "" for all
}

// LogQuery chooses log lines.
type LogQuery struct {
	Service string
	Release string // the version that this release brings; "" for all that run
	Tail    int    // lines of each instance to begin with
	Follow  bool
}

// Identity is who a request comes from.
type Identity struct {
	Name string
	Role Role
	Via  string // socket or token
}

// Authenticator knows API tokens.
type Authenticator interface {
	// Token returns the name and role of a token's owner; false when the
	// secret is no token's.
	Token(ctx context.Context, secret string) (name, role string, ok bool, err error)
}

// Role is what an Identity may do; each may do what those before it may.
type Role int

// The roles.
const (
	Viewer   Role = iota + 1 // look
	Tester                   // and make passes
	Operator                 // and open, promote, roll back, settle, abort, apply
	Admin                    // and make tokens, shut down
)

// InputError is a request that can not be understood, with what is wrong.
type InputError struct {
	Problem string
	Remedy  string
}

// Error returns the problem and what to do about it.
func (e *InputError) Error() string {
	if e.Remedy == "" {
		return e.Problem
	}
	return e.Problem + "; " + e.Remedy
}
