package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/examples/live/load"
)

// controlSwitches is how often the control switches under load; odd, so that
// it ends with the release serving.
const controlSwitches = 9

// demoControl shows that the check is not blind: the api of its fleet passes no
// stamp on, so that requests do meet two releases, in preview and while ordinary
// requests are switched. In the steady state nothing is mixed, since calls
// without a stamp get what serves.
type demoControl struct {
	*staged
	requests int64
	figures  *figures
	show     *progress
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
// meet both releases.
func (c *demoControl) switching(ctx context.Context, out *controlFigures) error {
	var sent atomic.Int64
	report, err := underLoad(ctx, load.Options{
		EdgeURL: c.edge, MaxRequests: c.requests, Mix: load.Mix{load.Path: 60, load.PostSmall: 38, load.PostLarge: 2},
		Observe: func(load.Sample) { sent.Add(1) },
	}, func(ctx context.Context, over <-chan struct{}) error {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for i := range int64(controlSwitches) {
			for due := (i + 1) * c.requests / (controlSwitches + 1); sent.Load() < due; {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-over:
					return errors.New("the load ended early")
				case <-tick.C:
				}
			}
			var err error
			if i%2 == 0 {
				_, err = c.api.Promote(ctx, demoRelease, client.Promote{AllowUnstamped: true})
			} else {
				_, err = c.api.Rollback(ctx, demoRelease, client.Asked{})
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	out.Switching, out.Switches = counted(report), controlSwitches
	return nil
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
