package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/greenroom-dev/greenroom/client"
	greenroom "github.com/greenroom-dev/greenroom/internal/app"
	"github.com/greenroom-dev/greenroom/internal/command"
	"github.com/greenroom-dev/greenroom/internal/config"
	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway/edge"
	"github.com/greenroom-dev/greenroom/internal/platform/local"
	"github.com/greenroom-dev/greenroom/internal/store"
)

func socketPath(state string) string { return greenroom.SocketPath(state) }

// The time that the end of greenroom may take beyond the fleet's own drains.
const stopPatience = 2 * time.Minute

func (a *app) upCommand() *cobra.Command {
	var file, logFormat string
	var adopt bool
	cmd := &cobra.Command{
		Use:   "up [-f FILE]",
		Short: "Run a fleet in the foreground, until interrupted",
		Long: `Runs a fleet: its services, the edge before them, and the mesh between them.
Without -f it runs the fleet that the state folder knows.

A Fleet's versions are only the first. Where the document differs from what
serves, the state decides: settings are applied, changed versions are not.

Ctrl-C and SIGTERM drain and stop the services; greenroom down --leave-services
leaves them. What a greenroom left running, and what a killed one did, is adopted
and goes on without a restart.

Request lines go to standard output, by the budget of spec.edge.accessLog;
everything else to standard error. With -o json both are JSON.`,
		Args: command.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			state, err := a.where.stateFolder()
			if err != nil {
				return err
			}
			f, err := a.fleetOf(file, state)
			if err != nil {
				return err
			}
			show := a.NewProgress()
			return a.run(cmd.Context(), serving{
				state: state, fleet: f, adopt: adopt, log: a.newLog(logFormat, show.Beside(a.Env.Stderr)),
				accessLog: show.Beside(a.Env.Stdout), // which up has no other use for
				ready: func(api *client.Client, g *greenroom.App) error {
					if !a.JSON() {
						show.Tell("The edge answers at %s. Look: greenroom status%s", g.EdgeURL(), a.stateFlag())
						if at := g.DashboardURL(); at != "" {
							show.Tell("The dashboard is at %s. Log in: greenroom dashboard%s", at, a.stateFlag())
						}
						a.showStart(cmd.Context(), api, show)
					}
					return nil
				},
			})
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "Fleet document; - for standard input")
	cmd.Flags().BoolVar(&adopt, "adopt", false, "release versions that the document changes, to go live at once")
	cmd.Flags().StringVar(&logFormat, "log", "text", "how greenroom logs to standard error: text or json")
	command.Words(cmd, "log", "text", "json")
	return cmd
}

// stateFlag is what other commands need to find this greenroom.
func (a *app) stateFlag() string {
	if a.where.state == "" || a.Env.Getenv("GREENROOM_STATE") == a.where.state {
		return ""
	}
	return " --state " + a.where.state
}

// fleetOf reads the Fleet document; nil without one. A document that is not
// right keeps a fleet that was run before from nothing: it is told, and the
// fleet runs as it was.
func (a *app) fleetOf(file, state string) (*fleet.Fleet, error) {
	if file == "" {
		return nil, nil
	}
	f, err := resolveFleet(file, a.Env.Stdin)
	if err == nil {
		return &f, nil
	}
	if _, known := os.Stat(filepath.Join(state, "greenroom.db")); known != nil {
		return nil, err
	}
	a.Note("greenroom: %s\n\nThe document is not applied; the fleet runs as it was last applied.", err)
	return nil, nil
}

func resolveFleet(file string, stdin io.Reader) (fleet.Fleet, error) {
	docs, err := config.Read(file, stdin)
	if err != nil {
		return fleet.Fleet{}, &command.UsageError{Err: err}
	}
	if docs.Fleet == nil {
		return fleet.Fleet{}, command.BadInputf("%s holds no Fleet document; a Release is opened by greenroom release open -f", file)
	}
	f, err := config.ResolveFleet(*docs.Fleet)
	if err != nil {
		return fleet.Fleet{}, &command.UsageError{Err: err}
	}
	return f, nil
}

func (a *app) newLog(format string, w io.Writer) *slog.Logger {
	if format == "json" || a.JSON() {
		return slog.New(slog.NewJSONHandler(w, nil))
	}
	return slog.New(slog.NewTextHandler(w, nil))
}

// showStart shows what does not serve yet until everything does, and names
// what will not by itself.
func (a *app) showStart(ctx context.Context, api *client.Client, show *command.Progress) {
	defer show.End()
	told := map[string]bool{}
	_ = api.FollowStatus(ctx, func(s client.Status) error { // its end is greenroom's
		waiting, failed := notServing(s)
		for _, text := range failed {
			if !told[text] {
				told[text] = true
				show.Tell("%s", text)
			}
		}
		if len(waiting)+len(failed) == 0 {
			show.Tell("Every service is ready.")
			return errEnough
		}
		if len(waiting) > 0 {
			show.Say("waiting for " + strings.Join(waiting, ", "))
		}
		return nil
	})
}

// notServing says of the versions that ordinary requests get which are not
// ready yet, and which have failed.
func notServing(s client.Status) (waiting, failed []string) {
	for _, service := range s.Services {
		for _, v := range service.Versions {
			switch {
			case !v.Serving || v.State == "ready":
			case v.State == "failed":
				failed = append(failed, fmt.Sprintf("%s %s does not start: %s; greenroom logs %s", v.Service, v.Name, v.Message, v.Service))
			default:
				waiting = append(waiting, fmt.Sprintf("%s %s (%s)", v.Service, v.Name, cmp.Or(v.Message, v.State)))
			}
		}
	}
	return waiting, failed
}

