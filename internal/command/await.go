package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/greenroom-dev/greenroom/client"
)

// errEnough ends a stream whose end has been seen.
var errEnough = errors.New("enough")

// await follows a release until done says so, showing what it waits for.
func (a *App) await(ctx context.Context, api *client.Client, name string, w Waiting, done func(client.Release) (bool, error)) (client.Release, error) {
	ctx, cancel := context.WithTimeout(ctx, w.Timeout)
	defer cancel()
	show := a.NewProgress()
	defer show.End()
	var last client.Release
	var outcome error
	err := api.FollowStatus(ctx, func(s client.Status) error {
		i := slices.IndexFunc(s.Releases, func(r client.Release) bool { return r.Name == name })
		if i < 0 {
			outcome = fmt.Errorf("%s is gone; greenroom events says why", name)
			return errEnough
		}
		last = s.Releases[i]
		var over bool
		if over, outcome = done(last); over {
			return errEnough
		}
		show.Say(name + " is " + last.Phase + ": " + cmp.Or(last.Reason, "…"))
		return nil
	})
	switch {
	case errors.Is(err, errEnough):
		return last, outcome
	case errors.Is(err, context.Canceled):
		return last, fmt.Errorf("interrupted; %s goes on: greenroom status --watch", name)
	case errors.Is(err, context.DeadlineExceeded):
		return last, &CodedError{fmt.Errorf("%s is still %s after %s (%s); it goes on: greenroom status --watch", name, last.Phase, roundly(w.Timeout), cmp.Or(last.Reason, "no reason given")), TimedOut}
	}
	return last, err
}

// roundly is how long was waited, as people say it: a part of what they asked
// for may have gone into what came before.
func roundly(d time.Duration) time.Duration {
	if d > time.Second {
		return d.Round(time.Second)
	}
	return d.Round(time.Millisecond)
}

// AwaitPreview waits until a release that was opened is Previewing.
func (a *App) AwaitPreview(ctx context.Context, api *client.Client, name string, w Waiting) (client.Release, error) {
	return a.await(ctx, api, name, w, func(r client.Release) (bool, error) {
		switch r.Phase {
		case "Preparing":
			return false, nil
		case "Failed", "Aborted":
			return true, fmt.Errorf("%s has %s: %s", name, strings.ToLower(r.Phase), cmp.Or(r.Reason, "greenroom events says why"))
		}
		return true, nil
	})
}
