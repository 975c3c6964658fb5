package command

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
)

// NotifyCommand holds the commands of notifications.
func (a *App) NotifyCommand() *cobra.Command {
	return Group(&cobra.Command{Use: "notify", Short: "Show who is told of what happens, and try it"}, a.notifyList(), a.notifyTest())
}

func (a *App) notifyList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "Show who is told of what happens, and how that goes", Args: NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, s, err := a.StatusOf(cmd.Context())
			if err != nil {
				return err
			}
			return a.Print(s.Notifications, func(w io.Writer) {
				printServing(w, s)
				fmt.Fprintln(w)
				printNotifications(w, s)
			})
		},
	}
}

func (a *App) notifyTest() *cobra.Command {
	var c Changing
	cmd := &cobra.Command{
		Use: "test NAME", Short: "Tell somebody, now and once, that this is a trial", Args: Exactly(1, "a notification (greenroom notify list shows them)"),
		ValidArgsFunction: a.Names(func(ctx context.Context, api *client.Client) []string {
			all, _ := api.Notifications(ctx) // a completion has nobody to tell
			var names []string
			for _, n := range all {
				names = append(names, n.Name)
			}
			return names
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.Connection.Client(cmd.Context())
			if err != nil {
				return err
			}
			told, err := api.TestNotification(cmd.Context(), args[0], c.Asked())
			if err != nil {
				return err
			}
			return a.Print(told, func(w io.Writer) { fmt.Fprintln(w, Sentence(told.Message)) })
		},
	}
	cmd.Flags().StringVar(&c.Reason, "reason", "", "why; kept with the event")
	return cmd
}

func printNotifications(w io.Writer, s client.Status) {
	if len(s.Notifications) == 0 {
		fmt.Fprintln(w, "Nobody is told. spec.notify of the Fleet says whom to tell.")
		return
	}
	Table(w, "NAME\tKIND\tTO\tWAITING\tLAST TOLD\tNOTE", func(row func(...string)) {
		for _, n := range s.Notifications {
			last := "never"
			if !n.LastTold.IsZero() {
				last = Clock(n.LastTold, s.Now)
			}
			row(n.Name, n.Kind, n.To, fmt.Sprint(n.Waiting), last, oneLine(troubleOf(n, s)))
		}
	})
}

func troubleOf(n client.Notification, s client.Status) string {
	if n.Failing == "" {
		return ""
	}
	text := fmt.Sprintf("fails since %s: %s", Clock(n.Since, s.Now), n.Failing)
	if !n.NextTry.IsZero() {
		text += "; tried again at " + Clock(n.NextTry, s.Now)
	}
	return text
}
