package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/examples/live"
	greenroom "github.com/greenroom-dev/greenroom/internal/app"
	"github.com/greenroom-dev/greenroom/internal/command"
)

// demoOptions are the flags of demo.
type demoOptions struct {
	listen   string
	state    string // "": a temporary folder, gone at the end
	auto     bool
	requests int64
	switches int
	controls bool
}

func (a *app) demoCommand() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a whole fleet with a release, and be shown around",
		Long: `Runs a small live-streaming app of six services on this machine, all of them
this program itself, and walks you through a release: preview, promote, rollback.
Nothing needs to be installed, and nothing is left behind.

With --auto it plays the story under load by itself and prints the figures. It
fails unless no request failed, none met two releases, and what was sent after a
switch was answered by what it switched to.`,
		Example: `  greenroom demo
  greenroom demo --listen 0.0.0.0:8080    # for a phone on the same network
  greenroom demo --auto`,
		Args: command.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("state") { // GREENROOM_STATE is a fleet's of one's own
				o.state = a.where.state
			}
			if err := o.check(cmd, a.JSON()); err != nil {
				return err
			}
			return a.demo(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.listen, "listen", "", "where the fleet's edge listens, such as 0.0.0.0:8080 for the network (default 127.0.0.1:8080, or the next free port)")
	flags.BoolVar(&o.auto, "auto", false, "play the story under load and print the figures")
	flags.Int64Var(&o.requests, "requests", 200_000, "with --auto: how many requests to send")
	flags.IntVar(&o.switches, "switches", 50, "with --auto: how many promotions and rollbacks, in turn")
	flags.BoolVar(&o.controls, "controls", true, "with --auto: show that the check sees mixtures, with a service that passes no stamp on")
	return cmd
}

func (o demoOptions) check(cmd *cobra.Command, json bool) error {
	switch {
	case json && !o.auto:
		return command.BadInputf("-o json is for the figures of demo --auto")
	case !o.auto && (cmd.Flags().Changed("requests") || cmd.Flags().Changed("switches") || cmd.Flags().Changed("controls")):
		return command.BadInputf("--requests, --switches and --controls go with --auto")
	case o.switches < 1:
		return command.BadInputf("--switches %d: it takes at least one", o.switches)
	case o.requests < int64(100*o.switches):
		return command.BadInputf("--requests %d: it takes at least 100 for each of %d switches", o.requests, o.switches)
	}
	return nil
}

// demo runs the fleet in a folder that is gone afterwards, unless it was named.
func (a *app) demo(ctx context.Context, o demoOptions) (err error) {
	ctx, stop := a.untilNobodyLooks(ctx)
	defer stop()
	folder, err := demoFolder(o.state)
	if err != nil {
		return err
	}
	if o.state == "" {
		defer func() {
			if gone := os.RemoveAll(folder); gone != nil {
				err = errors.Join(err, fmt.Errorf("remove the demo's folder: %w", gone))
			}
		}()
	}
	at, err := demoAddress(o.listen)
	if err != nil {
		return err
	}
	if at.moved != "" {
		a.Note("%s", at.moved)
	}
	if at.api, _, err = freeAddress(demoAPI); err != nil {
		return err
	}
	if o.auto {
		return a.demoAuto(ctx, o, folder, at)
	}
	return a.stageDemo(ctx, demoFleet{state: folder, at: at}, a.demoTour)
}

// untilNobodyLooks returns a context that is also done when the terminal is
// closed or the reader of the output has gone: services must not outlive a demo.
func (a *app) untilNobodyLooks(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(ctx)
	// Asking for SIGPIPE makes writing fail where it would end the program. The
	// signal itself says nothing: it is raised by lost connections too.
	unheard := make(chan os.Signal, 1)
	signal.Notify(unheard, syscall.SIGPIPE)
	a.Env.Stdout, a.Env.Stderr = heard{a.Env.Stdout, cancel}, heard{a.Env.Stderr, cancel}
	return ctx, func() { cancel(); stop(); signal.Stop(unheard) }
}

// heard is a writer that tells when nobody reads any more.
type heard struct {
	io.Writer
	gone func()
}

func (h heard) Write(p []byte) (int, error) {
	n, err := h.Writer.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		h.gone()
	}
	return n, err
}

