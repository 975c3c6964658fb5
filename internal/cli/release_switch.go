package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
)

func (a *app) promoteCommand() *cobra.Command {
	var c changing
	var allow bool
	var w waiting
	cmd := &cobra.Command{
		Use: "promote [NAME]", Short: "Make a release what ordinary requests get: all of its services at once",
		Args:              oneName,
		ValidArgsFunction: a.releases("Previewing", "Canary"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.mayAsk(&c, "promote"); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), w.timeout)
			defer cancel()
			api, s, r, err := a.pick(ctx, args, "promote", inPhase("Previewing", "Canary"))
			if err != nil {
				return err
			}
			if !c.yes && !c.dryRun && r.Phase != "Live" {
				question := printPromotion(a.screen(a.env.Stderr), s, r)
				if err := a.confirm(ctx, &c, question); err != nil {
					return err
				}
			}
			done, err := api.Promote(ctx, r.Name, client.Promote{
				Asked: c.asked(), Generation: r.Generation, Serving: s.Serving.Stamp, AllowUnstamped: allow,
			})
			if err != nil {
				return err
			}
			return a.print(done, func(out io.Writer) {
				fmt.Fprintln(out, sentence(done.Message))
				if done.Changed && !done.Serving.Until.IsZero() {
					fmt.Fprintf(out, "Roll back until %s: greenroom rollback\n", clock(done.Serving.Until, time.Now()))
				}
			})
		},
	}
	cmd.Flags().BoolVar(&allow, "allow-unstamped", false, "promote although calls lost the stamp in preview")
	cmd.Flags().DurationVar(&w.timeout, "timeout", 10*time.Minute, "how long to wait")
	c.register(cmd, true)
	return cmd
}

func (a *app) rollbackCommand() *cobra.Command {
	var c changing
	var w waiting
	cmd := &cobra.Command{
		Use: "rollback [NAME]", Short: "Put back what served before a release: all of its services at once",
		Args:              oneName,
		ValidArgsFunction: a.releases("Live", "Canary"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.mayAsk(&c, "rollback"); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), w.timeout)
			defer cancel()
			api, s, r, err := a.pick(ctx, args, "roll back", inPhase("Live", "Canary"))
			if err != nil {
				return err
			}
			if !c.yes && !c.dryRun && r.Phase == "Live" {
				printServing(a.env.Stderr, s)
				if err := a.confirm(ctx, &c, fmt.Sprintf("Ordinary requests will get %s again. Roll %s back?", r.Before, r.Name)); err != nil {
					return err
				}
			}
			done, err := api.Rollback(ctx, r.Name, c.asked())
			return a.told(done, err)
		},
	}
	c.register(cmd, true)
	cmd.Flags().DurationVar(&w.timeout, "timeout", 10*time.Minute, "how long to wait")
	return cmd
}

func (a *app) releaseSettle() *cobra.Command {
	var c changing
	var w waiting
	cmd := &cobra.Command{
		Use: "settle [NAME]", Short: "End a release's rollback window: what it replaced drains and stops", Args: oneName,
		ValidArgsFunction: a.releases("Live"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.mayAsk(&c, "settle"); err != nil {
				return err
			}
			api, _, r, err := a.pick(cmd.Context(), args, "settle", inPhase("Live", "Settling"))
			if err != nil {
				return err
			}
			if r.Phase == "Live" {
				if err := a.confirm(cmd.Context(), &c, fmt.Sprintf("%s cannot be rolled back after this. Settle it?", r.Name)); err != nil {
					return err
				}
			}
			done, err := api.Settle(cmd.Context(), r.Name, c.asked())
			if err != nil || c.dryRun || w.noWait {
				return a.told(done, err)
			}
			r, err = a.await(cmd.Context(), api, r.Name, w, func(r client.Release) (bool, error) { return r.Phase == "Settled", nil })
			done.Release, done.Message = &r, r.Name+" is settled"
			if r.Reason != "" {
				done.Notes = append(done.Notes, r.Reason)
			}
			return a.told(done, err)
		},
	}
	c.register(cmd, true)
	w.register(cmd)
	return cmd
}

func (a *app) releaseAbort() *cobra.Command {
	var c changing
	cmd := &cobra.Command{
		Use: "abort [NAME]", Short: "End a release; a live one is rolled back first", Args: oneName,
		ValidArgsFunction: a.releases("Preparing", "Previewing", "Canary", "Live", "Failed"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.mayAsk(&c, "abort"); err != nil {
				return err
			}
			api, _, r, err := a.pick(cmd.Context(), args, "abort", inPhase("Preparing", "Previewing", "Canary", "Failed"))
			if err != nil {
				return err
			}
			question := fmt.Sprintf("End the preview of %s and stop its versions?", r.Name)
			if r.Phase == "Live" {
				question = fmt.Sprintf("%s serves. Roll it back to %s, and end it?", r.Name, r.Before)
			}
			if r.Phase != "Aborted" {
				if err := a.confirm(cmd.Context(), &c, question); err != nil {
					return err
				}
			}
			done, err := api.Abort(cmd.Context(), r.Name, c.asked())
			return a.told(done, err)
		},
	}
	c.register(cmd, true)
	return cmd
}
