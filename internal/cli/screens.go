package cli

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

// screen is a terminal of so many columns, which tables keep to.
type screen struct {
	io.Writer
	columns int
}

// printServing writes the line that every screen begins with.
func printServing(w io.Writer, s client.Status) {
	line := "Serving " + s.Serving.Release
	if first := firstVersions(s); first != "" {
		line += " (" + first + ")"
	}
	if !s.Serving.Since.IsZero() {
		line += " since " + clock(s.Serving.Since, s.Now)
	}
	if !s.Serving.Until.IsZero() {
		line += ", can be rolled back until " + clock(s.Serving.Until, s.Now) + "; before it " + s.Serving.Before
	}
	fmt.Fprintln(w, line)
}

// firstVersions names what serves while no release does: that it is the
// baseline tells nobody anything.
func firstVersions(s client.Status) string {
	if s.Serving.Release != "baseline" {
		return ""
	}
	const shown = 3
	var names []string
	for _, service := range s.Services {
		for _, v := range service.Versions {
			if v.Serving {
				names = append(names, service.Name+" "+v.Name)
			}
		}
	}
	if more := len(names) - shown; more > 1 {
		names = append(names[:shown], fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}

// clock shows a moment as people say it: the time, and the day when it is not
// today.
func clock(t, now time.Time) string {
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

// table writes aligned columns, cut to the screen where there is one.
func table(w io.Writer, header string, rows func(row func(cells ...string))) {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, header)
	rows(func(cells ...string) { fmt.Fprintln(t, strings.Join(cells, "\t")) })
	_ = t.Flush() // a strings.Builder takes everything
	for line := range strings.Lines(b.String()) {
		line = strings.TrimRight(line, " \n")
		if s, ok := w.(screen); ok {
			line = fit(line, s.columns)
		}
		fmt.Fprintln(w, line)
	}
}

func printServices(w io.Writer, s client.Status) {
	table(w, "SERVICE\tVERSION\tSTATE\tREADY\tRELEASE\tNOTE", func(row func(...string)) {
		for _, service := range s.Services {
			for _, v := range service.Versions {
				row(service.Name, v.Name, v.State, fmt.Sprintf("%d/%d", v.Ready, v.Wanted), whose(v), oneLine(v.Message))
			}
		}
	})
}

func printStatus(w io.Writer, s client.Status) {
	printServing(w, s)
	fmt.Fprintf(w, "Edge at %s\n\n", s.EdgeURL)
	printServices(w, s)
	if len(s.Releases) > 0 {
		fmt.Fprintln(w)
		printReleases(w, s)
	}
	warnings := slices.Clone(s.Warnings)
	for _, d := range s.Dropped {
		if d.Release != "" {
			warnings = append(warnings, fmt.Sprintf("%s calls %s without the stamp (%d calls, in %s): greenroom doctor", d.Caller, d.Callee, d.Count, d.Release))
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
	table(w, "HOST\tPATH\tMETHODS\tSERVICE", func(row func(...string)) {
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
	if len(s.Releases) == 0 {
		fmt.Fprintln(w, "There are no releases. Open one: greenroom release open -f FILE")
		return
	}
	table(w, "RELEASE\tPHASE\tFOR\tCHANGES\tNOTE", func(row func(...string)) {
		for _, r := range s.Releases {
			var changes []string
			for _, c := range r.Changes {
				changes = append(changes, c.Service+" "+c.To)
			}
			row(r.Name, r.Phase, ago(s.Now.Sub(r.Since)), oneLine(strings.Join(changes, ", ")), oneLine(noteOf(r, s.Now)))
		}
	})
}

// noteOf is what a person should know of a release at a glance.
func noteOf(r client.Release, now time.Time) string {
	switch {
	case r.Reason != "":
		return r.Reason
	case r.Phase == "Live":
		return "can be rolled back until " + clock(r.WindowEnds, now)
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

func printRelease(w io.Writer, r client.Release, now time.Time) {
	fmt.Fprintf(w, "\n%s  %s\n", r.Name, train(r.Phase))
	if r.Description != "" {
		fmt.Fprintln(w, r.Description)
	}
	fmt.Fprintf(w, "Opened by %s at %s, generation %d\n", r.OpenedBy, clock(r.OpenedAt, now), r.Generation)
	if r.Reason != "" {
		fmt.Fprintln(w, "Now: "+r.Reason)
	}
	if b := r.Rolled; b != nil {
		fmt.Fprintf(w, "Rolled back by %s at %s%s", b.Who, clock(b.At, now), because(b.Why))
		if !r.KeepUntil.IsZero() {
			fmt.Fprintf(w, "; kept until %s", clock(r.KeepUntil, now))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w)
	printChanges(w, r)
	printChecks(w, r)
	if len(r.Hooks) > 0 {
		fmt.Fprintln(w)
		table(w, "HOOK\tWHEN\tSTATE\tNOTE", func(row func(...string)) {
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
	table(w, "SERVICE\tSERVES NOW\t"+strings.ToUpper(r.Name)+"\tWHAT DIFFERS", func(row func(...string)) {
		for _, c := range r.Changes {
			var fields []string
			for _, f := range c.Fields {
				fields = append(fields, f.Field)
			}
			row(c.Service, cmp.Or(c.Serving, "–"), c.To, strings.Join(fields, ", "))
		}
	})
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
