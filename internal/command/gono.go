package command

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
)

// noted are the flags of commands by which people have a word.
func noted(cmd *cobra.Command, c *Changing) {
	cmd.Flags().StringVar(&c.Reason, "note", "", "what you have to say; kept with it")
	cmd.Flags().BoolVar(&c.DryRun, "dry-run", false, "say what would happen, and change nothing")
}

// releaseCheck shows a release's checklist, or signs an item off.
func (a *App) releaseCheck() *cobra.Command {
	var c Changing
	var item string
	var yes, no, withdraw bool
	cmd := &cobra.Command{
		Use: "check [NAME]", Short: "Show a release's checklist, or sign an item of it off: go or no-go", Args: OneName,
		Long: `Shows a release's checklist, or with --item signs an item off. What is said holds
for what was looked at: it is void when the release changes, or is rolled back. A
no-go stands until who said it says otherwise.`,
		Example: `  greenroom release check r42
  greenroom release check r42 --item smoke --go
  greenroom release check r42 --item gifts --no-go --note "only one arrives"`,
		ValidArgsFunction: a.Releases("Previewing", "Canary"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var verdicts []string
			for verdict, said := range map[string]bool{"go": yes, "no-go": no, "withdraw": withdraw} {
				if said {
					verdicts = append(verdicts, verdict)
				}
			}
			if (item == "") != (len(verdicts) == 0) || len(verdicts) > 1 {
				return BadInputf("an item is signed off by --item NAME and one of --go, --no-go and --withdraw")
			}
			api, s, r, err := a.pick(cmd.Context(), args, "check", inPhase("Previewing", "Canary"))
			if err != nil {
				return err
			}
			if item == "" {
				return a.Print(r.Checklist, func(w io.Writer) {
					printServing(w, s)
					fmt.Fprintln(w)
					printChecklist(w, r, s.Now)
				})
			}
			done, err := api.SignOff(cmd.Context(), r.Name, client.Say{Asked: c.Asked(), Item: item, Verdict: verdicts[0], Generation: r.Generation})
			return a.told(done, err)
		},
	}
	cmd.Flags().StringVar(&item, "item", "", "the item to sign off")
	cmd.Flags().BoolVar(&yes, "go", false, "it is as it should be")
	cmd.Flags().BoolVar(&no, "no-go", false, "it is not; needs a --note")
	cmd.Flags().BoolVar(&withdraw, "withdraw", false, "take back what you said")
	noted(cmd, &c)
	return cmd
}

func (a *App) releaseApprove() *cobra.Command {
	var c Changing
	var withdraw bool
	cmd := &cobra.Command{
		Use: "approve [NAME]", Short: "Say that a release may go live; who promotes it cannot be who approves it", Args: OneName,
		ValidArgsFunction: a.Releases("Previewing", "Canary"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, _, r, err := a.pick(cmd.Context(), args, "approve", inPhase("Previewing", "Canary"))
			if err != nil {
				return err
			}
			done, err := api.Approve(cmd.Context(), r.Name, client.Approve{Asked: c.Asked(), Generation: r.Generation, Withdraw: withdraw})
			return a.told(done, err)
		},
	}
	cmd.Flags().BoolVar(&withdraw, "withdraw", false, "take your approval back")
	noted(cmd, &c)
	return cmd
}

func (a *App) fleetLock() *cobra.Command {
	var c Changing
	var long string
	cmd := &cobra.Command{
		Use: "lock", Short: "Keep others than you from promoting, for a while", Args: NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := a.Connection.Client(cmd.Context())
			if err != nil {
				return err
			}
			done, err := api.LockFleet(cmd.Context(), client.LockFleet{Asked: c.Asked(), For: long})
			return a.told(done, err)
		},
	}
	cmd.Flags().StringVar(&long, "for", "1h", "how long, from 1m to 7d")
	c.Register(cmd, false)
	return cmd
}

func (a *App) fleetUnlock() *cobra.Command {
	var c Changing
	var override bool
	cmd := &cobra.Command{
		Use: "unlock", Short: "End a lock", Args: NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := a.Connection.Client(cmd.Context())
			if err != nil {
				return err
			}
			done, err := api.UnlockFleet(cmd.Context(), client.UnlockFleet{Asked: c.Asked(), Override: override})
			return a.told(done, err)
		},
	}
	cmd.Flags().BoolVar(&override, "override", false, "although it is somebody else's; needs a --reason")
	c.Register(cmd, false)
	return cmd
}

func printChecklist(w io.Writer, r client.Release, now time.Time) {
	if len(r.Checklist) == 0 {
		fmt.Fprintf(w, "%s has no checklist.\n", r.Name)
		return
	}
	Table(w, "ITEM\tSTATE\tWHO\tWHEN\tNOTE", func(row func(...string)) {
		for _, item := range r.Checklist {
			if len(item.SignOffs) == 0 {
				row(item.Name, item.State, "", "", oneLine(item.Text))
			}
			for i, s := range item.SignOffs {
				name, state := "", ""
				if i == 0 {
					name, state = item.Name, item.State
				}
				said := s.Verdict
				if s.Void {
					said += ", of what it was before"
				}
				row(name, state, s.Who+": "+said, Clock(s.At, now), oneLine(s.Note))
			}
		}
	})
}

// printGoNoGo shows what people have said of a release, where they are asked.
func printGoNoGo(w io.Writer, r client.Release, now time.Time) {
	if p := r.Planned; p != nil {
		fmt.Fprintf(w, "Goes live at %s, planned by %s at %s%s\n", Clock(p.For, now), p.Who, Clock(p.At, now), because(p.Why))
		if p.Trouble != "" {
			fmt.Fprintf(w, "  it waits until %s: %s\n", Clock(p.Until, now), p.Trouble)
		}
	}
	if len(r.Checklist) > 0 {
		fmt.Fprintln(w)
		printChecklist(w, r, now)
	}
	if r.ApprovalsNeeded > 0 || len(r.Approvals) > 0 {
		var who []string
		for _, one := range r.Approvals {
			text := fmt.Sprintf("%s at %s%s", one.Who, Clock(one.At, now), because(one.Note))
			if one.Void {
				text += " (of what it was before)"
			}
			who = append(who, text)
		}
		fmt.Fprintf(w, "\nApproved by %s", cmp.Or(strings.Join(who, ", "), "nobody"))
		if n := r.ApprovalsNeeded; n > 0 {
			fmt.Fprintf(w, "; %d needed", n)
		}
		fmt.Fprintln(w)
	}
}

// printHeld shows what keeps people from promoting anything.
func printHeld(w io.Writer, s client.Status) {
	if l := s.Lock; l != nil {
		fmt.Fprintf(w, "Locked by %s until %s%s\n", l.Who, Clock(l.Until, s.Now), because(l.Why))
	}
	for _, f := range s.Freezes {
		if f.Holds {
			fmt.Fprintf(w, "Frozen until %s: %s%s\n", Clock(f.To, s.Now), f.Name, because(f.Why))
		}
	}
}
