package command

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/pass"
)

// PassCommand holds the commands of passes.
func (a *App) PassCommand() *cobra.Command {
	return Group(&cobra.Command{Use: "pass", Short: "Let people see a release before it is live"},
		a.passCreate(), a.passCallback(), a.passList(), a.passRevoke())
}

func (a *App) passCreate() *cobra.Command {
	var c Changing
	var life, subject string
	var paths []string
	var live bool
	cmd := &cobra.Command{
		Use: "create [RELEASE]", Short: "Make a pass: a link, a QR code and a header", Args: OneName,
		Long: `Makes a pass for a release, or with --live for whatever serves, promotions
included: its holder sees what everybody sees, is told which release answers, and
goes through a hold.`,
		ValidArgsFunction: a.Releases("Preparing", "Previewing", "Canary", "Live"),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := client.MintPass{Asked: c.Asked(), Live: live, For: life, Subject: subject, Paths: paths}
			api, s, err := a.StatusOf(cmd.Context())
			switch {
			case live && len(args) > 0:
				return BadInputf("a pass is for %s or for what serves: leave out one of the two", args[0])
			case !live:
				var r client.Release
				api, s, r, err = a.pick(cmd.Context(), args, "look at", inPhase("Preparing", "Previewing", "Canary"))
				in.Release = r.Name
			}
			if err != nil {
				return err
			}
			p, err := api.MintPass(cmd.Context(), in)
			if err != nil {
				return err
			}
			return a.Print(p, func(w io.Writer) { a.printPass(w, p, s) })
		},
	}
	cmd.Flags().StringVar(&life, "for", "2h", "how long it opens the preview, 1m to 720h")
	cmd.Flags().StringVar(&subject, "to", "", "whom it is for, shown in the list (default: you)")
	cmd.Flags().BoolVar(&live, "live", false, "for whatever serves, rather than for a release")
	cmd.Flags().StringSliceVar(&paths, "paths", nil, "begins of paths, such as /shop,/api: elsewhere its holder sees what everybody gets (default: every path)")
	c.Register(cmd, false)
	return cmd
}

// opens names what a pass is for.
func opens(p client.Pass) string {
	if p.Live {
		return "what serves"
	}
	return p.Release
}

// within says where a pass holds, unless it does everywhere.
func within(p client.Pass) string {
	if len(p.Paths) == 0 {
		return ""
	}
	return " below " + strings.Join(p.Paths, ", ") + ", and elsewhere what everybody gets,"
}

func (a *App) printPass(w io.Writer, p client.MintedPass, s client.Status) {
	if p.Token == "" {
		fmt.Fprintf(w, "A pass for %s until %s would be made.\n", opens(p.Pass), Clock(p.Expires, s.Now))
		return
	}
	fmt.Fprintf(w, "Whoever has this sees %s%s until %s. It is shown once.\n\n", opens(p.Pass), within(p.Pass), Clock(p.Expires, s.Now))
	fmt.Fprintf(w, "Link    %s\nHeader  %s\nRevoke  greenroom pass revoke %s\n", p.Link, p.Header, p.ID)
	if !a.Env.Terminal {
		return
	}
	code, columns, err := pass.QR(p.Link)
	switch {
	case err != nil:
		a.Note("no QR code: %s", err)
	case columns > a.Env.Width():
		a.Note("A terminal of %d columns would show a QR code too.", columns)
	default:
		fmt.Fprintf(w, "\n%s", code)
	}
}

func (a *App) passCallback() *cobra.Command {
	var c Changing
	in := client.MintCallback{}
	cmd := &cobra.Command{
		Use: "callback [RELEASE]", Short: "Make an address that outside systems can call", Args: OneName,
		Long: "Make an address that outside systems can call, such as login providers and webhooks, and\n" +
			"that leads to a release. It takes the paths and methods that it was made for and nothing\n" +
			"else, until it is over, used up or revoked.",
		ValidArgsFunction: a.Releases("Preparing", "Previewing", "Canary", "Live"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(in.Paths) == 0 {
				return BadInputf("say which path may be called: --path /oauth/callback")
			}
			api, s, r, err := a.pick(cmd.Context(), args, "call", inPhase("Preparing", "Previewing", "Canary"))
			if err != nil {
				return err
			}
			in.Asked, in.Release = c.Asked(), r.Name
			made, err := api.MintCallback(cmd.Context(), in)
			if err != nil {
				return err
			}
			return a.Print(made, func(w io.Writer) { printCallback(w, made, s) })
		},
	}
	cmd.Flags().StringSliceVar(&in.Paths, "path", nil, "what may be called, with all below it, such as /oauth/callback; may be given again")
	cmd.Flags().StringSliceVar(&in.Methods, "method", []string{"GET", "POST"}, "HTTP methods")
	cmd.Flags().StringVar(&in.For, "for", "1h", "how long it can be called, 1m to 720h")
	cmd.Flags().IntVar(&in.Count, "count", 0, "how many calls it takes (default: any number)")
	cmd.Flags().StringVar(&in.Subject, "to", "", "whom it is for, shown in the list (default: you)")
	c.Register(cmd, false)
	return cmd
}

