package command

import (
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
)

// LogsCommand shows what services print.
func (a *App) LogsCommand() *cobra.Command {
	q := client.LogQuery{}
	cmd := &cobra.Command{
		Use: "logs SERVICE", Short: "Show what a service's instances print", Args: Exactly(1, "a service (greenroom status lists them)"),
		ValidArgsFunction: a.services(),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.Connection.Client(cmd.Context())
			if err != nil {
				return err
			}
			q.Service = args[0]
			err = api.Logs(cmd.Context(), q, func(l client.LogLine) error {
				if a.JSON() {
					return a.PrintLine(l)
				}
				_, err := fmt.Fprintf(a.Env.Stdout, "%s %s %s\n", l.Time.Local().Format("15:04:05.000"), l.Version, l.Line)
				return err
			})
			return unlessInterrupted(cmd, err)
		},
	}
	cmd.Flags().StringVar(&q.Release, "release", "", "only of the version that this release brings")
	flagNames(cmd, "release", a.Releases())
	cmd.Flags().BoolVarP(&q.Follow, "follow", "f", false, "go on with new lines until interrupted")
	cmd.Flags().IntVarP(&q.Tail, "tail", a.letter("n"), 100, "lines of each version to begin with; on Kubernetes of each pod")
	return cmd
}

// unlessInterrupted is err, but for the end that a person asked for.
func unlessInterrupted(cmd *cobra.Command, err error) error {
	if cmd.Context().Err() != nil {
		return nil
	}
	return err
}

// VersionCommand shows the program's version.
func (a *App) VersionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show greenroom's version", Args: NoArgs,
		RunE: func(*cobra.Command, []string) error {
			about := map[string]string{"version": a.Env.Version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
			return a.Print(about, func(w io.Writer) {
				fmt.Fprintf(w, "%s %s (%s, %s)\n", a.Name, about["version"], about["go"], about["platform"])
			})
		},
	}
}