// demoFolder makes the folder that a demo keeps everything in.
func demoFolder(state string) (string, error) {
	if state == "" {
		folder, err := os.MkdirTemp("", "greenroom-")
		if err != nil {
			return "", fmt.Errorf("make a folder for the demo: %w; name one with --state", err)
		}
		return folder, nil
	}
	folder, err := filepath.Abs(state)
	if err != nil {
		return "", fmt.Errorf("find the folder %s: %w", state, err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fmt.Errorf("make the demo's folder: %w", err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return "", fmt.Errorf("look into the demo's folder: %w", err)
	}
	if len(entries) > 0 {
		return "", command.BadInputf("--state %s: the folder is not empty, and the demo begins anew each time; name another, or none", state)
	}
	return folder, nil
}

// staged is a demo fleet that serves.
type staged struct {
	demoFleet
	api  *client.Client
	edge string // URL, as this machine reaches it
	docs documents
}

// stageDemo runs a demo fleet for as long as play plays.
func (a *app) stageDemo(ctx context.Context, f demoFleet, play func(context.Context, *staged) error) error {
	docs, err := f.write(a.Env.Executable)
	if err != nil {
		return err
	}
	resolved, err := resolveFleet(docs.fleet, nil)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(f.state, "greenroom.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the demo's log: %w", err)
	}
	defer log.Close()

	playing, cancel := context.WithCancel(ctx)
	defer cancel()
	var plays sync.WaitGroup
	var mu sync.Mutex // keeps play from beginning when everything has ended
	err = a.run(ctx, serving{
		state: f.state, fleet: &resolved, log: slog.New(slog.NewTextHandler(log, nil)), accessLog: log,
		ready: func(api *client.Client, g *greenroom.App) error {
			mu.Lock()
			if playing.Err() != nil {
				mu.Unlock()
				return errEnough
			}
			plays.Add(1)
			mu.Unlock()
			defer plays.Done()
			if err := play(playing, &staged{demoFleet: f, api: api, edge: g.EdgeURL(), docs: docs}); err != nil && playing.Err() == nil {
				return err
			}
			return errEnough // an end that was asked for is no failure
		},
	})
	mu.Lock()
	cancel()
	mu.Unlock()
	plays.Wait() // nothing is printed, and no request sent, once this returns
	if err != nil {
		a.Note("%s", lastLines(log.Name(), 10))
	}
	return err
}

// lastLines is the end of a log that will be gone.
func lastLines(path string, n int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return "greenroom's log can not be read: " + err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// demoServiceCommand runs one service of the demo fleet.
func (a *app) demoServiceCommand() *cobra.Command {
	var version string
	cmd := &cobra.Command{
		Use: "demo-service NAME", Hidden: true, Args: command.Exactly(1, "a service's name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return live.Run(cmd.Context(), args[0], version, os.Getenv, slog.New(slog.NewTextHandler(a.Env.Stderr, nil)))
		},
	}
	cmd.Flags().StringVar(&version, "version", "v1", "v1 or v2")
	return cmd
}

// ready waits until every service of the fleet serves.
func (s *staged) ready(ctx context.Context) error {
	err := s.api.FollowStatus(ctx, func(now client.Status) error {
		for _, service := range now.Services {
			for _, v := range service.Versions {
				switch {
				case v.Serving && v.State == "failed":
					return fmt.Errorf("%s did not start: %s", v.ID, v.Message)
				case v.Serving && v.State != "ready":
					return nil
				}
			}
		}
		return errEnough
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// open opens the release and waits for its preview.
func (s *staged) open(ctx context.Context) error {
	data, err := os.ReadFile(s.docs.release)
	if err != nil {
		return fmt.Errorf("read the release: %w", err)
	}
	if _, err := s.api.OpenRelease(ctx, client.Open{Document: client.Document{
		Name: s.docs.release, Dir: filepath.Dir(s.docs.release), Data: string(data),
	}}); err != nil {
		return err
	}
	return s.phase(ctx, "Previewing")
}

// phase waits until the release is in a phase.
func (s *staged) phase(ctx context.Context, want string) error {
	err := s.api.FollowStatus(ctx, func(now client.Status) error {
		for _, r := range now.Releases {
			switch {
			case r.Name != demoRelease:
			case r.Phase == want:
				return errEnough
			case r.Phase == "Failed" || r.Phase == "Aborted":
				return fmt.Errorf("%s has %s: %s", r.Name, strings.ToLower(r.Phase), r.Reason)
			}
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}
