package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
)

// Changing are the flags of commands that change something.
type Changing struct {
	Reason string
	DryRun bool
	Yes    bool
}

// Register adds the flags; --yes only where the command asks.
func (c *Changing) Register(cmd *cobra.Command, asks bool) {
	cmd.Flags().StringVar(&c.Reason, "reason", "", "why; kept with the event")
	cmd.Flags().BoolVar(&c.DryRun, "dry-run", false, "say what would happen, and change nothing")
	if asks {
		cmd.Flags().BoolVarP(&c.Yes, "yes", "y", false, "do not ask")
	}
}

// Asked is what the API is told of the flags.
func (c *Changing) Asked() client.Asked { return client.Asked{Reason: c.Reason, DryRun: c.DryRun} }

// Waiting are the flags of commands that wait.
type Waiting struct {
	Timeout time.Duration
	NoWait  bool
}

// Register adds the flags.
func (w *Waiting) Register(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&w.Timeout, "timeout", 10*time.Minute, "how long to wait")
	cmd.Flags().BoolVar(&w.NoWait, "no-wait", false, "do not wait")
}

// MayAsk refuses at once when a command would have to ask and nobody is there
// to answer.
func (a *App) MayAsk(c *Changing, what string) error {
	if c.Yes || c.DryRun || a.Env.Terminal {
		return nil
	}
	return &CodedError{fmt.Errorf("%s asks first, and there is no terminal to ask at; give --yes to do it, or --dry-run to look", what), Refused}
}

// Confirm asks a yes-or-no question. A no is an error.
func (a *App) Confirm(ctx context.Context, c *Changing, question string) error {
	if c.Yes || c.DryRun {
		return nil
	}
	fmt.Fprintf(a.Env.Stderr, "%s [y/N] ", question)
	answers := make(chan string, 1)
	go func() {
		var answer string
		_, _ = fmt.Fscanln(a.Env.Stdin, &answer) // no answer is a no
		answers <- answer
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case answer := <-answers:
		if answer == "y" || answer == "Y" || answer == "yes" {
			return nil
		}
	}
	return &CodedError{errors.New("nothing was changed"), Refused}
}
