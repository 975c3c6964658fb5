package command

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/greenroom-dev/greenroom/client"
)

// printServing writes the line that every screen begins with.
func printServing(w io.Writer, s client.Status) {
	line := "Serving " + s.Named(s.Serving.Release)
	if !s.Serving.Since.IsZero() {
		line += " since " + Clock(s.Serving.Since, s.Now)
	}
	if !s.Serving.Until.IsZero() {
		line += ", can be rolled back until " + Clock(s.Serving.Until, s.Now) + "; before it " + s.Named(s.Serving.Before)
	}
	fmt.Fprintln(w, line)
}

// Clock shows a moment as people say it: the time, and the day when it is not
// today.
func Clock(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	if t.Year() == now.Year() && t.YearDay() == now.YearDay() {
		return t.Format("15:04")
	}
	return t.Format("Mon 2 Jan 15:04")
}

// ago shows a span in its largest unit.
func ago(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// howLong is ago for a table that nobody reads by the second.
func howLong(d time.Duration) string {
	if d < time.Minute {
		return "<1m"
	}
	return ago(d)
}

// Table writes aligned columns, cut to the screen where there is one.
func Table(w io.Writer, header string, rows func(row func(cells ...string))) {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, header)
	rows(func(cells ...string) { fmt.Fprintln(t, strings.Join(cells, "\t")) })
	_ = t.Flush() // a strings.Builder takes everything
	for line := range strings.Lines(b.String()) {
		line = strings.TrimRight(line, " \n")
		if s, ok := w.(screen); ok {
			line = Fit(line, s.columns)
		}
		fmt.Fprintln(w, line)
	}
}

func printServices(w io.Writer, s client.Status) {
	Table(w, "SERVICE\tVERSION\tSTATE\tREADY\tRELEASE\tNOTE", func(row func(...string)) {
		for _, service := range s.Services {
			for _, v := range service.Versions {
				row(service.Name, v.Name, v.State, fmt.Sprintf("%d/%d", v.Ready, v.Wanted), whose(v), oneLine(v.Message))
			}
		}
	})
}

func printStatus(w io.Writer, s client.Status) {
	printServing(w, s)
	if s.Hold != nil {
		printHold(w, *s.Hold, s.Now)
	}
	fmt.Fprintf(w, "Edge at %s\n", s.EdgeURL)
	printHeld(w, s)
	fmt.Fprintln(w)
	printServices(w, s)
	if len(s.Releases)+len(s.Unopened) > 0 {
		fmt.Fprintln(w)
		printReleases(w, s)
	}
	printNext(w, s)
	warnings := slices.Clone(s.Warnings)
	for _, d := range s.Dropped {
		if d.Release != "" {
			warnings = append(warnings, fmt.Sprintf("%s calls %s without the stamp (%d calls, in %s): greenroom doctor", d.Caller, d.Callee, d.Count, s.Named(d.Release)))
		}
	}
	for _, n := range s.Notifications {
		if n.Failing != "" {
			warnings = append(warnings, fmt.Sprintf("notification %s %s", n.Name, troubleOf(n, s)))
		}
	}
	if len(warnings) > 0 {
		fmt.Fprintln(w)
	}
	for _, warning := range warnings {
		fmt.Fprintf(w, "Warning: %s\n", warning)
	}
}

func printFleet(w io.Writer, f client.Fleet, s client.Status) {
	printServing(w, s)
	fmt.Fprintf(w, "Fleet %s, edge at %s\n\n", f.Name, s.EdgeURL)
	Table(w, "HOST\tPATH\tMETHODS\tSERVICE", func(row func(...string)) {
		for _, r := range f.Routes {
			row(cmp.Or(r.Host, "any"), cmp.Or(r.Path, "/"), cmp.Or(strings.Join(r.Methods, ","), "any"), r.Service)
		}
	})
	fmt.Fprintln(w)
	printServices(w, s)
}

// whose says why a version is there.
func whose(v client.Version) string {
	words := v.Releases
	switch {
	case v.Serving:
		words = append([]string{"serving"}, words...)
	case len(words) == 0:
		words = []string{"former"}
	}
	return strings.Join(words, ", ")
}

