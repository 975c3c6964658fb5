package verbs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/notify"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// Notifications shows how it goes with those who are told of events.
func Notifications(states []notify.State) []client.Notification {
	out := []client.Notification{}
	for _, s := range states {
		out = append(out, client.Notification{
			Name: s.Name, Kind: s.Kind, To: s.Host, Told: s.Told, Waiting: s.Waiting, LastTold: s.LastTold,
			Failing: s.Failing, Since: s.Since, Attempts: s.Attempts, GivenUp: s.GivenUp, NextTry: s.NextTry,
		})
	}
	return out
}

// TestNotification tells one receiver that this is a trial. note keeps in the
// event log how it went.
func TestNotification(ctx context.Context, n *notify.Notifier, who, name string, in client.Asked, note func(message string)) (client.Told, error) {
	if in.DryRun {
		return client.Told{Name: name, Message: "nothing was sent"}, nil
	}
	host, took, err := n.Test(ctx, name, who)
	switch {
	case errors.Is(err, notify.ErrUnknown):
		return client.Told{}, &httpapi.InputError{Problem: fmt.Sprintf("the fleet has no notification %q", name), Remedy: "greenroom notify list shows those there are"}
	case err != nil:
		note(name + " did not take a trial: " + err.Error())
		return client.Told{}, &release.Refused{Rule: "notify", Reason: name + " did not take it: " + err.Error(), Remedy: "look at spec.notify of the Fleet, and at the receiver"}
	}
	note(name + " took a trial")
	return client.Told{Name: name, Took: took.Round(time.Millisecond).String(), Message: fmt.Sprintf("%s at %s took it, in %s", name, host, took.Round(time.Millisecond))}, nil
}

// ExamineNotifications says who could not be told.
func ExamineNotifications(states []notify.State) []client.Finding {
	var out []client.Finding
	for _, s := range states {
		f := client.Finding{Check: "notification", Level: "ok", Subject: s.Name, Message: "is told of what happens"}
		switch {
		case s.Failing != "":
			f.Level = "problem"
			f.Message = fmt.Sprintf("is not told since %s: %s; %d events wait", s.Since.Local().Format(time.DateTime), s.Failing, s.Waiting)
			f.Remedy = "mend it, then greenroom notify test " + s.Name
		case s.GivenUp > 0:
			f.Level = "warning"
			f.Message = fmt.Sprintf("%d events were never taken, since greenroom started", s.GivenUp)
			f.Remedy = "the log says which, and why; greenroom events has them"
		}
		out = append(out, f)
	}
	return out
}