func printCallback(w io.Writer, c client.MintedCallback, s client.Status) {
	if len(c.Addresses) == 0 {
		fmt.Fprintf(w, "A callback address for %s until %s would be made.\n", c.Release, Clock(c.Expires, s.Now))
		return
	}
	fmt.Fprintf(w, "Calls of this reach %s until %s%s. It is shown once.\n\n", c.Release, Clock(c.Expires, s.Now), ofCalls(c.Count))
	for _, address := range c.Addresses {
		fmt.Fprintf(w, "Address  %s\n", address)
	}
	fmt.Fprintf(w, "Methods  %s\nRevoke   greenroom pass revoke %s\n", strings.Join(c.Methods, ", "), c.ID)
}

func ofCalls(count int) string {
	switch count {
	case 0:
		return ""
	case 1:
		return ", once"
	}
	return fmt.Sprintf(", %d times", count)
}

// limits says what a pass is limited to, or what a callback address takes.
func limits(p client.Pass) string {
	what := strings.Join(p.Paths, ",")
	switch {
	case p.Kind != "callback":
		return what
	case p.Count > 0:
		return fmt.Sprintf("%s %s, called %d of %d times", strings.Join(p.Methods, ","), what, p.Used, p.Count)
	}
	return fmt.Sprintf("%s %s, called %d times", strings.Join(p.Methods, ","), what, p.Used)
}

func (a *App) passList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List passes and callback addresses; what opens them is not shown again", Args: NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := a.Connection.Client(cmd.Context())
			if err != nil {
				return err
			}
			passes, err := api.Passes(cmd.Context())
			if err != nil {
				return err
			}
			return a.Print(passes, func(w io.Writer) { printPasses(w, passes, time.Now()) })
		},
	}
}

func printPasses(w io.Writer, passes []client.Pass, now time.Time) {
	if len(passes) == 0 {
		fmt.Fprintln(w, "There are no passes. Make one: greenroom pass create RELEASE")
		return
	}
	Table(w, "PASS\tRELEASE\tSTATE\tUNTIL\tLAST USE\tFOR", func(row func(...string)) {
		for _, p := range passes {
			whom := cmp.Or(p.Subject, "–")
			if p.By != p.Subject {
				whom += ", by " + p.By
			}
			if what := limits(p); what != "" {
				whom += ": " + what
			}
			row(p.ID, opens(p), p.State, Clock(p.Expires, now), LastUse(p.LastUse, now), oneLine(whom))
		}
	})
}

// PrintTokens lists API tokens.
func PrintTokens(w io.Writer, tokens []client.Token, now time.Time) {
	if len(tokens) == 0 {
		fmt.Fprintln(w, "There are no API tokens. The unix socket needs none.")
		return
	}
	Table(w, "TOKEN\tROLE\tMADE\tMADE BY\tLAST USE", func(row func(...string)) {
		for _, t := range tokens {
			row(t.Name, t.Role, Clock(t.Created, now), t.By, LastUse(t.LastUse, now))
		}
	})
}

// LastUse shows when something was used last.
func LastUse(t, now time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return ago(now.Sub(t)) + " ago"
}

func (a *App) passRevoke() *cobra.Command {
	var c Changing
	cmd := &cobra.Command{
		Use: "revoke PASS", Short: "Make a pass or a callback address worthless at once", Args: Exactly(1, "the pass's ID (greenroom pass list)"),
		ValidArgsFunction: a.validPasses(),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.Connection.Client(cmd.Context())
			if err != nil {
				return err
			}
			p, err := api.RevokePass(cmd.Context(), args[0], c.Asked())
			if err != nil {
				return err
			}
			return a.Print(p, func(w io.Writer) {
				if c.DryRun && p.State != "revoked" {
					fmt.Fprintf(w, "The pass %s for %s would be revoked.\n", p.ID, opens(p))
					return
				}
				fmt.Fprintf(w, "The pass %s for %s is %s.\n", p.ID, opens(p), p.State)
			})
		},
	}
	c.Register(cmd, false)
	return cmd
}