// oneLine is the first line of a message, cut to what a table bears.
func oneLine(s string) string {
	first, _, more := strings.Cut(s, "\n")
	if r := []rune(first); len(r) > 80 {
		first, more = string(r[:79]), true
	}
	if more {
		first += "…"
	}
	return first
}

func printReleases(w io.Writer, s client.Status) {
	if len(s.Releases)+len(s.Unopened) == 0 {
		fmt.Fprintln(w, "There are no releases. Open one: greenroom release open -f FILE")
		return
	}
	Table(w, "RELEASE\tPHASE\tFOR\tCHANGES\tNOTE", func(row func(...string)) {
		for _, u := range s.Unopened {
			row(u.Name, "not open", howLong(s.Now.Sub(u.Since)), oneLine(strings.Join(u.Services, ", ")), oneLine(strings.TrimPrefix(u.Rule+": "+u.Reason, ": ")))
		}
		for _, r := range s.Releases {
			var changes []string
			for _, c := range r.Changes {
				changes = append(changes, c.Service+" "+c.To)
			}
			row(r.Name, r.Phase, howLong(s.Now.Sub(r.Since)), oneLine(strings.Join(changes, ", ")), oneLine(noteOf(r, s.Now)))
		}
	})
}

// printNext is printWays at the end of a screen.
func printNext(w io.Writer, s client.Status) {
	if !s.Serving.Until.IsZero() {
		fmt.Fprintln(w)
		printWays(w, s.Serving, s.Now)
	}
}

// printWays writes what may be done about a promotion while there is a way back.
func printWays(w io.Writer, serving client.Serving, now time.Time) {
	if serving.Until.IsZero() {
		return
	}
	fmt.Fprintf(w, "Roll back until %s: greenroom rollback %s\n", Clock(serving.Until, now), serving.Release)
	fmt.Fprintf(w, "Settle it sooner: greenroom release settle %s\n", serving.Release)
}

// noteOf is what a person should know of a release at a glance.
func noteOf(r client.Release, now time.Time) string {
	switch {
	case r.Reason != "":
		return r.Reason
	case r.Phase == "Live":
		return "can be rolled back until " + Clock(r.WindowEnds, now)
	case r.Planned != nil:
		return "goes live at " + Clock(r.Planned.For, now)
	case r.Phase == "Previewing":
		for _, c := range r.Checks {
			if !c.OK {
				return c.Detail
			}
		}
		return "can be promoted"
	}
	return ""
}

// printShown is everything about one release, and what may be done next where it
// serves.
func printShown(w io.Writer, s client.Status, r client.Release) {
	printServing(w, s)
	printRelease(w, r, s.Now)
	if r.Name == s.Serving.Release {
		printNext(w, s)
	}
}

