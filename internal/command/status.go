package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
)

// StatusCommand shows what serves.
func (a *App) StatusCommand() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use: "status", Short: "Show what serves, every version and every release", Args: NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := a.Connection.Client(cmd.Context())
			if err != nil {
				return err
			}
			if watch {
				return a.watchStatus(cmd.Context(), api)
			}
			s, err := api.Status(cmd.Context())
			if err != nil {
				return err
			}
			return a.Print(s, func(w io.Writer) { printStatus(w, s) })
		},
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "go on showing it until interrupted; with -o json a line for each change")
	return cmd
}

// watchStatus shows the status whenever it changes; when the server goes away
// it says so and waits for it to come back.
func (a *App) watchStatus(ctx context.Context, api *client.Client) error {
	reached := false
	for {
		err := api.FollowStatus(ctx, func(s client.Status) error {
			reached = true
			return a.showWatched(s)
		})
		switch {
		case ctx.Err() != nil:
			return nil
		case !reached, !errors.Is(err, client.ErrCut) && !errors.Is(err, client.ErrUnreachable):
			return err
		}
		a.Note("greenroom does not answer; waiting for it")
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

func (a *App) showWatched(s client.Status) error {
	if a.JSON() {
		return a.PrintLine(s)
	}
	var b bytes.Buffer
	printStatus(a.Screen(&b), s)
	if !a.Env.Terminal {
		_, err := fmt.Fprintf(a.Env.Stdout, "%s\n", b.String())
		return err
	}
	var screen strings.Builder
	screen.WriteString("\033[H\033[2J")
	for line := range strings.Lines(b.String()) {
		screen.WriteString(Fit(strings.TrimSuffix(line, "\n"), a.Env.Width()) + "\n")
	}
	_, err := io.WriteString(a.Env.Stdout, screen.String())
	return err
}
