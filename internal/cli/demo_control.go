package cli

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/examples/live/load"
	"github.com/greenroom-dev/greenroom/internal/command"
)

// controlSwitches is how often the control switches under load, and mostSwitches
// how often if nothing was mixed by then; odd, so that the release serves at the
// end.
const (
	controlSwitches = 9
	mostSwitches    = 99
)

// demoControl shows that the check is not blind: the api of its fleet passes no
// stamp on, so that requests do meet two releases, in preview and while ordinary
// requests are switched. In the steady state nothing is mixed, since calls
// without a stamp get what serves.
type demoControl struct {
	*staged
	requests int64
	figures  *figures
	show     *command.Progress
}

func (c *demoControl) play(ctx context.Context) error {
	if err := c.ready(ctx); err != nil {
		return err
	}
	if err := c.open(ctx); err != nil {
		return err
	}
	for _, step := range []func(context.Context, *controlFigures) error{c.preview, c.refused, c.named, c.switching, c.steady} {
		if err := step(ctx, c.figures.Control); err != nil {
			return fmt.Errorf("the control: %w", err)
		}
	}
	return nil
}

// preview looks at the release with a pass: beyond the api it is what serves.
func (c *demoControl) preview(ctx context.Context, out *controlFigures) error {
	pass, err := c.api.MintPass(ctx, client.MintPass{Release: demoRelease, Subject: "the control"})
	if err != nil {
		return err
	}
	report, err := load.Run(ctx, load.Options{
		EdgeURL: c.edge, Pass: pass.Token, MaxRequests: 20, Workers: 2, Mix: load.Mix{load.Path: 1},
	})
	if err != nil {
		return err
	}
	out.Preview = counted(report)
	return nil
}

// refused promotes without the permission to do so in spite of lost stamps.
func (c *demoControl) refused(ctx context.Context, out *controlFigures) error {
	_, err := c.api.Promote(ctx, demoRelease, client.Promote{})
	var problem *client.Error
	switch {
	case errors.As(err, &problem) && problem.Rule == "stamps":
		out.Refused = problem.Detail
	case err != nil:
		return err
	}
	return nil
}

// named asks the doctor who drops the stamp.
func (c *demoControl) named(ctx context.Context, out *controlFigures) error {
	findings, err := c.api.Doctor(ctx)
	if err != nil {
		return err
	}
	for _, f := range findings {
		if f.Check == "stamp" && strings.HasPrefix(f.Subject, "api@") && strings.Contains(f.Message, "gift") {
			out.Doctor = f.Subject + " " + f.Message
			return nil
		}
	}
	return nil
}

// switching goes back and forth under load; what crosses the api meanwhile can
// meet both releases. Whether one does at a certain switch is chance.
func (c *demoControl) switching(ctx context.Context, out *controlFigures) error {
	var sent, mixed atomic.Int64
	report, err := underLoad(ctx, load.Options{
		EdgeURL: c.edge, Workers: 8 * runtime.NumCPU(), MaxRequests: c.requests * mostSwitches / controlSwitches,
		Mix: load.Mix{load.Path: 60, load.PostSmall: 38, load.PostLarge: 2},
		Observe: func(s load.Sample) {
			sent.Add(1)
			if s.Mixed {
				mixed.Add(1)
			}
		},
	}, func(ctx context.Context, over <-chan struct{}) error {
		for out.Switches < controlSwitches || out.Switches%2 == 0 || mixed.Load() == 0 && out.Switches < mostSwitches {
			if err := reach(ctx, over, &sent, int64(out.Switches+1)*c.requests/controlSwitches, func() {}); err != nil {
				return err
			}
			if err := c.turn(ctx, out.Switches%2 == 0); err != nil {
				return err
			}
			out.Switches++
		}
		return errEnough
	})
	if err != nil {
		return err
	}
	out.Switching = counted(report)
	return nil
}

func (c *demoControl) turn(ctx context.Context, promote bool) error {
	if !promote {
		_, err := c.api.Rollback(ctx, demoRelease, client.Asked{})
		return err
	}
	_, err := c.api.Promote(ctx, demoRelease, client.Promote{AllowUnstamped: true})
	return err
}

// steady sends everything once more when nobody switches.
func (c *demoControl) steady(ctx context.Context, out *controlFigures) error {
	report, err := load.Run(ctx, load.Options{EdgeURL: c.edge, MaxRequests: c.requests})
	if err != nil {
		return err
	}
	out.Steady = counted(report)
	if err := report.Err(); err != nil {
		out.SteadyTrouble = err.Error()
	}
	return nil
}
