package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/command"
)

func (a *app) dashboardCommand() *cobra.Command {
	var c command.Changing
	var role, name string
	cmd := &cobra.Command{
		Use: "dashboard", Short: "Print a link that logs you in to the dashboard, once", Args: command.NoArgs,
		Long: `Prints a link to the dashboard. It logs in whoever opens it first, within five
minutes, for a day. The dashboard is where the API listens: spec.api.listen.

Without --role the login is an admin's, as the user that greenroom runs as is.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := a.Connection.Client(cmd.Context())
			if err != nil {
				return err
			}
			made, err := api.MakeLogin(cmd.Context(), client.MakeLogin{Asked: c.Asked(), Name: name, Role: role})
			if err != nil {
				return err
			}
			return a.Print(made, func(w io.Writer) {
				if made.Link == "" {
					fmt.Fprintf(w, "A link for %s, %s, would be made.\n", made.Name, made.Role)
					return
				}
				fmt.Fprintln(w, made.Link)
				a.Note("It logs %s in as %s, once, within five minutes.", made.Name, made.Role)
			})
		},
	}
	cmd.Flags().StringVar(&role, "role", "admin", "viewer, tester, operator or admin")
	cmd.Flags().StringVar(&name, "name", "", "who it is for, and stands as who in events (default: you)")
	command.Words(cmd, "role", "viewer", "tester", "operator", "admin")
	c.Register(cmd, false)
	return cmd
}
