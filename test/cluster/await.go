package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// pollEvery is how often a condition that can't be subscribed to is looked at.
const pollEvery = 100 * time.Millisecond

// permanentError ends an await: waiting on can't help.
type permanentError struct{ error }

func (e *permanentError) Unwrap() error { return e.error }

// await asks until the condition returns nil, at most for the bound. Its error
// names what was waited for and what the last answer was.
func await(ctx context.Context, what string, bound time.Duration, condition func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := condition(ctx)
		var permanent *permanentError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &permanent):
			return permanent.error
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s isn't there after %v: %w", what, bound, err)
		case <-tick.C:
		}
	}
}
