package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
	greenroom "github.com/greenroom-dev/greenroom/internal/app"
	"github.com/greenroom-dev/greenroom/internal/config"
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
				_, err := fmt.Fprintln(a.env.Stdout, eventLine(e))
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

func eventLine(e client.Event) string {
	return fmt.Sprintf("%s  %-18s %-10s %s%s  (%s)",
		e.Time.Local().Format(time.DateTime), e.Type, cmp.Or(e.Release, "–"), e.Message, because(e.Why), e.Who)
}

// printLine writes v as one line of JSON.
func (a *app) printLine(v any) error {
	e := json.NewEncoder(a.env.Stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func (a *app) doctorCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "doctor [-f FILE]", Short: "Look for what goes wrong, and say what to do about it", Args: noArgs,
		Long: `Looks for what goes wrong, and says what to do about it: versions that do not
become ready, calls that lose the stamp, executables that changed on disk, the
clock, limits. Where no greenroom runs it looks at what would keep one from
starting; the document is greenroom.yaml of this folder unless -f names one.

Fails (exit code 1) when there is a problem; warnings and notes are none.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			findings, err := a.examine(cmd.Context(), file)
			if err != nil {
				return err
			}
			if err := a.print(findings, func(w io.Writer) { printFindings(w, findings) }); err != nil {
				return err
			}
			for _, f := range findings {
				if f.Level == "problem" {
					return &codedError{&saidError{errors.New("there are problems")}, Failed}
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "Fleet document to look at when no greenroom runs")
	return cmd
}

// examine asks the server, or looks at what would keep one from starting.
func (a *app) examine(ctx context.Context, file string) ([]client.Finding, error) {
	api, err := a.client()
	if err != nil {
		return nil, err
	}
	found, err := api.Doctor(ctx)
	if !errors.Is(err, client.ErrUnreachable) || a.server != "" {
		return found, err
	}
	state, err := a.stateFolder()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(config.FileName); file == "" && err == nil {
		file = config.FileName
	}
	findings := []client.Finding{{
		Check: "server", Level: "note", Message: "no greenroom runs with the state in " + state,
		Remedy: "start it with greenroom up -f " + cmp.Or(file, config.FileName) + ", or name its --state",
	}}
	if file == "" {
		return append(findings, greenroom.Preflight(state, nil)...), nil
	}
	f, err := resolveFleet(file)
	if err != nil {
		findings = append(findings, client.Finding{
			Check: "document", Level: "problem", Subject: file, Message: err.Error(), Remedy: "mend it, then greenroom check -f " + file,
		})
		return append(findings, greenroom.Preflight(state, nil)...), nil
	}
	findings = append(findings, client.Finding{Check: "document", Level: "ok", Subject: file, Message: "is right"})
	return append(findings, greenroom.Preflight(state, &f)...), nil
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
			about := map[string]string{"version": a.env.Version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
			return a.print(about, func(w io.Writer) {
				fmt.Fprintf(w, "greenroom %s (%s, %s)\n", about["version"], about["go"], about["platform"])
			})
		},
	}
}
