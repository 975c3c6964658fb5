package httpapi

import (
	"context"
	"fmt"
)

// Access knows who callers are and what they may do. Each engine has its own:
// ByRole is that of the embedded one.
type Access interface {
	// Holder is who has a bearer token. It returns a *DeniedError when nobody
	// has, and a *BusyError when it does not look; other errors are the server's own failure.
	Holder(ctx context.Context, token string) (Identity, error)
	// Allowed returns nil when who may do it, and a *DeniedError otherwise. who
	// is what Holder returned, the peer of a unix socket, or the zero Identity
	// for a caller who showed nothing.
	Allowed(ctx context.Context, who Identity, what Request) error
}

// Request is what somebody asks to do.
type Request struct {
	Action  Action
	Release string // the one that the path names; "" where it names none
}

// Identity is who a request comes from.
type Identity struct {
	Name string
	Role Role   // 0 where roles say nothing
	Via  string // socket or token
	// Detail is what an Access notes in Holder for Allowed.
	Detail any
}

// DeniedError is why a caller may not do something, and what to do about it.
type DeniedError struct {
	Anonymous bool // the caller is not known; else known, and not allowed
	Problem   string
	Remedy    string
}

// Error returns the problem.
func (e *DeniedError) Error() string { return e.Problem }

// BusyError is why an Access does not look now at what a caller shows.
type BusyError struct {
	Problem string
	Remedy  string
}

// Error returns the problem.
func (e *BusyError) Error() string { return e.Problem }

// Authenticator knows API tokens.
type Authenticator interface {
	// Token returns the name and role of a token's owner; false when the
	// secret is no token's.
	Token(ctx context.Context, secret string) (name, role string, ok bool, err error)
}

// ByRole lets callers do what their role may: that of their API token, or of
// the owner of the unix socket.
func ByRole(tokens Authenticator) Access { return byRole{tokens} }

type byRole struct{ tokens Authenticator }

// tokenRemedy is for callers without a token that is good.
const tokenRemedy = "make one with greenroom token create on the server's machine, and give it with --token or GREENROOM_TOKEN"

func (b byRole) Holder(ctx context.Context, secret string) (Identity, error) {
	name, role, ok, err := b.tokens.Token(ctx, secret)
	if err != nil {
		return Identity{}, fmt.Errorf("look up the token: %w", err)
	}
	known, valid := ParseRole(role)
	if !ok || !valid {
		return Identity{}, &DeniedError{true, "the API token is not known, or revoked", tokenRemedy}
	}
	return Identity{Name: name, Role: known, Via: "token"}, nil
}

func (byRole) Allowed(_ context.Context, who Identity, what Request) error {
	need := what.Action.Role()
	switch {
	case who.Role == 0 && who.Via == "socket":
		return &DeniedError{false, who.Name + " is not the user that greenroom runs as", "run the command as that user, with sudo -u, or use an API token"}
	case who.Role == 0:
		return &DeniedError{true, "this needs an API token", tokenRemedy}
	case who.Role < need:
		return &DeniedError{false, fmt.Sprintf("%s is %s, and this needs %s", who.Name, who.Role, need), "ask an admin for a token of that role"}
	}
	return nil
}
