package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/command"
	"github.com/greenroom-dev/greenroom/internal/pass"
)

// tour walks a person through a release, step by step.
type tour struct {
	*staged
	a       *app
	out     io.Writer
	answers <-chan string
	traffic *demoTraffic // of ordinary users; nil before it is wanted
}

// step is one stop of the tour: what happens, what to look at, the command that
// one would type, and what the tour does in its place.
type step struct {
	title   string
	text    string
	command string // "" where there is nothing to do
	traffic bool   // from here on there are users
	do      func(context.Context) error
	look    string // what to look at afterwards
}

// errLeft is returned when the person has seen enough.
var errLeft = errors.New("the tour was left")

// demoTour is the tour on a terminal; elsewhere its text, and the fleet at hand
// until somebody ends it.
func (a *app) demoTour(ctx context.Context, s *staged) error {
	t := &tour{staged: s, a: a, out: a.Env.Stdout}
	t.welcome()
	show := a.NewProgress()
	show.Say("six services start")
	err := s.ready(ctx)
	show.End()
	if err != nil {
		return err
	}
	if err := t.showDashboard(ctx); err != nil {
		return err
	}
	if !a.Env.Terminal {
		t.tell()
		<-ctx.Done()
		return nil
	}
	t.answers = lines(a.Env.Stdin)
	err = t.walk(ctx)
	if t.traffic != nil {
		err = errors.Join(err, t.traffic.end())
	}
	if errors.Is(err, errLeft) {
		return nil
	}
	return err
}

func (t *tour) welcome() {
	fmt.Fprintf(t.out, `A small live-streaming app comes up on this machine, six services of it:

  browser → web → api → gift → wallet        chat over WebSocket
                          └→ queue → worker

Its documents, the app in version 1 and the release r2:

  %s
  %s

To try commands yourself, in another terminal:

`, t.docs.fleet, t.docs.release)
	if _, err := exec.LookPath("greenroom"); err != nil {
		fmt.Fprintf(t.out, "  alias greenroom=%s\n", t.a.Env.Executable)
	}
	fmt.Fprintf(t.out, "  export GREENROOM_STATE=%s\n  greenroom status --watch\n\n", t.state)
}

// showDashboard prints the link that logs a browser in, once.
func (t *tour) showDashboard(ctx context.Context) error {
	made, err := t.api.MakeLogin(ctx, client.MakeLogin{})
	if err != nil {
		return err
	}
	fmt.Fprintf(t.out, "The same in a browser, on the dashboard. The link logs you in, once, within five\nminutes; greenroom dashboard makes another one:\n\n  %s\n\n", made.Link)
	return nil
}

// steps are the stops of the tour, in order.
func (t *tour) steps() []step {
	return []step{{
		title: "The app",
		text:  "Open the page and leave it open. It is violet: version 1 of everything, and\nwhat ordinary users get. Its foot names the services that it came through.",
		look:  t.address(),
	}, {
		title:   "Open a release",
		text:    "r2 brings new versions of five services at once; the sixth, api, stays. They\nstart beside what serves. Users get nothing of it, and nothing is replaced.",
		command: "greenroom release open -f " + t.docs.release,
		do:      t.opened,
		look:    "Reload the page: it is as it was.",
	}, {
		title:   "Look at it in production",
		text:    "A pass lets its holder see r2, in production, beside everybody else. Whoever\nopens the link gets the new versions; each request, at all of its hops, does.",
		command: "greenroom pass create r2 --for 2h",
		do:      t.passed,
		look:    "Open the link in another browser or a private window: the page is green, and\ngifts can be sent twice. The first browser, reloaded, stays violet.",
	}, {
		title:   "Promote",
		text:    "All five go live as one, in one step. Requests under way end on the versions\nthat they began on. A little traffic of users runs from here on; watch it.",
		command: "greenroom promote r2",
		traffic: true,
		do:      t.promoted,
		look:    "Reload the first browser: green. The versions before are kept warm.",
	}, {
		title:   "Roll back",
		text:    "Something is wrong with it? Going back is the same single step, backwards:\nnothing starts, nothing is built, nobody waits.",
		command: "greenroom rollback --reason 'the colour'",
		do:      t.rolledBack,
		look:    "Reload: violet. The pass still shows r2, to find out what was wrong.",
	}, {
		title:   "Promote again, and settle",
		text:    "It was a matter of taste. r2 goes live again, and settles: the point of no\nreturn, after which the versions before it drain and stop.",
		command: "greenroom promote r2 && greenroom release settle r2",
		do:      t.settled,
		look:    "greenroom status shows one version of each service, and events what happened.",
	}}
}

// address is where the page is, for a phone too if one can get there.
func (t *tour) address() string {
	if !t.at.network || !t.a.Env.Terminal {
		return t.at.public
	}
	return t.at.public + "\n\n" + t.drawn(t.at.public)
}

// drawn is a link as a QR code, or why there is none.
func (t *tour) drawn(link string) string {
	code, columns, err := pass.QR(link)
	switch {
	case err != nil:
		return "There is no QR code: " + err.Error()
	case columns > t.a.Env.Width():
		return fmt.Sprintf("A terminal of %d columns would show it as a QR code too.", columns)
	}
	return strings.TrimSuffix(code, "\n")
}

