package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
)

func (a *app) logsCommand() *cobra.Command {
	q := client.LogQuery{}
	cmd := &cobra.Command{
		Use: "logs SERVICE", Short: "Show what a service's instances print", Args: exactly(1, "a service (greenroom status lists them)"),
		ValidArgsFunction: a.services(),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.client()
			if err != nil {
				return err
			}
			q.Service = args[0]
			err = api.Logs(cmd.Context(), q, func(l client.LogLine) error {
				if a.json() {
					return a.printLine(l)
				}
				_, err := fmt.Fprintf(a.env.Stdout, "%s %s %s\n", l.Time.Local().Format("15:04:05.000"), l.Version, l.Line)
				return err
			})
			return unlessInterrupted(cmd, err)
		},
	}
	cmd.Flags().StringVar(&q.Release, "release", "", "only of the version that this release brings")
	flagNames(cmd, "release", a.releases())
	cmd.Flags().BoolVarP(&q.Follow, "follow", "f", false, "go on with new lines until interrupted")
	cmd.Flags().IntVarP(&q.Tail, "tail", "n", 100, "lines of each instance to begin with")
	return cmd
}

// unlessInterrupted is err, but for the end that a person asked for.
func unlessInterrupted(cmd *cobra.Command, err error) error {
	if cmd.Context().Err() != nil {
		return nil
	}
	return err
}

func (a *app) eventsCommand() *cobra.Command {
	q := client.EventQuery{}
	var follow bool
	cmd := &cobra.Command{
		Use: "events", Short: "Show what happened: who, when, why", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := a.client()
			if err != nil {
				return err
			}
			show := func(e client.Event) error {
				if a.json() {
					return a.printLine(e)
				}
				_, err := fmt.Fprintf(a.env.Stdout, "%s  %-18s %-10s %s%s  (%s)\n",
					e.Time.Local().Format(time.DateTime), e.Type, reasonOr(e.Release, "–"), e.Message, because(e.Why), e.Who)
				return err
			}
			if follow {
				return unlessInterrupted(cmd, api.FollowEvents(cmd.Context(), q, show))
			}
			events, err := api.Events(cmd.Context(), q)
			if err != nil {
				return err
			}
			for _, e := range events {
				if err := show(e); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().IntVarP(&q.Last, "last", "n", 50, "so many of the last events, at most 1000")
	cmd.Flags().StringVar(&q.Release, "release", "", "only of this release")
	flagNames(cmd, "release", a.releases())
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with new ones until interrupted")
	return cmd
}

// printLine writes v as one line of JSON.
func (a *app) printLine(v any) error {
	e := json.NewEncoder(a.env.Stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Look for what goes wrong, and say what to do about it", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var findings []client.Finding
			api, err := a.client()
			if err != nil {
				return err
			}
			found, err := api.Doctor(cmd.Context())
			switch {
			case errors.Is(err, client.ErrUnreachable):
				findings = append(findings, client.Finding{Check: "server", Level: "problem", Message: err.Error(),
					Remedy: "start it with greenroom up -f greenroom.yaml, or name its --state"})
			case err != nil:
				return err
			}
			findings = append(findings, found...)
			if err := a.print(findings, func(w io.Writer) { printFindings(w, findings) }); err != nil {
				return err
			}
			for _, f := range findings {
				if f.Level == "problem" {
					return &codedError{&saidError{fmt.Errorf("there are problems")}, Failed}
				}
			}
			return nil
		},
	}
}

func printFindings(w io.Writer, findings []client.Finding) {
	marks := map[string]string{"ok": "✓", "note": "·", "warning": "!", "problem": "✗"}
	for _, f := range findings {
		subject := ""
		if f.Subject != "" {
			subject = f.Subject + ": "
		}
		fmt.Fprintf(w, "%s %s%s\n", marks[f.Level], subject, f.Message)
		if f.Remedy != "" {
			fmt.Fprintf(w, "  → %s\n", f.Remedy)
		}
	}
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show greenroom's version", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			return a.print(map[string]string{"version": a.env.Version}, func(w io.Writer) {
				fmt.Fprintln(w, "greenroom "+a.env.Version)
			})
		},
	}
}