func printRelease(w io.Writer, r client.Release, now time.Time) {
	fmt.Fprintf(w, "\n%s  %s\n", r.Name, train(r.Phase))
	if r.Description != "" {
		fmt.Fprintln(w, r.Description)
	}
	fmt.Fprintf(w, "Opened by %s at %s, generation %d\n", r.OpenedBy, Clock(r.OpenedAt, now), r.Generation)
	if r.Reason != "" {
		fmt.Fprintln(w, "Now: "+r.Reason)
	}
	if b := r.Rolled; b != nil && !wentLive(r) {
		fmt.Fprintf(w, "Rolled back by %s at %s%s", b.Who, Clock(b.At, now), because(b.Why))
		if !r.KeepUntil.IsZero() {
			fmt.Fprintf(w, "; kept until %s", Clock(r.KeepUntil, now))
		}
		fmt.Fprintln(w)
	}
	printGoNoGo(w, r, now)
	fmt.Fprintln(w)
	if wentLive(r) {
		printMade(w, r)
	} else {
		printChanges(w, r)
	}
	// They are about a promotion, which is over or cannot be for the others.
	if slices.Contains([]string{"Preparing", "Previewing", "Canary", "Failed"}, r.Phase) {
		printChecks(w, r)
	}
	if len(r.Hooks) > 0 {
		fmt.Fprintln(w)
		Table(w, "HOOK\tWHEN\tSTATE\tNOTE", func(row func(...string)) {
			for _, h := range r.Hooks {
				row(h.Name, h.Moment, h.State, oneLine(h.Detail))
			}
		})
		for _, h := range r.Hooks {
			if h.State == "failed" && h.Output != "" {
				fmt.Fprintf(w, "\n%s printed:\n  %s\n", h.Name, strings.ReplaceAll(strings.TrimSpace(h.Output), "\n", "\n  "))
			}
		}
	}
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

// train shows the phases with the one that a release is in.
func train(phase string) string {
	phases := []string{"Preparing", "Previewing", "Live", "Settling", "Settled"}
	if phase == "Canary" {
		phases = []string{"Preparing", "Previewing", "Canary", "Live", "Settling", "Settled"}
	}
	known := false
	for i, p := range phases {
		if p == phase {
			phases[i], known = "["+p+"]", true
		}
	}
	if !known {
		return "[" + phase + "]"
	}
	return strings.Join(phases, " → ")
}

func printChanges(w io.Writer, r client.Release) {
	Table(w, "SERVICE\tSERVES NOW\t"+r.Name+"\tWHAT DIFFERS", func(row func(...string)) {
		for _, c := range r.Changes {
			row(c.Service, cmp.Or(c.Serving, "–"), c.To, fieldsOf(c))
		}
	})
}

// wentLive says whether a release's promotion is behind it, and stands.
func wentLive(r client.Release) bool {
	return r.Phase == "Live" || r.Phase == "Settling" || r.Phase == "Settled"
}

// printMade is printChanges for a release that went live: beside what it
// brought stands what was before it, for what serves now is its own.
func printMade(w io.Writer, r client.Release) {
	Table(w, "SERVICE\tBEFORE\t"+r.Name+"\tWHAT DIFFERED", func(row func(...string)) {
		for _, c := range r.Changes {
			row(c.Service, cmp.Or(c.From, "–"), c.To, fieldsOf(c))
		}
	})
}

func fieldsOf(c client.ReleaseChange) string {
	var fields []string
	for _, f := range c.Fields {
		fields = append(fields, f.Field)
	}
	return strings.Join(fields, ", ")
}

// printDiff shows what a release changes, field by field.
func printDiff(w io.Writer, r client.Release) {
	changes := slices.Clone(r.Changes)
	for i := range changes {
		changes[i].From = cmp.Or(changes[i].Serving, "nothing")
	}
	printVersions(w, changes)
}

func printVersions(w io.Writer, changes []client.ReleaseChange) {
	for _, v := range changes {
		fmt.Fprintf(w, "%s: version %s → %s\n", v.Service, v.From, v.To)
		for _, f := range v.Fields {
			fmt.Fprintf(w, "  %s: %s → %s\n", f.Field, cmp.Or(f.From, "not set"), cmp.Or(f.To, "not set"))
		}
	}
}

// printPromotion shows what a promotion would change, and returns what to ask.
func printPromotion(w io.Writer, s client.Status, r client.Release) (question string) {
	printServing(w, s)
	fmt.Fprintln(w)
	printChanges(w, r)
	printChecks(w, r)
	fmt.Fprintln(w)
	return fmt.Sprintf("Ordinary requests will get %s. Promote it?", r.Name)
}

func printChecks(w io.Writer, r client.Release) {
	if len(r.Checks) == 0 {
		return
	}
	fmt.Fprintln(w)
	for _, c := range r.Checks {
		mark := "✓"
		if !c.OK {
			mark = "✗"
		}
		fmt.Fprintf(w, "%s %s\n", mark, c.Detail)
		if !c.OK && c.Remedy != "" {
			fmt.Fprintf(w, "  → %s\n", c.Remedy)
		}
	}
}

// PrintFleetChange tells what applying a document changed, or would.
func PrintFleetChange(w io.Writer, c client.FleetChange) {
	for _, line := range c.Applied {
		fmt.Fprintln(w, line)
	}
	printVersions(w, c.Versions)
	if len(c.Versions) > 0 && c.Release == "" {
		fmt.Fprintln(w, "Changed versions are brought by a release (greenroom release open), or by --adopt.")
	}
	for _, line := range c.Behind {
		fmt.Fprintln(w, line)
	}
	fmt.Fprintln(w, Sentence(c.Message))
}