// tell prints the steps for somebody who types the commands.
func (t *tour) tell() {
	for i, s := range t.steps() {
		t.head(i, s)
		if s.command != "" {
			fmt.Fprintf(t.out, "  $ %s\n", s.command)
		}
		fmt.Fprintf(t.out, "%s\n\n", s.look)
	}
	fmt.Fprintln(t.out, "The fleet serves until it is ended with Ctrl-C or SIGTERM.")
}

func (t *tour) head(i int, s step) {
	title := fmt.Sprintf("%d/%d  %s", i+1, len(t.steps()), s.title)
	if t.a.Env.Terminal {
		title = "\x1b[1m" + title + "\x1b[0m"
	}
	fmt.Fprintf(t.out, "%s\n%s\n", title, s.text)
}

// walk goes from step to step.
func (t *tour) walk(ctx context.Context) error {
	for i, s := range t.steps() {
		t.head(i, s)
		if s.traffic {
			t.traffic = newDemoTraffic(ctx, t.edge)
		}
		if s.do != nil {
			fmt.Fprintf(t.out, "\n  $ %s\n\n", s.command)
			if err := t.wait(ctx, "Enter does it, q ends"); err != nil {
				return err
			}
			if err := s.do(ctx); err != nil {
				return err
			}
		}
		fmt.Fprintf(t.out, "\n%s\n\n", s.look)
		ask := "Enter goes on, q ends"
		if i+1 == len(t.steps()) {
			fmt.Fprint(t.out, "That was the tour. Your own services: greenroom init writes a first document.\n\n")
			ask = "Enter ends the demo"
		}
		if err := t.wait(ctx, ask); err != nil {
			return err
		}
		fmt.Fprintln(t.out)
	}
	return nil
}

// wait asks to go on, and shows the traffic meanwhile.
func (t *tour) wait(ctx context.Context, ask string) error {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	show := func() {
		line := ask
		if t.traffic != nil {
			line = t.traffic.String() + " · " + ask
		}
		fmt.Fprint(t.out, "\r\x1b[K"+command.Fit(line, t.a.Env.Width())+" ")
	}
	if show(); t.traffic == nil {
		tick.Stop()
	}
	for {
		select {
		case <-ctx.Done():
			fmt.Fprintln(t.out)
			return ctx.Err()
		case answer, more := <-t.answers:
			if !more || strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer)), "q") {
				return errLeft
			}
			return nil
		case <-tick.C:
			show()
		}
	}
}

// lines reads lines until there are no more.
func lines(r io.Reader) <-chan string {
	out := make(chan string)
	go func() {
		defer close(out)
		for s := bufio.NewScanner(r); s.Scan(); {
			out <- s.Text()
		}
	}()
	return out
}

func (t *tour) opened(ctx context.Context) error {
	began := time.Now()
	if err := t.open(ctx); err != nil {
		return err
	}
	fmt.Fprintf(t.out, "r2 is Previewing after %s; ordinary requests still get version 1.\n", time.Since(began).Round(10*time.Millisecond))
	return nil
}

func (t *tour) passed(ctx context.Context) error {
	p, err := t.api.MintPass(ctx, client.MintPass{Release: demoRelease, For: "2h"})
	if err != nil {
		return err
	}
	fmt.Fprintf(t.out, "%s\n\n%s\n", p.Link, t.drawn(p.Link))
	if !t.at.network {
		fmt.Fprintln(t.out, "\nFor a phone on the same network: greenroom demo --listen 0.0.0.0:8080")
	}
	return nil
}

func (t *tour) promoted(ctx context.Context) error {
	began := time.Now()
	done, err := t.api.Promote(ctx, demoRelease, client.Promote{})
	return t.told(done, began, err)
}

func (t *tour) rolledBack(ctx context.Context) error {
	began := time.Now()
	done, err := t.api.Rollback(ctx, demoRelease, client.Asked{Reason: "the colour"})
	return t.told(done, began, err)
}

func (t *tour) settled(ctx context.Context) error {
	if err := t.promoted(ctx); err != nil {
		return err
	}
	began := time.Now()
	if _, err := t.api.Settle(ctx, demoRelease, client.Asked{}); err != nil {
		return err
	}
	show := t.a.NewProgress()
	show.Say("version 1 drains: it ends what is under way, streams too, and stops")
	err := t.phase(ctx, "Settled")
	show.End()
	if err == nil {
		fmt.Fprintf(t.out, "r2 is Settled after %s.\n", time.Since(began).Round(100*time.Millisecond))
	}
	return err
}

// told says what a switch did and how long the call took.
func (t *tour) told(done client.Changed, began time.Time, err error) error {
	if err != nil {
		return err
	}
	message := strings.ReplaceAll(command.Sentence(done.Message), "; ", ";\n") // lines fit into 80 columns
	fmt.Fprintf(t.out, "%s\nIt took %s.\n", message, time.Since(began).Round(100*time.Microsecond))
	return nil
}
