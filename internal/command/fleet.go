package command

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// FleetCommand holds the commands of fleets: those that look, and those that a
// program brings besides.
func (a *App) FleetCommand(short string, more ...*cobra.Command) *cobra.Command {
	return Group(&cobra.Command{Use: "fleet", Short: short}, append([]*cobra.Command{a.fleetShow(), a.fleetExport(), a.fleetLock(), a.fleetUnlock()}, more...)...)
}

func (a *App) fleetShow() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show the fleet's routes, its services and what serves", Args: NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, s, err := a.StatusOf(cmd.Context())
			if err != nil {
				return err
			}
			f, err := api.Fleet(cmd.Context())
			if err != nil {
				return err
			}
			return a.Print(f, func(w io.Writer) { printFleet(w, f, s) })
		},
	}
}

func (a *App) fleetExport() *cobra.Command {
	return &cobra.Command{
		Use: "export", Short: "Write a Fleet document that would start what serves now", Args: NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := a.Connection.Client(cmd.Context())
			if err != nil {
				return err
			}
			f, err := api.Fleet(cmd.Context())
			if err != nil {
				return err
			}
			return a.Print(f, func(w io.Writer) { fmt.Fprint(w, f.Document) })
		},
	}
}
