package command

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
)

// DoctorCommand shows findings. Without examine they are the server's; with it
// they are what examine says, which may be of use where no server answers.
func (a *App) DoctorCommand(examine func(context.Context) ([]client.Finding, error)) *cobra.Command {
	if examine == nil {
		examine = func(ctx context.Context) ([]client.Finding, error) {
			api, err := a.Connection.Client(ctx)
			if err != nil {
				return nil, err
			}
			return api.Doctor(ctx)
		}
	}
	return &cobra.Command{
		Use: "doctor", Short: "Look for what goes wrong, and say what to do about it", Args: NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			findings, err := examine(cmd.Context())
			if err != nil {
				return err
			}
			if err := a.Print(findings, func(w io.Writer) { printFindings(w, findings) }); err != nil {
				return err
			}
			for _, f := range findings {
				if f.Level == "problem" {
					return &CodedError{&SaidError{errors.New("there are problems")}, Failed}
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