// serving is one run of an embedded greenroom.
type serving struct {
	state string
	fleet *fleet.Fleet
	adopt bool
	log   *slog.Logger
	// accessLog is where request lines go.
	accessLog io.Writer
	// ready is called when it serves; the run ends when it fails, and goes on
	// when it returns nil.
	ready func(*client.Client, *greenroom.App) error
}

// run serves until ctx is done or somebody asks for the end.
func (a *app) run(ctx context.Context, s serving) error {
	listeners, err := givenListeners()
	if err != nil {
		return err
	}
	options := greenroom.Options{
		State: s.state, Fleet: s.fleet, Adopt: s.adopt, Shim: []string{a.Env.Executable, shimCommand},
		Version: a.Env.Version, Who: who(), Log: s.log, AccessLog: s.accessLog, Listeners: listeners, Now: time.Now,
	}
	for _, change := range a.change {
		change(&options)
	}
	g, err := greenroom.New(options)
	switch {
	case errors.Is(err, greenroom.ErrNoFleet):
		return &command.UsageError{Err: err}
	case errors.Is(err, local.ErrInUse), errors.Is(err, store.ErrInUse):
		return &command.CodedError{Err: err, Code: command.Refused}
	case err != nil:
		return err
	}
	notes, err := g.Start(ctx)
	if err != nil {
		return errors.Join(err, g.Stop(ctx, false))
	}
	for _, n := range notes {
		a.Note("%s", n)
	}
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReady) // says nothing where no service manager asks
	ended := make(chan error, 1)
	go func() {
		if err := s.ready(client.Socket(socketPath(s.state)), g); err != nil {
			ended <- err
		}
	}()
	leave := false
	var failed error
	select {
	case <-ctx.Done():
	case in := <-g.Asked():
		leave = in.LeaveServices
	case failed = <-ended:
		if errors.Is(failed, errEnough) {
			failed = nil
		}
	}
	_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping) // as above
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
	defer cancel()
	if leave {
		a.Note("greenroom ends; the services run on until the next greenroom up.")
	} else {
		a.Note("The fleet drains and stops.")
	}
	return errors.Join(failed, g.Stop(stop, leave))
}

// givenListeners are the sockets that a service manager opened: the first, or
// the one named edge, is the edge's; the one named edge-tls its TLS.
func givenListeners() (edge.Listeners, error) {
	named, err := activation.ListenersWithNames()
	if err != nil {
		return edge.Listeners{}, fmt.Errorf("take over the sockets of the service manager: %w", err)
	}
	var out edge.Listeners
	for name, list := range named {
		for _, l := range list {
			switch {
			case l == nil:
			case strings.HasSuffix(name, "tls"):
				out.TLS = l
			case out.Cleartext == nil:
				out.Cleartext = l
			}
		}
	}
	return out, nil
}

// who runs this program.
func who() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return fmt.Sprintf("uid %d", os.Getuid())
}

func (a *app) downCommand() *cobra.Command {
	var c command.Changing
	var w command.Waiting
	var leave bool
	cmd := &cobra.Command{
		Use: "down", Short: "End a greenroom that runs: services drain and stop", Args: command.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.MayAsk(&c, "down"); err != nil {
				return err
			}
			api, s, err := a.StatusOf(cmd.Context())
			if errors.Is(err, client.ErrUnreachable) && a.where.server == "" {
				return a.Print(client.Changed{Message: "No greenroom runs here"}, func(w io.Writer) { fmt.Fprintln(w, "No greenroom runs here.") })
			}
			if err != nil {
				return err
			}
			question := fmt.Sprintf("The fleet %s stops answering, and its services stop. End it?", s.Fleet)
			if leave {
				question = fmt.Sprintf("The fleet %s stops answering; its services run on until greenroom is started again. End it?", s.Fleet)
			}
			if err := a.Confirm(cmd.Context(), &c, question); err != nil {
				return err
			}
			if err := api.Shutdown(cmd.Context(), client.Shutdown{Asked: c.Asked(), LeaveServices: leave}); err != nil {
				return err
			}
			done := client.Changed{Changed: !c.DryRun, Message: "greenroom ends", Serving: s.Serving}
			if c.DryRun {
				done.Message = "The fleet " + s.Fleet + " would stop answering, and its services would stop"
				if leave {
					done.Message = "The fleet " + s.Fleet + " would stop answering; its services would run on"
				}
			}
			if c.DryRun || w.NoWait {
				return a.PrintChanged(done)
			}
			if err := a.awaitEnd(cmd.Context(), api, w); err != nil {
				return err
			}
			done.Message = "greenroom has ended"
			if leave {
				done.Message += "; its services run on until it is started again"
			}
			return a.PrintChanged(done)
		},
	}
	cmd.Flags().BoolVar(&leave, "leave-services", false, "services run on, for the next greenroom up to adopt")
	c.Register(cmd, true)
	w.Register(cmd)
	return cmd
}

// awaitEnd waits until no server answers.
func (a *app) awaitEnd(ctx context.Context, api *client.Client, w command.Waiting) error {
	ctx, cancel := context.WithTimeout(ctx, w.Timeout)
	defer cancel()
	show := a.NewProgress()
	defer show.End()
	show.Say("waiting for greenroom to end")
	for {
		err := api.FollowStatus(ctx, func(client.Status) error { return nil })
		switch {
		case errors.Is(err, client.ErrUnreachable):
			return nil
		case ctx.Err() != nil:
			return &command.CodedError{Err: fmt.Errorf("greenroom still runs after %s; it goes on ending", w.Timeout), Code: command.TimedOut}
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// errEnough ends a stream, or a run, whose end has been seen.
var errEnough = errors.New("enough")
