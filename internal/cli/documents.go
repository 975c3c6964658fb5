package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/command"
	"github.com/greenroom-dev/greenroom/internal/config"
)

func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use: "init", Short: "Write a first greenroom.yaml for the services in this folder", Args: command.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			dir, err := os.Getwd()
			if err != nil {
				return fmt.Errorf("find the working directory: %w", err)
			}
			first, err := config.Init(dir)
			if err != nil {
				return &command.UsageError{Err: err}
			}
			return a.Print(first, func(w io.Writer) {
				if first.Example {
					fmt.Fprintf(w, "Found no executables in ./bin and no programs in ./cmd. Wrote %s with an example service, web, at 127.0.0.1:3000: put your own there first.\n", first.Path)
				} else {
					fmt.Fprintf(w, "Wrote %s with %s.\n", first.Path, strings.Join(first.Services, ", "))
				}
				for _, p := range first.Build {
					fmt.Fprintf(w, "Build first:  go build -o bin/ %s\n", p)
				}
				fmt.Fprintln(w, "Look it through, then:  greenroom up -f "+config.FileName)
			})
		},
	}
}

func (a *app) checkCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "check -f FILE", Short: "Check documents without running anything", Args: command.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if file == "" {
				return command.BadInputf("name the document with -f")
			}
			docs, err := config.Read(file, a.Env.Stdin)
			if err != nil {
				return &command.UsageError{Err: err}
			}
			if err := config.Check(docs); err != nil {
				return &command.UsageError{Err: err}
			}
			return a.Print(map[string]bool{"ok": true}, func(w io.Writer) { fmt.Fprintf(w, "%s is right.\n", file) })
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "document; - for standard input")
	return cmd
}

func (a *app) fleetDiff() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "diff -f FILE", Short: "Show what a Fleet document would change", Args: command.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := a.applyFleet(cmd.Context(), file, client.FleetApply{Asked: client.Asked{DryRun: true}}, a.printFleetChange)
			return err
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "Fleet document; - for standard input")
	return cmd
}

func (a *app) fleetApply() *cobra.Command {
	var file string
	var adopt bool
	var c command.Changing
	cmd := &cobra.Command{
		Use: "apply -f FILE", Short: "Apply a Fleet document to the fleet that runs", Args: command.NoArgs,
		Long: `Applies what may change while a fleet runs: routes, health, drain, replicas,
services that join or leave. A Fleet's versions are only the first: changed ones
are refused, since they are brought by a release; --adopt opens one that goes
live at once.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.MayAsk(&c, "fleet apply"); err != nil {
				return err
			}
			if !c.Yes && !c.DryRun {
				would, err := a.applyFleet(cmd.Context(), file, client.FleetApply{Asked: client.Asked{DryRun: true}, Adopt: adopt},
					func(c client.FleetChange) error { command.PrintFleetChange(a.Screen(a.Env.Stderr), c); return nil })
				if err != nil || len(would.Applied)+len(would.Versions) == 0 {
					return err
				}
				if err := a.Confirm(cmd.Context(), &c, "Apply this?"); err != nil {
					return err
				}
			}
			_, err := a.applyFleet(cmd.Context(), file, client.FleetApply{Asked: c.Asked(), Adopt: adopt}, a.printFleetChange)
			return err
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "Fleet document; - for standard input")
	cmd.Flags().BoolVar(&adopt, "adopt", false, "release versions that the document changes, to go live at once")
	c.Register(cmd, true)
	return cmd
}

func (a *app) applyFleet(ctx context.Context, file string, in client.FleetApply, show func(client.FleetChange) error) (client.FleetChange, error) {
	if file == "" {
		return client.FleetChange{}, command.BadInputf("name the document with -f")
	}
	api, err := a.Connection.Client(ctx)
	if err != nil {
		return client.FleetChange{}, err
	}
	if in.Document, err = a.readDocument(file); err != nil {
		return client.FleetChange{}, err
	}
	change, err := api.ApplyFleet(ctx, in)
	if err != nil {
		return change, err
	}
	return change, show(change)
}

func (a *app) printFleetChange(c client.FleetChange) error {
	return a.Print(c, func(w io.Writer) { command.PrintFleetChange(w, c) })
}
