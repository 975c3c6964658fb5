package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
)

// ReleaseCommand holds the commands of releases. How one is opened is the
// program's business.
func (a *App) ReleaseCommand(open *cobra.Command) *cobra.Command {
	return Group(&cobra.Command{Use: "release", Short: "Open releases, look at them, and bring them to their end"},
		open, a.releaseList(), a.releaseShow(), a.releaseDiff(), a.releaseRebase(),
		a.releaseVerify(), a.releaseCheck(), a.releaseApprove(), a.PromoteCommand(), a.RollbackCommand(), a.releaseRevert(), a.releaseSettle(), a.releaseAbort())
}

// PrintChanged tells what a changing request did.
func (a *App) PrintChanged(c client.Changed) error {
	return a.Print(c, func(w io.Writer) {
		fmt.Fprintln(w, Sentence(c.Message))
		for _, n := range c.Notes {
			fmt.Fprintln(w, "Note: "+n)
		}
	})
}

// told tells what a changing request did, or returns why it failed.
func (a *App) told(c client.Changed, err error) error {
	if err != nil {
		return err
	}
	return a.PrintChanged(c)
}

// Sentence ends what is said with a period.
func Sentence(s string) string {
	if s == "" || strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

// pick asks for the status and returns, with the client, the release in it that
// a command means: the one named, or the only one that fits.
func (a *App) pick(ctx context.Context, args []string, what string, fits fitting) (*client.Client, client.Status, client.Release, error) {
	api, s, err := a.StatusOf(ctx)
	if err != nil {
		return nil, s, client.Release{}, err
	}
	r, err := meant(s, args, what, fits)
	if err != nil && len(args) == 1 {
		err = notOpen(ctx, api, args[0], err)
	}
	return api, s, r, err
}

// notOpen is what a server says of a release that its status does not know:
// that it waits for something before it is opened. Where the server knows
// nothing of it either, what was found out so far stands.
func notOpen(ctx context.Context, api *client.Client, name string, unknown error) error {
	_, err := api.Release(ctx, name)
	var said *client.Error
	if errors.As(err, &said) && said.Code == "refused" {
		return err
	}
	return unknown
}

// meant is the release in s that a command means.
func meant(s client.Status, args []string, what string, fits fitting) (client.Release, error) {
	if len(args) == 1 {
		i := slices.IndexFunc(s.Releases, func(r client.Release) bool { return r.Name == args[0] })
		if i < 0 {
			return client.Release{}, BadInputf("there is no release %s; greenroom release list shows those there are", args[0])
		}
		return s.Releases[i], nil
	}
	var found []client.Release
	var names []string
	for _, r := range s.Releases {
		if fits(s, r) {
			found, names = append(found, r), append(names, r.Name)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return client.Release{}, &CodedError{fmt.Errorf("there is no release to %s; greenroom release list shows those there are", what), Refused}
	}
	return client.Release{}, BadInputf("several releases fit: %s; name the one to %s", strings.Join(names, ", "), what)
}

// fitting says whether a command that names no release can mean this one.
type fitting func(client.Status, client.Release) bool

func inPhase(phases ...string) fitting {
	return func(_ client.Status, r client.Release) bool { return slices.Contains(phases, r.Phase) }
}

// StatusOf asks for the status and returns it with the client.
func (a *App) StatusOf(ctx context.Context) (*client.Client, client.Status, error) {
	api, err := a.Connection.Client(ctx)
	if err != nil {
		return nil, client.Status{}, err
	}
	s, err := api.Status(ctx)
	return api, s, err
}

func (a *App) releaseList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List releases, the latest first", Args: NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, s, err := a.StatusOf(cmd.Context())
			if err != nil {
				return err
			}
			return a.Print(s.Releases, func(w io.Writer) {
				printServing(w, s)
				fmt.Fprintln(w)
				printReleases(w, s)
			})
		},
	}
}

func (a *App) releaseShow() *cobra.Command {
	return &cobra.Command{
		Use: "show [NAME]", Short: "Show one release: what it changes, what it waits for, what speaks against promoting it",
		Args:              OneName,
		ValidArgsFunction: a.Releases(),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, s, r, err := a.pick(cmd.Context(), args, "show", inPhase("Preparing", "Previewing", "Canary", "Live", "Settling", "Failed"))
			if err != nil {
				return err
			}
			return a.Print(r, func(w io.Writer) { printShown(w, s, r) })
		},
	}
}

