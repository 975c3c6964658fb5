package signon

import "fmt"

// Kind is why a login did not come about.
type Kind int

// The kinds.
const (
	// Off: there is no provider.
	Off Kind = iota + 1
	// Down: the provider can not be reached, or is not set up right.
	Down
	// Stale: this browser has no such login under way, or no more.
	Stale
	// Turned: the provider said no, or the person did there.
	Turned
	// Refused: what came back is not to be believed.
	Refused
	// NoRole: the person is known, and none of their groups has a role.
	NoRole
)

// Error is why a login did not come about. Its text is for greenroom's log, and
// holds no secret.
type Error struct {
	Kind   Kind
	Person Person // with NoRole
	Err    error
}

// Error returns the reason.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

func fail(k Kind, format string, args ...any) error {
	return &Error{Kind: k, Err: fmt.Errorf(format, args...)}
}
