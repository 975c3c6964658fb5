package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/examples/live/load"
	"github.com/greenroom-dev/greenroom/internal/command"
)

// probes are the requests sent at once when a switch has returned, over
// connections of their own, besides the load.
const probes = 6

// demoAuto plays the story under load, then the control, and tells the figures.
func (a *app) demoAuto(ctx context.Context, o demoOptions, folder string, at demoAt) error {
	f := newFigures()
	if !a.JSON() {
		f.printMachine(a.Env.Stdout)
	}
	show := a.NewProgress()
	defer show.End()
	err := a.stageDemo(ctx, demoFleet{state: filepath.Join(folder, "story"), at: at}, func(ctx context.Context, s *staged) error {
		story := &demoStory{terminal: a.Env.Terminal, staged: s, o: o, figures: f, show: show}
		return story.play(ctx)
	})
	if err == nil && o.controls && ctx.Err() == nil {
		f.Control = &controlFigures{}
		show.Say("the control: a service that passes no stamp on")
		control := demoFleet{
			state: filepath.Join(folder, "control"), at: at,
			extras: map[string]map[string]string{"api": {"OTEL_PROPAGATORS": "none"}},
		}
		err = a.stageDemo(ctx, control, func(ctx context.Context, s *staged) error {
			c := &demoControl{staged: s, requests: max(2000, o.requests/20), figures: f, show: show}
			return c.play(ctx)
		})
	}
	show.End()
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return &command.CodedError{Err: errors.New("it was interrupted, and proves nothing"), Code: command.Failed}
	}
	return a.verdict(f, o.requests)
}

// verdict tells the figures, and fails if they are not what they must be.
func (a *app) verdict(f *figures, requests int64) error {
	f.judge(requests)
	if err := a.Print(f, func(w io.Writer) { f.print(w) }); err != nil {
		return err
	}
	if f.Passed {
		return nil
	}
	err := errors.New("the figures are not what they must be")
	if a.JSON() {
		return &command.SaidError{Err: err}
	}
	return err
}

// demoStory is the release of five services back and forth under load.
type demoStory struct {
	*staged
	o        demoOptions
	figures  *figures
	show     *command.Progress
	terminal bool // a person reads it

	judge demoJudge
	sent  atomic.Int64
	at    []time.Time     // when each switch had returned
	took  []time.Duration // by the switches' calls
}

func (s *demoStory) play(ctx context.Context) error {
	s.show.Say("six services start")
	if err := s.ready(ctx); err != nil {
		return err
	}
	s.show.Say("the release is opened")
	if err := s.open(ctx); err != nil {
		return err
	}
	if err := s.preview(ctx); err != nil {
		return err
	}
	report, err := underLoad(ctx, load.Options{
		EdgeURL: s.edge, MaxRequests: s.o.requests,
		// Enough to keep the machine busy. With more, latencies would tell of the
		// queue before its cores.
		Workers: 2 * runtime.NumCPU(),
		Observe: func(one load.Sample) { s.sent.Add(1); s.judge.see(one) },
	}, s.switchBackAndForth)
	if err != nil {
		return err
	}
	now, err := s.api.Status(ctx)
	if err != nil {
		return err
	}
	s.figures.take(s, report, now)
	return nil
}

// previews is how many requests look at the release before anybody else gets it.
const previews = 400

// preview looks at the release with a pass, as its testers do, while ordinary
// requests get what serves.
func (s *demoStory) preview(ctx context.Context) error {
	s.show.Say("the release is looked at with a pass")
	pass, err := s.api.MintPass(ctx, client.MintPass{Release: demoRelease, Subject: "the story"})
	if err != nil {
		return err
	}
	for _, who := range []struct{ pass, version string }{{pass.Token, "v2"}, {"", "v1"}} {
		var others atomic.Int64
		report, err := load.Run(ctx, load.Options{
			EdgeURL: s.edge, Pass: who.pass, MaxRequests: previews / 2, Workers: 2,
			Observe: func(one load.Sample) {
				if version := releasedVersion(one.Path); version != "" && version != who.version {
					others.Add(1)
				}
			},
		})
		if err != nil {
			return err
		}
		s.figures.Preview.add(report, others.Load())
	}
	return nil
}

// underLoad plays while load is made, and returns what the load came to. It ends
// by itself, or with errEnough from play, or when something fails.
func underLoad(ctx context.Context, o load.Options, play func(ctx context.Context, over <-chan struct{}) error) (*load.Report, error) {
	loading, cancel := context.WithCancel(ctx)
	defer cancel()
	over := make(chan struct{})
	var report *load.Report
	var failed error
	go func() {
		defer close(over)
		report, failed = load.Run(loading, o)
	}()
	err := play(loading, over)
	if err != nil {
		cancel()
	}
	<-over
	if errors.Is(err, errEnough) {
		err = nil
	}
	return report, errors.Join(err, failed, ctx.Err())
}

// switchBackAndForth promotes and rolls back, in turn, spread evenly over the
// load's requests.
func (s *demoStory) switchBackAndForth(ctx context.Context, over <-chan struct{}) error {
	for i := range s.o.switches {
		due := int64(i+1) * s.o.requests / int64(s.o.switches+1)
		if err := reach(ctx, over, &s.sent, due, s.tell); err != nil {
			return err
		}
		if err := s.turn(ctx, i%2 == 0); err != nil {
			return err
		}
	}
	return reach(ctx, over, &s.sent, s.o.requests, s.tell)
}

// reach waits until a count of answers is due, telling how it goes, and fails if
// the load is over before.
func reach(ctx context.Context, over <-chan struct{}, sent *atomic.Int64, due int64, tell func()) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for sent.Load() < due {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-over:
			if sent.Load() < due {
				return fmt.Errorf("the load ended after %d requests", sent.Load())
			}
		case <-tick.C:
			tell()
		}
	}
	return nil
}

// tell shows how far it is: all the time on a terminal, ten times elsewhere.
func (s *demoStory) tell() {
	sent, n := s.sent.Load(), len(s.at)
	switch {
	case s.terminal:
		s.show.Say(fmt.Sprintf("%s of %s requests, %d of %d switches", grouped(sent), grouped(s.o.requests), n, s.o.switches))
	case s.o.requests >= 10:
		tenth := s.o.requests / 10
		s.show.Say(fmt.Sprintf("%s of %s requests sent", grouped(sent/tenth*tenth), grouped(s.o.requests)))
	}
}

// turn switches, and asks at once who answers.
func (s *demoStory) turn(ctx context.Context, promote bool) error {
	version, change := "v1", func() error {
		_, err := s.api.Rollback(ctx, demoRelease, client.Asked{Reason: "the story goes back"})
		return err
	}
	if promote {
		version, change = "v2", func() error {
			_, err := s.api.Promote(ctx, demoRelease, client.Promote{})
			return err
		}
	}
	at, took, err := s.judge.switchTo(version, change)
	if err != nil {
		return fmt.Errorf("switch %d, to %s: %w", len(s.at)+1, version, err)
	}
	s.at, s.took = append(s.at, at), append(s.took, took)
	probe, err := load.Run(ctx, load.Options{
		EdgeURL: s.edge, MaxRequests: probes, Workers: 1, Seed: uint64(len(s.at)),
		Mix: load.Mix{load.Path: 3, load.API: 1, load.Unary: 1, load.Socket: 1}, Observe: s.judge.see,
	})
	if err != nil {
		return err
	}
	return probe.Err()
}
