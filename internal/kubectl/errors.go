package kubectl

import (
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/greenroom-dev/greenroom/client"
)

// reachError is what is in the way to the operator, and what to do about it.
type reachError struct {
	problem string
	remedy  string
	err     error
}

// Error returns the problem.
func (e *reachError) Error() string { return e.problem }

// Unwrap returns what is behind it.
func (e *reachError) Unwrap() error { return e.err }

// unreachable is a reachError that ends a command as when no server answers.
func unreachable(problem, remedy string, err error) error {
	return &reachError{problem, remedy, errors.Join(client.ErrUnreachable, err)}
}

// reasonOf is what the API server says, without what was asked of it.
func reasonOf(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Message != "" {
		return status.Status().Message
	}
	return err.Error()
}
