package cli

import (
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/examples/live"
)

func (a *app) demoCommand() *cobra.Command {
	return &cobra.Command{Use: "demo", Short: "Run a whole fleet with a release, and be shown around", Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return nil }}
}

// demoServiceCommand runs one service of the demo fleet.
func (a *app) demoServiceCommand() *cobra.Command {
	var version string
	cmd := &cobra.Command{
		Use: "demo-service NAME", Hidden: true, Args: exactly(1, "a service's name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return live.Run(cmd.Context(), args[0], version, os.Getenv, slog.New(slog.NewTextHandler(a.env.Stderr, nil)))
		},
	}
	cmd.Flags().StringVar(&version, "version", "v1", "v1 or v2")
	return cmd
}
