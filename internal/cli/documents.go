package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/config"
)

func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use: "init", Short: "Write a first greenroom.yaml for the services in this folder", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			dir, err := os.Getwd()
			if err != nil {
				return fmt.Errorf("find the working directory: %w", err)
			}
			first, err := config.Init(dir)
			if err != nil {
				return &usageError{err}
			}
			return a.print(first, func(w io.Writer) {
				fmt.Fprintf(w, "Wrote %s with %s.\n", first.Path, strings.Join(first.Services, ", "))
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
		Use: "check -f FILE", Short: "Check documents without running anything", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if file == "" {
				return badInput("name the document with -f")
			}
			docs, err := config.Read(file)
			if err != nil {
				return &usageError{err}
			}
			if err := config.Check(docs); err != nil {
				return &usageError{err}
			}
			return a.print(map[string]bool{"ok": true}, func(w io.Writer) { fmt.Fprintf(w, "%s is right.\n", file) })
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "document; - for standard input")
	return cmd
}

func (a *app) fleetCommand() *cobra.Command {
	return group(&cobra.Command{Use: "fleet", Short: "Show the fleet that runs, compare it with a file, and apply one"},
		a.fleetShow(), a.fleetExport(), a.fleetDiff(), a.fleetApply())
}

func (a *app) fleetShow() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show the fleet's routes, its services and what serves", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, s, err := a.statusOf(cmd.Context())
			if err != nil {
				return err
			}
			f, err := api.Fleet(cmd.Context())
			if err != nil {
				return err
			}
			return a.print(f, func(w io.Writer) { printFleet(w, f, s) })
		},
	}
}

func (a *app) fleetExport() *cobra.Command {
	return &cobra.Command{
		Use: "export", Short: "Write a Fleet document that would start what serves now", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := a.client()
			if err != nil {
				return err
			}
			f, err := api.Fleet(cmd.Context())
			if err != nil {
				return err
			}
			return a.print(f, func(w io.Writer) { fmt.Fprint(w, f.Document) })
		},
	}
}

func (a *app) fleetDiff() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "diff -f FILE", Short: "Show what a Fleet document would change", Args: noArgs,
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
	var c changing
	cmd := &cobra.Command{
		Use: "apply -f FILE", Short: "Apply a Fleet document to the fleet that runs", Args: noArgs,
		Long: `Applies what may change while a fleet runs: routes, health, drain, replicas,
services that join or leave. A Fleet's versions are only the first: changed ones
are refused, since they are brought by a release; --adopt opens one that goes
live at once.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.mayAsk(&c, "fleet apply"); err != nil {
				return err
			}
			if !c.yes && !c.dryRun {
				would, err := a.applyFleet(cmd.Context(), file, client.FleetApply{Asked: client.Asked{DryRun: true}, Adopt: adopt},
					func(c client.FleetChange) error { printFleetChange(a.screen(a.env.Stderr), c); return nil })
				if err != nil || len(would.Applied)+len(would.Versions) == 0 {
					return err
				}
				if err := a.confirm(cmd.Context(), &c, "Apply this?"); err != nil {
					return err
				}
			}
			_, err := a.applyFleet(cmd.Context(), file, client.FleetApply{Asked: c.asked(), Adopt: adopt}, a.printFleetChange)
			return err
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "Fleet document; - for standard input")
	cmd.Flags().BoolVar(&adopt, "adopt", false, "release versions that the document changes, to go live at once")
	c.register(cmd, true)
	return cmd
}

func (a *app) applyFleet(ctx context.Context, file string, in client.FleetApply, show func(client.FleetChange) error) (client.FleetChange, error) {
	if file == "" {
		return client.FleetChange{}, badInput("name the document with -f")
	}
	api, err := a.client()
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
	return a.print(c, func(w io.Writer) { printFleetChange(w, c) })
}

func printFleetChange(w io.Writer, c client.FleetChange) {
	for _, line := range c.Applied {
		fmt.Fprintln(w, line)
	}
	printVersions(w, c.Versions)
	if len(c.Versions) > 0 && c.Release == "" {
		fmt.Fprintln(w, "Changed versions are brought by a release (greenroom release open), or by --adopt.")
	}
	for _, line := range c.Behind {
		fmt.Fprintln(w, line)
	}
	fmt.Fprintln(w, sentence(c.Message))
}
