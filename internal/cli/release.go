package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/config"
)

func (a *app) releaseCommand() *cobra.Command {
	return group(&cobra.Command{Use: "release", Short: "Open releases, look at them, and bring them to their end"},
		a.releaseOpen(), a.releaseList(), a.releaseShow(), a.releaseDiff(), a.releaseRebase(),
		a.releaseVerify(), a.promoteCommand(), a.rollbackCommand(), a.releaseRevert(), a.releaseSettle(), a.releaseAbort())
}

func (a *app) releaseOpen() *cobra.Command {
	var file string
	var sets []string
	var c changing
	var w waiting
	cmd := &cobra.Command{
		Use:   "open [NAME] (-f FILE | --set SERVICE=COMMAND...)",
		Short: "Open a release: its versions start beside what serves",
		Long: `Opens a release, or updates one that is not live yet, and waits until holders of
a pass can see it. What the document leaves out comes from the version that it
replaces.`,
		Example: `  greenroom release open -f r42.yaml
  greenroom release open r42 --set api=./bin/api-v3 --set legacy=127.0.0.1:9101`,
		Args: oneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			doc, name, err := a.releaseDocument(file, sets, args)
			if err != nil {
				return err
			}
			api, err := a.client()
			if err != nil {
				return err
			}
			done, err := api.OpenRelease(cmd.Context(), client.Open{Asked: c.asked(), Document: doc})
			if err != nil {
				return err
			}
			if c.dryRun || w.noWait {
				return a.printChanged(done)
			}
			r, err := a.awaitPreview(cmd.Context(), api, name, w)
			if err != nil {
				return err
			}
			done.Release, done.Message = &r, fmt.Sprintf("%s is %s", name, r.Phase)
			return a.print(done, func(out io.Writer) {
				fmt.Fprintf(out, "%s is %s; ordinary requests still get %s.\n", name, r.Phase, done.Serving.Release)
				fmt.Fprintf(out, "Look at it:   greenroom pass create %s\nGo live:      greenroom promote %s\n", name, name)
			})
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "Release document; - for standard input")
	cmd.Flags().StringArrayVar(&sets, "set", nil, "SERVICE=COMMAND or SERVICE=HOST:PORT, instead of a document; repeatable")
	c.register(cmd, false)
	w.register(cmd)
	return cmd
}

// releaseDocument is the document of -f, or one made of --set.
func (a *app) releaseDocument(file string, sets, args []string) (client.Document, string, error) {
	switch {
	case file == "" && len(sets) == 0:
		return client.Document{}, "", badInput("name a document with -f, or versions with --set api=./bin/api-v3")
	case file != "" && len(sets) > 0:
		return client.Document{}, "", badInput("-f and --set do not go together: put the version into the document")
	case file != "":
		doc, err := a.readDocument(file)
		if err != nil {
			return doc, "", err
		}
		docs, err := config.Parse(doc.Name, []byte(doc.Data), doc.Dir)
		if err != nil {
			return doc, "", &usageError{err}
		}
		if docs.Fleet != nil || len(docs.Releases) != 1 {
			return doc, "", badInput("%s must hold one Release document and nothing else", doc.Name)
		}
		name := docs.Releases[0].Metadata.Name
		if len(args) == 1 && args[0] != name {
			return doc, "", badInput("%s is the document of %s, not of %s", doc.Name, name, args[0])
		}
		return doc, name, nil
	case len(args) != 1:
		return client.Document{}, "", badInput("--set needs the release's name: greenroom release open r42 --set api=./bin/api-v3")
	}
	dir, err := os.Getwd()
	if err != nil {
		return client.Document{}, "", fmt.Errorf("find the working directory: %w", err)
	}
	made, err := config.ReleaseFromFlags(args[0], sets, dir)
	if err != nil {
		return client.Document{}, "", &usageError{err}
	}
	data, err := json.MarshalIndent(made.Release, "", "  ")
	if err != nil {
		return client.Document{}, "", fmt.Errorf("write the release as a document: %w", err)
	}
	return client.Document{Name: "--set", Dir: dir, Data: string(data)}, args[0], nil
}

