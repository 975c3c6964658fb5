package command

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
)

// formats marks commands that write more than text and json.
const formats = "greenroom.dev/formats"

// EventsCommand shows what happened.
func (a *App) EventsCommand() *cobra.Command {
	q := client.EventQuery{}
	var follow bool
	var from, until string
	cmd := &cobra.Command{
		Use: "events", Short: "Show what happened: who, when, why", Args: NoArgs,
		Annotations: map[string]string{formats: "jsonl csv"},
		Example: `  greenroom events --release r42 --kind ReleasePromoted,ReleaseRolledBack
  greenroom events --since 2026-11-01 --who ann -o csv > november.csv`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if from != "" {
				if q.Since, err = since(from, time.Local, time.Now()); err != nil {
					return err
				}
			}
			if until != "" {
				if q.Until, err = since(until, time.Local, time.Now()); err != nil {
					return err
				}
			}
			api, err := a.Connection.Client(cmd.Context())
			if err != nil {
				return err
			}
			if a.output == "jsonl" || a.output == "csv" {
				if follow || cmd.Flags().Changed("last") {
					return BadInputf("-o %s writes all events that are chosen; leave out --last and --follow", a.output)
				}
				return api.ExportEvents(cmd.Context(), q, a.output, a.Env.Stdout)
			}
			shown := 0
			show := func(e client.Event) error {
				shown++
				if a.JSON() {
					return a.PrintLine(e)
				}
				_, err := fmt.Fprintln(a.Env.Stdout, eventLine(e))
				return err
			}
			if follow {
				return unlessInterrupted(cmd, api.FollowEvents(cmd.Context(), q, show))
			}
			if from != "" && !cmd.Flags().Changed("last") {
				q.Last = 0
				err = api.EachEvent(cmd.Context(), q, show)
			} else {
				err = lastEvents(cmd.Context(), api, q, show)
			}
			if err == nil && shown == 0 && !a.JSON() {
				a.Note("%s", noEvents(q))
			}
			return err
		},
	}
	cmd.Flags().IntVarP(&q.Last, "last", a.letter("n"), 50, "so many of the last events, at most 1000; with --since all")
	cmd.Flags().StringVar(&q.Release, "release", "", "only of this release")
	flagNames(cmd, "release", a.Releases())
	cmd.Flags().StringSliceVar(&q.Kinds, "kind", nil, "only of these types, as ReleasePromoted")
	cmd.Flags().StringVar(&q.Who, "who", "", "only by this person")
	cmd.Flags().StringVar(&from, "since", "", "only from then on: 2h or 7d before now, 2026-11-27, or 2026-11-27 15:00")
	cmd.Flags().StringVar(&until, "until", "", "only before then")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with new ones until interrupted")
	return cmd
}

func lastEvents(ctx context.Context, api *client.Client, q client.EventQuery, show func(client.Event) error) error {
	events, err := api.Events(ctx, q)
	for _, e := range events {
		if err := show(e); err != nil {
			return err
		}
	}
	return err
}

// noEvents tells a person that nothing is shown.
func noEvents(q client.EventQuery) string {
	if len(q.Kinds) > 0 {
		return "No events of this kind; types are such as ReleasePromoted."
	}
	return "No such events."
}

func eventLine(e client.Event) string {
	return fmt.Sprintf("%s  %-18s %-10s %s%s  (%s)",
		e.Time.Local().Format(time.DateTime), e.Type, cmp.Or(e.Release, "–"), localTimes(e.Message), because(e.Why), e.Who)
}

// stamped is a moment as the server puts it into the words of an event.
var stamped = regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

// localTimes shows the moments in an event's words by the reader's own clock,
// which the event's time beside them is shown by too.
func localTimes(message string) string {
	return stamped.ReplaceAllStringFunc(message, func(text string) string {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return text
		}
		return at.Local().Format(time.DateTime)
	})
}
