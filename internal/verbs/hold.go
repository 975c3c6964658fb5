package verbs

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// How long a hold may be.
const (
	usualWait   = 30 * time.Second // of mode wait, when nobody says
	shortestFor = time.Second
	longestFor  = 30 * 24 * time.Hour // of the modes in which nothing waits
)

// HoldOn begins a hold, or changes the one that is on. longestWait is how long
// a request may wait at the edge, and with it a hold of that mode; 0 where
// requests cannot wait.
func (v *Verbs[R]) HoldOn(ctx context.Context, who string, in client.HoldOn, longestWait time.Duration) (client.HoldChanged, error) {
	ask, err := holding(in, longestWait)
	if err != nil {
		return client.HoldChanged{}, err
	}
	out, err := v.makeHold(ctx, who, in.Asked, func(s release.State, by release.Actor, now time.Time) release.State {
		return s.BeginHold(ask, by, now)
	})
	if err != nil {
		return out, err
	}
	out.Message = "The fleet is on hold: " + sayHold(ask)
	switch {
	case in.DryRun:
		out.Message = "The fleet would be on hold: " + sayHold(ask)
	case !out.Changed:
		out.Message = "The fleet is on hold already: " + sayHold(ask)
	}
	return out, nil
}

// HoldOff ends the hold.
func (v *Verbs[R]) HoldOff(ctx context.Context, who string, in client.Asked) (client.HoldChanged, error) {
	on := v.Controller.Record().Core().Hold != nil
	out, err := v.makeHold(ctx, who, in, func(s release.State, by release.Actor, now time.Time) release.State {
		return s.EndHold(by, now)
	})
	if err != nil {
		return out, err
	}
	switch {
	case in.DryRun && on:
		out.Message = "The hold would end, and requests go on"
	case !out.Changed:
		out.Message = "The fleet is not on hold"
	default:
		out.Message = "The hold is over; requests go on"
	}
	return out, nil
}

func (v *Verbs[R]) makeHold(ctx context.Context, who string, asked client.Asked, change func(release.State, release.Actor, time.Time) release.State) (client.HoldChanged, error) {
	by := release.Actor{Who: who, Why: asked.Reason}
	before := v.Controller.Record()
	after := before.With(change(before.Core(), by, v.Now()))
	if !asked.DryRun {
		var err error
		after, err = v.Controller.Do(ctx, func(rec R, _ release.Observation, now time.Time) (R, error) {
			before = rec
			return rec.With(change(rec.Core(), by, now)), nil
		})
		if err != nil {
			return client.HoldChanged{}, err
		}
	}
	out := client.HoldChanged{
		Changed: !asked.DryRun && after.Core().Revision != before.Core().Revision,
		Hold:    Hold(after.Core()), Notes: []string{},
	}
	if last, now := before.Core().Hold, after.Core().Hold; last != nil && last.Who != who && (now == nil || now.Since != last.Since || now.Who != last.Who) {
		out.Notes = append(out.Notes, fmt.Sprintf("The hold was %s's%s.", last.Who, since(last.Why)))
	}
	return out, nil
}

func since(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

// Hold shows the hold of a state. What waits is known to the edge alone.
func Hold(s release.State) client.Hold {
	out := client.Hold{Routes: []string{}}
	h := s.Hold
	if h == nil {
		return out
	}
	out.On, out.Mode, out.Since, out.Until, out.By, out.Reason = true, string(h.Mode), h.Since, h.Until, h.Who, h.Why
	for _, r := range h.Routes {
		out.Routes = append(out.Routes, r.String())
	}
	return out
}

func sayHold(h release.Holding) string {
	what := release.HeldBy(h.Mode, h.Routes) + map[release.HoldMode]string{
		release.HoldWait: " wait", release.HoldWrites: " are turned away, reads go on", release.HoldPage: " are shown a page",
	}[h.Mode]
	if h.For == 0 {
		return what + " until somebody ends it"
	}
	return fmt.Sprintf("%s for %s", what, v1alpha1.DurationOf(h.For))
}

// holding reads what somebody asks for.
func holding(in client.HoldOn, longestWait time.Duration) (release.Holding, error) {
	out := release.Holding{Mode: release.HoldMode(in.Mode)}
	if in.Mode == "" {
		out.Mode = release.HoldWait
	}
	longest := longestFor
	switch {
	case !slices.Contains(release.HoldModes(), out.Mode):
		return out, &httpapi.InputError{Problem: fmt.Sprintf("a hold has no mode %q", in.Mode), Remedy: "the modes are wait, writes-only and page"}
	case out.Mode == release.HoldWait && longestWait == 0:
		return out, &httpapi.InputError{Problem: "requests cannot wait at the gateways of a cluster: that is not supported here",
			Remedy: "turn writes away (--mode writes-only) or show a page (--mode page)"}
	case out.Mode == release.HoldWait:
		longest = longestWait
		out.For = min(usualWait, longestWait)
	}
	if in.For != "" {
		var err error
		if out.For, err = v1alpha1.Duration(in.For).Parse(); err != nil || out.For < shortestFor || out.For > longest {
			remedy := fmt.Sprintf("%s to %s", v1alpha1.DurationOf(shortestFor), v1alpha1.DurationOf(longest))
			if out.Mode == release.HoldWait {
				remedy += ", since a request may wait no longer (spec.edge.hold.maxWait of the Fleet); a hold may be begun again before it ends; for longer, --mode writes-only or --mode page"
			}
			return out, &httpapi.InputError{Problem: fmt.Sprintf("a hold of mode %s cannot be for %q", out.Mode, in.For), Remedy: remedy}
		}
	}
	for _, text := range in.Routes {
		r, err := holdRoute(text)
		if err != nil {
			return out, err
		}
		if !slices.Contains(out.Routes, r) {
			out.Routes = append(out.Routes, r)
		}
	}
	if slices.Contains(out.Routes, release.HoldRoute{}) {
		out.Routes = nil
	}
	return out, nil
}

var (
	holdHost = regexp.MustCompile(`^([*][.])?[-A-Za-z0-9_.]+$`)
	holdPath = regexp.MustCompile(`^/[^?#*%\s\\]*$`)
)

// holdRoute reads /path, host or host/path.
func holdRoute(text string) (release.HoldRoute, error) {
	host, below, slash := strings.Cut(text, "/")
	r := release.HoldRoute{Host: strings.ToLower(strings.TrimSuffix(host, "."))}
	if slash {
		r.Path = strings.TrimRight("/"+below, "/")
	}
	switch {
	case text == "", r.Host != "" && (!holdHost.MatchString(r.Host) || len(r.Host) > 255):
	case r.Path != "" && (!holdPath.MatchString(r.Path) || path.Clean(r.Path) != r.Path || len(r.Path) > 1000):
	default:
		return r, nil
	}
	return r, &httpapi.InputError{Problem: fmt.Sprintf("%q is no route", text),
		Remedy: "write /path, host/path or host; it is for everything below, and the path stands as it is, decoded and without . or .."}
}
