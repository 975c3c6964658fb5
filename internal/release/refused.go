package release

import (
	"errors"
	"fmt"
)

// ErrUnknown is returned when no release has the name.
var ErrUnknown = errors.New("no such release")

// ErrStale is returned when a request names another generation than the
// release has: it changed after the person looked.
var ErrStale = errors.New("the release has changed since it was shown")

// Refused is returned when a rule forbids what was asked. The State stays as
// it was.
type Refused struct {
	Rule   string // a short word for programs: phase, ready, verify, base, stamps, checklist, approvals, freeze, lock, time, reason, canary, name, version, busy, fleet, state, condition
	Reason string
	Remedy string // what to do about it
}

// Error returns reason and remedy as one sentence for people.
func (r *Refused) Error() string {
	if r.Remedy == "" {
		return r.Reason
	}
	return r.Reason + "; " + r.Remedy
}

func refuse(rule, remedy, format string, args ...any) error {
	return &Refused{Rule: rule, Reason: fmt.Sprintf(format, args...), Remedy: remedy}
}

func (s State) find(name string) (Release, error) {
	r, ok := s.Releases[name]
	if !ok {
		return Release{}, fmt.Errorf("%w: %s", ErrUnknown, name)
	}
	return r, nil
}
