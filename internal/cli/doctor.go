package cli

import (
	"cmp"
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
	greenroom "github.com/greenroom-dev/greenroom/internal/app"
	"github.com/greenroom-dev/greenroom/internal/config"
)

func (a *app) doctorCommand() *cobra.Command {
	var file string
	cmd := a.DoctorCommand(func(ctx context.Context) ([]client.Finding, error) { return a.examine(ctx, file) })
	cmd.Use = "doctor [-f FILE]"
	cmd.Long = `Looks for what goes wrong, and says what to do about it: versions that do not
become ready, calls that lose the stamp, executables that changed on disk, the
clock, the disk, limits. Where no greenroom runs it looks at what would keep one
from starting; the document is greenroom.yaml of this folder unless -f names one.

Fails (exit code 1) when there is a problem; warnings and notes are none.`
	cmd.Flags().StringVarP(&file, "file", "f", "", "Fleet document to look at when no greenroom runs")
	return cmd
}

// examine asks the server, or looks at what would keep one from starting.
func (a *app) examine(ctx context.Context, file string) ([]client.Finding, error) {
	api, err := a.Connection.Client(ctx)
	if err != nil {
		return nil, err
	}
	found, err := api.Doctor(ctx)
	if !errors.Is(err, client.ErrUnreachable) || a.where.server != "" {
		return found, err
	}
	state, err := a.where.stateFolder()
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
	f, err := resolveFleet(file, a.Env.Stdin)
	if err != nil {
		findings = append(findings, client.Finding{
			Check: "document", Level: "problem", Subject: file, Message: err.Error(), Remedy: "mend it, then greenroom check -f " + file,
		})
		return append(findings, greenroom.Preflight(state, nil)...), nil
	}
	findings = append(findings, client.Finding{Check: "document", Level: "ok", Subject: file, Message: "is right"})
	return append(findings, greenroom.Preflight(state, &f)...), nil
}
