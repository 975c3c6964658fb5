package command

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
)

// planning are the flags of a promotion: what it passes over, and when it is.
type planning struct {
	client.Promote
	at, zone string
	cancel   bool
	hour     time.Time // that at means; zero: now
}

func (p *planning) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&p.AllowUnstamped, "allow-unstamped", false, "promote although calls lost the stamp in preview")
	f.BoolVar(&p.OverrideChecklist, "override-checklist", false, "promote although its checklist is not signed off; needs a --reason")
	f.StringSliceVar(&p.OverrideFreezes, "override-freeze", nil, "promote in spite of the freeze of this name; needs a --reason")
	f.StringVar(&p.at, "at", "", "then instead of now: 15:00, 2026-11-27 15:00, or 2026-11-27T15:00:00+01:00")
	f.StringVar(&p.zone, "zone", "", "the time zone of --at, such as Europe/Berlin (default this machine's)")
	f.BoolVar(&p.cancel, "cancel", false, "take back that it is promoted at some time")
	cmd.MarkFlagsMutuallyExclusive("at", "cancel")
	cmd.Long = `Makes a release what ordinary requests get: all of its services at once. With --at
that is done at a time to come: it is checked again then, and promoted if nothing
speaks against it within five minutes. A change of the release takes the plan back,
and so does --cancel.`
	cmd.Example = `  greenroom promote r42
  greenroom promote r42 --at 15:00
  greenroom promote r42 --cancel
  greenroom promote r42 --override-freeze weekend --reason "login is broken"`
}

// read finds the hour that is meant.
func (p *planning) read(now time.Time) error {
	zone := time.Local
	if p.zone != "" {
		if p.at == "" {
			return BadInputf("--zone goes with --at")
		}
		var err error
		if zone, err = time.LoadLocation(p.zone); err != nil {
			return BadInputf("%q is no time zone; write one such as Europe/Berlin or Asia/Tokyo", p.zone)
		}
	}
	if p.at == "" {
		return nil
	}
	var err error
	p.hour, err = hourOf(p.at, zone, now)
	return err
}

// fits are the releases that are meant where none is named.
func (p *planning) fits() fitting {
	if p.hour.IsZero() {
		return inPhase("Previewing", "Canary")
	}
	return inPhase("Preparing", "Previewing", "Canary")
}

func (a *App) cancelPromotion(ctx context.Context, args []string, c Changing) error {
	api, _, r, err := a.pick(ctx, args, "cancel", func(_ client.Status, r client.Release) bool { return r.Planned != nil })
	if err != nil {
		return err
	}
	done, err := api.CancelPromotion(ctx, r.Name, c.Asked())
	return a.told(done, err)
}