// readDocument reads a file for the server, which resolves its paths.
func (a *app) readDocument(file string) (client.Document, error) {
	if file == "-" {
		data, err := io.ReadAll(io.LimitReader(a.env.Stdin, config.MaxSize+1))
		if err != nil {
			return client.Document{}, fmt.Errorf("read standard input: %w", err)
		}
		dir, err := os.Getwd()
		return client.Document{Name: "-", Dir: dir, Data: string(data)}, err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return client.Document{}, badInput("read the document: %w", err)
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return client.Document{}, fmt.Errorf("find the document's folder: %w", err)
	}
	return client.Document{Name: file, Dir: filepath.Dir(path), Data: string(data)}, nil
}

// awaitPreview waits until a release that was opened is Previewing.
func (a *app) awaitPreview(ctx context.Context, api *client.Client, name string, w waiting) (client.Release, error) {
	return a.await(ctx, api, name, w, func(r client.Release) (bool, error) {
		switch r.Phase {
		case "Preparing":
			return false, nil
		case "Failed", "Aborted":
			return true, fmt.Errorf("%s has %s: %s", name, strings.ToLower(r.Phase), reasonOr(r.Reason, "greenroom events says why"))
		}
		return true, nil
	})
}

func reasonOr(reason, other string) string {
	if reason == "" {
		return other
	}
	return reason
}

// errEnough ends a stream whose end has been seen.
var errEnough = errors.New("enough")

// await follows a release until done says so, showing what it waits for.
func (a *app) await(ctx context.Context, api *client.Client, name string, w waiting, done func(client.Release) (bool, error)) (client.Release, error) {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	show := a.newProgress()
	defer show.end()
	var last client.Release
	var outcome error
	err := api.FollowStatus(ctx, func(s client.Status) error {
		i := slices.IndexFunc(s.Releases, func(r client.Release) bool { return r.Name == name })
		if i < 0 {
			outcome = fmt.Errorf("%s is gone; greenroom events says why", name)
			return errEnough
		}
		last = s.Releases[i]
		var over bool
		if over, outcome = done(last); over {
			return errEnough
		}
		show.say(name + " is " + last.Phase + ": " + reasonOr(last.Reason, "…"))
		return nil
	})
	switch {
	case errors.Is(err, errEnough):
		return last, outcome
	case errors.Is(err, context.Canceled):
		return last, fmt.Errorf("interrupted; %s goes on: greenroom status --watch", name)
	case errors.Is(err, context.DeadlineExceeded):
		return last, &codedError{fmt.Errorf("%s is still %s after %s (%s); it goes on: greenroom status --watch", name, last.Phase, w.timeout, reasonOr(last.Reason, "no reason given")), TimedOut}
	}
	return last, err
}

// printChanged tells what a changing request did.
func (a *app) printChanged(c client.Changed) error {
	return a.print(c, func(w io.Writer) {
		fmt.Fprintln(w, sentence(c.Message))
		for _, n := range c.Notes {
			fmt.Fprintln(w, "Note: "+n)
		}
	})
}

