package cli

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/pass"
)

func (a *app) passCommand() *cobra.Command {
	return group(&cobra.Command{Use: "pass", Short: "Let people see a release before it is live"},
		a.passCreate(), a.passList(), a.passRevoke())
}

func (a *app) passCreate() *cobra.Command {
	var c changing
	var life, subject string
	cmd := &cobra.Command{
		Use: "create [RELEASE]", Short: "Make a pass: a link, a QR code and a header", Args: oneName,
		ValidArgsFunction: a.releases("Preparing", "Previewing", "Canary", "Live"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, s, r, err := a.pick(cmd.Context(), args, "look at", inPhase("Preparing", "Previewing", "Canary"))
			if err != nil {
				return err
			}
			p, err := api.MintPass(cmd.Context(), client.MintPass{Asked: c.asked(), Release: r.Name, For: life, Subject: subject})
			if err != nil {
				return err
			}
			return a.print(p, func(w io.Writer) { a.printPass(w, p, s) })
		},
	}
	cmd.Flags().StringVar(&life, "for", "2h", "how long it opens the preview, 1m to 720h")
	cmd.Flags().StringVar(&subject, "to", "", "whom it is for, shown in the list (default: you)")
	c.register(cmd, false)
	return cmd
}

func (a *app) printPass(w io.Writer, p client.MintedPass, s client.Status) {
	if p.Token == "" {
		fmt.Fprintf(w, "A pass for %s until %s would be made.\n", p.Release, clock(p.Expires, s.Now))
		return
	}
	fmt.Fprintf(w, "Whoever has this sees %s until %s. It is shown once.\n\n", p.Release, clock(p.Expires, s.Now))
	fmt.Fprintf(w, "Link    %s\nHeader  %s\nRevoke  greenroom pass revoke %s\n", p.Link, p.Header, p.ID)
	if !a.env.Terminal {
		return
	}
	code, columns, err := pass.QR(p.Link)
	switch {
	case err != nil:
		a.note("no QR code: %s", err)
	case columns > a.env.Width():
		a.note("A terminal of %d columns would show a QR code too.", columns)
	default:
		fmt.Fprintf(w, "\n%s", code)
	}
}

func (a *app) passList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List passes; their tokens are not kept", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := a.client()
			if err != nil {
				return err
			}
			passes, err := api.Passes(cmd.Context())
			if err != nil {
				return err
			}
			return a.print(passes, func(w io.Writer) { printPasses(w, passes, time.Now()) })
		},
	}
}

func printPasses(w io.Writer, passes []client.Pass, now time.Time) {
	if len(passes) == 0 {
		fmt.Fprintln(w, "There are no passes. Make one: greenroom pass create RELEASE")
		return
	}
	table(w, "PASS\tRELEASE\tSTATE\tUNTIL\tLAST USE\tFOR", func(row func(...string)) {
		for _, p := range passes {
			whom := cmp.Or(p.Subject, "–")
			if p.By != p.Subject {
				whom += ", by " + p.By
			}
			row(p.ID, p.Release, p.State, clock(p.Expires, now), lastUse(p.LastUse, now), oneLine(whom))
		}
	})
}

func printTokens(w io.Writer, tokens []client.Token, now time.Time) {
	if len(tokens) == 0 {
		fmt.Fprintln(w, "There are no API tokens. The unix socket needs none.")
		return
	}
	table(w, "TOKEN\tROLE\tMADE\tMADE BY\tLAST USE", func(row func(...string)) {
		for _, t := range tokens {
			row(t.Name, t.Role, clock(t.Created, now), t.By, lastUse(t.LastUse, now))
		}
	})
}

func lastUse(t, now time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return ago(now.Sub(t)) + " ago"
}

func (a *app) passRevoke() *cobra.Command {
	var c changing
	cmd := &cobra.Command{
		Use: "revoke PASS", Short: "Make a pass worthless at once", Args: exactly(1, "the pass's ID (greenroom pass list)"),
		ValidArgsFunction: a.validPasses(),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.client()
			if err != nil {
				return err
			}
			p, err := api.RevokePass(cmd.Context(), args[0], c.asked())
			if err != nil {
				return err
			}
			return a.print(p, func(w io.Writer) {
				if c.dryRun && p.State != "revoked" {
					fmt.Fprintf(w, "The pass %s for %s would be revoked.\n", p.ID, p.Release)
					return
				}
				fmt.Fprintf(w, "The pass %s for %s is %s.\n", p.ID, p.Release, p.State)
			})
		},
	}
	c.register(cmd, false)
	return cmd
}

func (a *app) tokenCommand() *cobra.Command {
	return group(&cobra.Command{Use: "token", Short: "Let programs and people elsewhere use the API"},
		a.tokenCreate(), a.tokenList(), a.tokenRevoke())
}

func (a *app) tokenCreate() *cobra.Command {
	var c changing
	var role string
	cmd := &cobra.Command{
		Use: "create NAME --role ROLE", Short: "Make an API token", Args: exactly(1, "a name for the token: it stands as who in events"),
		Long: `Makes an API token. Roles: viewer looks; tester also makes passes; operator also
opens, promotes, rolls back, settles and aborts releases and applies the fleet;
admin also makes tokens and ends the server. An operator can run any command as
the user that greenroom runs as: that is what releases do.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.client()
			if err != nil {
				return err
			}
			t, err := api.MakeToken(cmd.Context(), client.MakeToken{Asked: c.asked(), Name: args[0], Role: role})
			if err != nil {
				return err
			}
			return a.print(t, func(w io.Writer) {
				if t.Secret == "" {
					fmt.Fprintf(w, "The %s token %s would be made.\n", t.Role, t.Name)
					return
				}
				fmt.Fprintf(w, "%s\n", t.Secret)
				a.note("This is the secret of the %s token %s. It is shown once.", t.Role, t.Name)
			})
		},
	}
	cmd.Flags().StringVar(&role, "role", "viewer", "viewer, tester, operator or admin")
	words(cmd, "role", "viewer", "tester", "operator", "admin")
	c.register(cmd, false)
	return cmd
}

func (a *app) tokenList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List API tokens; their secrets are not kept", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := a.client()
			if err != nil {
				return err
			}
			tokens, err := api.Tokens(cmd.Context())
			if err != nil {
				return err
			}
			return a.print(tokens, func(w io.Writer) { printTokens(w, tokens, time.Now()) })
		},
	}
}

func (a *app) tokenRevoke() *cobra.Command {
	var c changing
	cmd := &cobra.Command{
		Use: "revoke NAME", Short: "Make an API token worthless at once", Args: exactly(1, "the token's name (greenroom token list)"),
		ValidArgsFunction: a.tokens(),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.client()
			if err != nil {
				return err
			}
			t, err := api.RevokeToken(cmd.Context(), args[0], c.asked())
			if err != nil {
				return err
			}
			return a.print(t, func(w io.Writer) {
				if c.dryRun {
					fmt.Fprintf(w, "The token %s would be revoked.\n", t.Name)
					return
				}
				fmt.Fprintf(w, "The token %s is revoked.\n", t.Name)
			})
		},
	}
	c.register(cmd, false)
	return cmd
}