func (a *App) releaseDiff() *cobra.Command {
	return &cobra.Command{
		Use: "diff [NAME]", Short: "Show what a release changes of what serves", Args: OneName,
		ValidArgsFunction: a.Releases(),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, s, r, err := a.pick(cmd.Context(), args, "compare", inPhase("Preparing", "Previewing", "Canary", "Live", "Failed"))
			if err != nil {
				return err
			}
			return a.Print(r.Changes, func(w io.Writer) {
				printServing(w, s)
				fmt.Fprintln(w)
				printDiff(w, r)
			})
		},
	}
}

func (a *App) releaseRebase() *cobra.Command {
	var c Changing
	var w Waiting
	cmd := &cobra.Command{
		Use: "rebase [NAME]", Short: "Build a release upon what serves now", Args: OneName,
		ValidArgsFunction: a.Releases("Preparing", "Previewing", "Failed"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, _, r, err := a.pick(cmd.Context(), args, "rebase", inPhase("Preparing", "Previewing", "Failed"))
			if err != nil {
				return err
			}
			done, err := api.Rebase(cmd.Context(), r.Name, c.Asked())
			if err != nil || c.DryRun || w.NoWait {
				return a.told(done, err)
			}
			r, err = a.AwaitPreview(cmd.Context(), api, r.Name, w)
			done.Release = &r
			return a.told(done, err)
		},
	}
	c.Register(cmd, false)
	w.Register(cmd)
	return cmd
}

func (a *App) releaseVerify() *cobra.Command {
	var c Changing
	var w Waiting
	var moment string
	cmd := &cobra.Command{
		Use: "verify [NAME]", Short: "Run a release's verify hooks again, or others that failed", Args: OneName,
		ValidArgsFunction: a.Releases("Previewing", "Settling"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, _, r, err := a.pick(cmd.Context(), args, "verify", inPhase("Previewing"))
			if err != nil {
				return err
			}
			done, err := api.Verify(cmd.Context(), r.Name, client.Verify{Asked: c.Asked(), Moment: moment})
			none := done.Release != nil && !slices.ContainsFunc(done.Release.Hooks, func(h client.Hook) bool { return h.Moment == moment })
			if err != nil || c.DryRun || w.NoWait || none {
				return a.told(done, err)
			}
			r, err = a.await(cmd.Context(), api, r.Name, w, func(r client.Release) (bool, error) { return hooksOver(r, moment) })
			done.Release, done.Message = &r, fmt.Sprintf("The %s hooks of %s passed", moment, r.Name)
			return a.told(done, err)
		},
	}
	OneOf(cmd, &moment, "moment", "moment", "whose hooks: verify, settle, rollback or abort", "verify", "settle", "rollback", "abort")
	c.Register(cmd, false)
	w.Register(cmd)
	return cmd
}

// hooksOver reports whether a moment's hooks have all passed or one has failed.
func hooksOver(r client.Release, moment string) (bool, error) {
	over := true
	for _, h := range r.Hooks {
		switch {
		case h.Moment != moment:
		case h.State == "failed":
			return true, fmt.Errorf("%s hook %s; greenroom release show %s has its output", moment, h.Detail, r.Name)
		case h.State != "passed":
			over = false
		}
	}
	return over, nil
}

func (a *App) releaseRevert() *cobra.Command {
	var c Changing
	var w Waiting
	var as string
	cmd := &cobra.Command{
		Use: "revert [NAME]", Short: "Open a release of the versions that a settled one replaced", Args: OneName,
		ValidArgsFunction: a.Releases("Settling", "Settled"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, _, r, err := a.pick(cmd.Context(), args, "revert", func(s client.Status, r client.Release) bool {
				return r.Name == s.Serving.Release && s.Serving.Before == ""
			})
			if err != nil {
				return err
			}
			done, err := api.Revert(cmd.Context(), r.Name, client.Revert{Asked: c.Asked(), Name: as})
			if err != nil || c.DryRun || w.NoWait || done.Release == nil {
				return a.told(done, err)
			}
			opened, err := a.AwaitPreview(cmd.Context(), api, done.Release.Name, w)
			done.Release = &opened
			return a.told(done, err)
		},
	}
	cmd.Flags().StringVar(&as, "as", "", "name of the new release (default revert-NAME)")
	c.Register(cmd, false)
	w.Register(cmd)
	return cmd
}