func sentence(s string) string {
	if s == "" || strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

// pick returns the release that a command means: the one named, or the only
// one that fits.
func (a *app) pick(s client.Status, args []string, what string, fits func(client.Release) bool) (client.Release, error) {
	if len(args) == 1 {
		i := slices.IndexFunc(s.Releases, func(r client.Release) bool { return r.Name == args[0] })
		if i < 0 {
			return client.Release{}, badInput("there is no release %s; greenroom release list shows those there are", args[0])
		}
		return s.Releases[i], nil
	}
	var found []client.Release
	var names []string
	for _, r := range s.Releases {
		if fits(r) {
			found, names = append(found, r), append(names, r.Name)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return client.Release{}, &codedError{fmt.Errorf("there is no release to %s; greenroom release list shows those there are", what), Refused}
	}
	return client.Release{}, badInput("several releases fit: %s; name the one to %s", strings.Join(names, ", "), what)
}

func inPhase(phases ...string) func(client.Release) bool {
	return func(r client.Release) bool { return slices.Contains(phases, r.Phase) }
}

// statusOf asks for the status and returns it with the client.
func (a *app) statusOf(ctx context.Context) (*client.Client, client.Status, error) {
	api, err := a.client()
	if err != nil {
		return nil, client.Status{}, err
	}
	s, err := api.Status(ctx)
	return api, s, err
}

func (a *app) releaseList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List releases, the latest first", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, s, err := a.statusOf(cmd.Context())
			if err != nil {
				return err
			}
			return a.print(s.Releases, func(w io.Writer) {
				printServing(w, s)
				fmt.Fprintln(w)
				printReleases(w, s)
			})
		},
	}
}

func (a *app) releaseShow() *cobra.Command {
	return &cobra.Command{
		Use: "show [NAME]", Short: "Show one release: what it changes, what it waits for, what speaks against promoting it",
		Args:              oneName,
		ValidArgsFunction: a.releases(),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, s, err := a.statusOf(cmd.Context())
			if err != nil {
				return err
			}
			r, err := a.pick(s, args, "show", inPhase("Preparing", "Previewing", "Canary", "Live", "Settling", "Failed"))
			if err != nil {
				return err
			}
			return a.print(r, func(w io.Writer) {
				printServing(w, s)
				printRelease(w, r, s.Now)
			})
		},
	}
}

func (a *app) releaseDiff() *cobra.Command {
	return &cobra.Command{
		Use: "diff [NAME]", Short: "Show what a release changes of what serves", Args: oneName,
		ValidArgsFunction: a.releases(),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, s, err := a.statusOf(cmd.Context())
			if err != nil {
				return err
			}
			r, err := a.pick(s, args, "compare", inPhase("Preparing", "Previewing", "Canary", "Live", "Failed"))
			if err != nil {
				return err
			}
			return a.print(r.Changes, func(w io.Writer) {
				printServing(w, s)
				fmt.Fprintln(w)
				printDiff(w, r)
			})
		},
	}
}

func (a *app) releaseRebase() *cobra.Command {
	var c changing
	var w waiting
	cmd := &cobra.Command{
		Use: "rebase [NAME]", Short: "Build a release upon what serves now", Args: oneName,
		ValidArgsFunction: a.releases("Preparing", "Previewing", "Failed"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, s, err := a.statusOf(cmd.Context())
			if err != nil {
				return err
			}
			r, err := a.pick(s, args, "rebase", inPhase("Preparing", "Previewing", "Failed"))
			if err != nil {
				return err
			}
			done, err := api.Rebase(cmd.Context(), r.Name, c.asked())
			if err != nil || c.dryRun || w.noWait {
				return orPrint(err, func() error { return a.printChanged(done) })
			}
			r, err = a.awaitPreview(cmd.Context(), api, r.Name, w)
			done.Release = &r
			return orPrint(err, func() error { return a.printChanged(done) })
		},
	}
	c.register(cmd, false)
	w.register(cmd)
	return cmd
}

func orPrint(err error, print func() error) error {
	if err != nil {
		return err
	}
	return print()
}

