package command

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
)

// PromoteCommand makes a release what ordinary requests get.
func (a *App) PromoteCommand() *cobra.Command {
	var c Changing
	var p planning
	var w Waiting
	cmd := &cobra.Command{
		Use: "promote [NAME]", Short: "Make a release what ordinary requests get: all of its services at once",
		Args:              OneName,
		ValidArgsFunction: a.Releases("Previewing", "Canary"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if p.cancel {
				return a.cancelPromotion(cmd.Context(), args, c)
			}
			if err := a.MayAsk(&c, "promote"); err != nil {
				return err
			}
			if err := p.read(time.Now()); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), w.Timeout)
			defer cancel()
			api, s, r, err := a.pick(ctx, args, "promote", p.fits())
			if err != nil {
				return err
			}
			if !c.Yes && !c.DryRun && r.Phase != "Live" {
				question := printPromotion(a.Screen(a.Env.Stderr), s, r)
				if !p.hour.IsZero() {
					question = fmt.Sprintf("Ordinary requests will get %s at %s, in %s, if nothing speaks against it then. Plan it?",
						r.Name, p.hour.Format("Mon 2 Jan 15:04 MST"), ago(time.Until(p.hour)))
				}
				if err := a.Confirm(ctx, &c, question); err != nil {
					return err
				}
			}
			in := p.Promote
			in.Asked, in.Generation, in.Serving, in.At = c.Asked(), r.Generation, s.Serving.Stamp, p.hour
			done, err := api.Promote(ctx, r.Name, in)
			if err != nil {
				return err
			}
			return a.Print(done, func(out io.Writer) {
				fmt.Fprintln(out, Sentence(done.Message))
				for _, n := range done.Notes {
					fmt.Fprintln(out, "Note: "+n)
				}
				if done.Changed && in.At.IsZero() {
					printWays(out, done.Serving, time.Now())
				}
			})
		},
	}
	p.register(cmd)
	cmd.Flags().DurationVar(&w.Timeout, "timeout", 10*time.Minute, "how long to wait")
	c.Register(cmd, true)
	return cmd
}

// RollbackCommand puts back what served before a release.
func (a *App) RollbackCommand() *cobra.Command {
	var c Changing
	var w Waiting
	cmd := &cobra.Command{
		Use: "rollback [NAME]", Short: "Put back what served before a release: all of its services at once",
		Args:              OneName,
		ValidArgsFunction: a.Releases("Live", "Canary"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.MayAsk(&c, "rollback"); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), w.Timeout)
			defer cancel()
			api, s, r, err := a.pick(ctx, args, "roll back", inPhase("Live", "Canary"))
			if err != nil {
				return err
			}
			if !c.Yes && !c.DryRun && r.Phase == "Live" {
				printServing(a.Env.Stderr, s)
				if err := a.Confirm(ctx, &c, fmt.Sprintf("Ordinary requests will get %s again. Roll %s back?", s.Named(r.Before), r.Name)); err != nil {
					return err
				}
			}
			done, err := api.Rollback(ctx, r.Name, c.Asked())
			return a.told(done, err)
		},
	}
	c.Register(cmd, true)
	cmd.Flags().DurationVar(&w.Timeout, "timeout", 10*time.Minute, "how long to wait")
	return cmd
}

func (a *App) releaseSettle() *cobra.Command {
	var c Changing
	var w Waiting
	cmd := &cobra.Command{
		Use: "settle [NAME]", Short: "End a release's rollback window: what it replaced drains and stops", Args: OneName,
		ValidArgsFunction: a.Releases("Live"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.MayAsk(&c, "settle"); err != nil {
				return err
			}
			api, _, r, err := a.pick(cmd.Context(), args, "settle", inPhase("Live", "Settling"))
			if err != nil {
				return err
			}
			if r.Phase == "Live" {
				if err := a.Confirm(cmd.Context(), &c, fmt.Sprintf("%s cannot be rolled back after this. Settle it?", r.Name)); err != nil {
					return err
				}
			}
			done, err := api.Settle(cmd.Context(), r.Name, c.Asked())
			if err != nil || c.DryRun || w.NoWait {
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
	c.Register(cmd, true)
	w.Register(cmd)
	return cmd
}

func (a *App) releaseAbort() *cobra.Command {
	var c Changing
	cmd := &cobra.Command{
		Use: "abort [NAME]", Short: "End a release; a live one is rolled back first", Args: OneName,
		ValidArgsFunction: a.Releases("Preparing", "Previewing", "Canary", "Live", "Failed"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.MayAsk(&c, "abort"); err != nil {
				return err
			}
			api, s, r, err := a.pick(cmd.Context(), args, "abort", inPhase("Preparing", "Previewing", "Canary", "Failed"))
			if err != nil {
				return err
			}
			question := fmt.Sprintf("End the preview of %s and stop its versions?", r.Name)
			if r.Phase == "Live" {
				question = fmt.Sprintf("%s serves. Roll it back to %s, and end it?", r.Name, s.Named(r.Before))
			}
			if r.Phase != "Aborted" {
				if err := a.Confirm(cmd.Context(), &c, question); err != nil {
					return err
				}
			}
			done, err := api.Abort(cmd.Context(), r.Name, c.Asked())
			return a.told(done, err)
		},
	}
	c.Register(cmd, true)
	return cmd
}
