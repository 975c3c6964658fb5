package command

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
)

// HoldCommand holds the commands of holds. waits tells that requests can wait
// at the edges that the program's server has.
func (a *App) HoldCommand(waits bool) *cobra.Command {
	short, held := "Turn requests away, while something below is worked on", "are turned away at\nthe edge,"
	off := "End the hold: requests go on"
	if waits {
		short, held = "Let requests wait, or turn them away, while something below is worked on", "wait at the edge, or are turned\naway,"
		off = "End the hold: requests that waited go on, the oldest first"
	}
	return Group(&cobra.Command{Use: "hold", Short: short,
		Long: `Puts the fleet on hold: requests of ordinary users ` + held + ` while a database is restarted or data is moved. Holders of a pass go
through, so that somebody can look whether all is well (pass create --live);
what is under way goes on, and so do streams that are open.`},
		a.holdOn(waits), a.holdOff(off), a.holdStatus())
}

func (a *App) holdOn(waits bool) *cobra.Command {
	var c Changing
	var in client.HoldOn
	var drain time.Duration
	modes, list := []string{"wait", "writes-only", "page"}, "wait, writes-only or page"
	if !waits {
		list = "writes-only or page"
	}
	cmd := &cobra.Command{
		Use: "on", Short: "Put the fleet on hold, or change the hold that it is on", Args: NoArgs,
		Long: `Puts the fleet on hold, or changes the hold that it is on. The modes:

` + where(waits, `  wait         requests wait, so many and so long as the Fleet says, and go on
               when it is over, the oldest first
`) + `  writes-only  writes are turned away with 503 and the fleet's message; reads go
               on (GET, HEAD, OPTIONS, and what the Fleet says is one)
  page         all are turned away with 503 and the fleet's page

A hold with --for ends by itself, also when greenroom is restarted meanwhile.`,
		Example: where(waits, `  greenroom hold on --for 20s --reason "restart the database"
`) + `  greenroom hold on --mode writes-only --for 10m
  greenroom hold on --mode page --routes /shop,/api/orders`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if in.Mode != "" && !slices.Contains(modes, in.Mode) { // wait where nothing can: the server says why
				return BadInputf("--mode is %s, not %q", list, in.Mode)
			}
			in.Asked = c.Asked()
			api, err := a.Connection.Client(cmd.Context())
			if err != nil {
				return err
			}
			done, err := api.HoldOn(cmd.Context(), in)
			if err != nil {
				return err
			}
			if !c.DryRun && done.Hold.Countable && done.Hold.Mode != "writes-only" && len(done.Hold.Routes) == 0 && drain > 0 {
				if done.Hold, err = a.awaitIdle(cmd.Context(), api, drain); err != nil {
					return err
				}
				if n := done.Hold.UnderWay; n > 0 {
					done.Notes = append(done.Notes, fmt.Sprintf("%s under way still", are(n, "request")))
				}
			}
			return a.toldHold(done)
		},
	}
	cmd.Flags().StringSliceVar(&in.Routes, "routes", nil, "only these paths, hosts or host/path, with all below")
	if waits {
		cmd.Flags().StringVar(&in.Mode, "mode", "wait", list)
		cmd.Flags().StringVar(&in.For, "for", "", "how long, such as 20s (default: 30s of mode wait, else until hold off)")
		cmd.Flags().DurationVar(&drain, "drain", 5*time.Second, "wait so long until the requests under way are answered")
		Words(cmd, "mode", modes...)
	} else {
		cmd.Flags().StringVar(&in.Mode, "mode", "", list)
		cmd.Flags().StringVar(&in.For, "for", "", "how long, such as 10m (default: until hold off)")
		Words(cmd, "mode", modes[1:]...)
	}
	c.Register(cmd, false)
	return cmd
}

// where is text where it is to be there.
func where(there bool, text string) string {
	if there {
		return text
	}
	return ""
}

// awaitIdle waits until nothing is under way that the hold would keep.
func (a *App) awaitIdle(ctx context.Context, api *client.Client, most time.Duration) (client.Hold, error) {
	over := time.NewTimer(most)
	defer over.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		h, err := api.Hold(ctx)
		if err != nil || h.UnderWay == 0 || !h.On {
			return h, err
		}
		select {
		case <-ctx.Done():
			return h, fmt.Errorf("interrupted; the fleet is on hold: greenroom hold off")
		case <-over.C:
			return h, nil
		case <-tick.C:
		}
	}
}

func are(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun + " is"
	}
	return fmt.Sprintf("%d %ss are", n, noun)
}

func (a *App) holdOff(short string) *cobra.Command {
	var c Changing
	cmd := &cobra.Command{
		Use: "off", Short: short, Args: NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := a.Connection.Client(cmd.Context())
			if err != nil {
				return err
			}
			done, err := api.HoldOff(cmd.Context(), c.Asked())
			if err != nil {
				return err
			}
			return a.toldHold(done)
		},
	}
	c.Register(cmd, false)
	return cmd
}

func (a *App) toldHold(done client.HoldChanged) error {
	return a.Print(done, func(w io.Writer) {
		fmt.Fprintln(w, Sentence(done.Message))
		if done.Hold.On && !done.Hold.Until.IsZero() {
			fmt.Fprintf(w, "It ends at %s.\n", done.Hold.Until.Local().Format(time.TimeOnly))
		}
		for _, note := range done.Notes {
			fmt.Fprintln(w, Sentence(note))
		}
	})
}

func (a *App) holdStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show whether the fleet is on hold, and what waits", Args: NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := a.Connection.Client(cmd.Context())
			if err != nil {
				return err
			}
			h, err := api.Hold(cmd.Context())
			if err != nil || a.JSON() {
				return cmp.Or(err, a.Print(h, nil))
			}
			s, err := api.Status(cmd.Context())
			if err != nil {
				return err
			}
			return a.Print(h, func(w io.Writer) {
				printServing(w, s)
				printHold(w, h, s.Now)
			})
		},
	}
}

// held says what becomes of which requests.
func held(h client.Hold) string {
	only := func(to string) string {
		if len(h.Routes) == 0 {
			return ""
		}
		return to + strings.Join(h.Routes, ", ")
	}
	switch h.Mode {
	case "wait":
		return "requests" + only(" for ") + " wait"
	case "writes-only":
		return "writes" + only(" to ") + " are turned away"
	case "page":
		return "requests" + only(" for ") + " are shown a page"
	}
	return h.Mode + only(" for ")
}

// printHold says in a line what is held.
func printHold(w io.Writer, h client.Hold, now time.Time) {
	if !h.On {
		line := "Not on hold"
		if h.Waiting > 0 {
			line += "; " + are(int64(h.Waiting), "request") + " still to go on"
		}
		fmt.Fprintln(w, line)
		return
	}
	line := "On hold: " + held(h)
	if h.Until.IsZero() {
		line += ", until somebody ends it"
	} else {
		line += fmt.Sprintf(", for %s more, until %s", ago(h.Until.Sub(now)), h.Until.Local().Format(time.TimeOnly))
	}
	fmt.Fprintf(w, "%s  (%s%s)\n", line, h.By, because(h.Reason))
	if h.Countable {
		fmt.Fprintf(w, "%d waiting, %d under way\n", h.Waiting, h.UnderWay)
	}
}