func (a *app) releaseVerify() *cobra.Command {
	var c changing
	var w waiting
	var moment string
	cmd := &cobra.Command{
		Use: "verify [NAME]", Short: "Run a release's verify hooks again, or others that failed", Args: oneName,
		ValidArgsFunction: a.releases("Previewing", "Settling"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, s, err := a.statusOf(cmd.Context())
			if err != nil {
				return err
			}
			r, err := a.pick(s, args, "verify", inPhase("Previewing"))
			if err != nil {
				return err
			}
			done, err := api.Verify(cmd.Context(), r.Name, client.Verify{Asked: c.asked(), Moment: moment})
			if err != nil || c.dryRun || w.noWait {
				return orPrint(err, func() error { return a.printChanged(done) })
			}
			r, err = a.await(cmd.Context(), api, r.Name, w, func(r client.Release) (bool, error) { return hooksOver(r, moment) })
			done.Release, done.Message = &r, fmt.Sprintf("the %s hooks of %s passed", moment, r.Name)
			return orPrint(err, func() error { return a.printChanged(done) })
		},
	}
	cmd.Flags().StringVar(&moment, "moment", "verify", "whose hooks: verify, settle, rollback or abort")
	words(cmd, "moment", "verify", "settle", "rollback", "abort")
	c.register(cmd, false)
	w.register(cmd)
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

func (a *app) releaseRevert() *cobra.Command {
	var c changing
	var w waiting
	var as string
	cmd := &cobra.Command{
		Use: "revert [NAME]", Short: "Open a release of the versions that a settled one replaced", Args: oneName,
		ValidArgsFunction: a.releases("Settling", "Settled"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, s, err := a.statusOf(cmd.Context())
			if err != nil {
				return err
			}
			r, err := a.pick(s, args, "revert", func(r client.Release) bool { return r.Name == s.Serving.Release && s.Serving.Before == "" })
			if err != nil {
				return err
			}
			done, err := api.Revert(cmd.Context(), r.Name, client.Revert{Asked: c.asked(), Name: as})
			if err != nil || c.dryRun || w.noWait || done.Release == nil {
				return orPrint(err, func() error { return a.printChanged(done) })
			}
			opened, err := a.awaitPreview(cmd.Context(), api, done.Release.Name, w)
			done.Release = &opened
			return orPrint(err, func() error { return a.printChanged(done) })
		},
	}
	cmd.Flags().StringVar(&as, "as", "", "name of the new release (default revert-NAME)")
	c.register(cmd, false)
	w.register(cmd)
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
			api, s, err := a.statusOf(cmd.Context())
			if err != nil {
				return err
			}
			r, err := a.pick(s, args, "settle", inPhase("Live", "Settling"))
			if err != nil {
				return err
			}
			if r.Phase == "Live" {
				if err := a.confirm(cmd.Context(), &c, fmt.Sprintf("%s can not be rolled back after this. Settle it?", r.Name)); err != nil {
					return err
				}
			}
			done, err := api.Settle(cmd.Context(), r.Name, c.asked())
			if err != nil || c.dryRun || w.noWait {
				return orPrint(err, func() error { return a.printChanged(done) })
			}
			r, err = a.await(cmd.Context(), api, r.Name, w, func(r client.Release) (bool, error) { return r.Phase == "Settled", nil })
			done.Release, done.Message = &r, r.Name+" is settled"
			if r.Reason != "" {
				done.Notes = append(done.Notes, r.Reason)
			}
			return orPrint(err, func() error { return a.printChanged(done) })
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
			api, s, err := a.statusOf(cmd.Context())
			if err != nil {
				return err
			}
			r, err := a.pick(s, args, "abort", inPhase("Preparing", "Previewing", "Canary", "Failed"))
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
			return orPrint(err, func() error { return a.printChanged(done) })
		},
	}
	c.register(cmd, true)
	return cmd
}

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
			api, s, err := a.statusOf(ctx)
			if err != nil {
				return err
			}
			r, err := a.pick(s, args, "promote", inPhase("Previewing", "Canary"))
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
			api, s, err := a.statusOf(ctx)
			if err != nil {
				return err
			}
			r, err := a.pick(s, args, "roll back", inPhase("Live", "Canary"))
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
			return orPrint(err, func() error { return a.printChanged(done) })
		},
	}
	c.register(cmd, true)
	cmd.Flags().DurationVar(&w.timeout, "timeout", 10*time.Minute, "how long to wait")
	return cmd
}
