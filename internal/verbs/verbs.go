// Package verbs is what people do to releases, holds and fleets, the same with
// both engines: promote, roll back, settle, abort, verify, hold, sign off, lock.
//
// It owns how such an action is carried out through the controller, or only
// looked at (dry run), and what is said of it afterwards. The rules are
// release's, and what an engine does before or after a verb is the engine's:
// it must import neither of them, nor anything that knows a process, a request
// or a cluster.
//
// Start at Verbs.
package verbs

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/controller"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// Verbs are the actions of one fleet.
type Verbs[R controller.Record[R]] struct {
	Controller *controller.Controller[R]
	Now        func() time.Time
	Show       func(rec R, r release.Release, o release.Observation) client.Release
}

// Move is a change that a person asked for: what it does to a Record.
type Move[R any] func(rec R, o release.Observation, by release.Actor, now time.Time) (R, error)

// On is a Move that only the state machine has a say in.
func On[R controller.Record[R]](f func(s release.State, o release.Observation, by release.Actor, now time.Time) (release.State, error)) Move[R] {
	return func(rec R, o release.Observation, by release.Actor, now time.Time) (R, error) {
		next, err := f(rec.Core(), o, by, now)
		if err != nil {
			return rec, err
		}
		return rec.With(next), nil
	}
}

// Make carries out a Move, or only says what it would do, and reports the
// release named name as it is afterwards.
func (v *Verbs[R]) Make(ctx context.Context, who, name string, asked client.Asked, m Move[R]) (client.Changed, error) {
	by := release.Actor{Who: who, Why: asked.Reason}
	before := v.Controller.Record()
	var after R
	var err error
	if asked.DryRun {
		after, err = m(before, v.Controller.Observe(), by, v.Now())
	} else {
		after, err = v.Controller.Do(ctx, func(rec R, o release.Observation, now time.Time) (R, error) {
			before = rec
			return m(rec, o, by, now)
		})
	}
	if err != nil {
		return client.Changed{}, err
	}
	out := client.Changed{
		Changed: after.Core().Revision != before.Core().Revision && !asked.DryRun,
		Serving: Serving(after.Core()),
		Notes:   []string{},
	}
	if r, ok := after.Core().Releases[name]; ok {
		shown := v.Show(after, r, v.Controller.Observe())
		out.Release = &shown
	}
	return out, nil
}

// Verify runs a moment's hooks again.
func (v *Verbs[R]) Verify(ctx context.Context, who, name string, in client.Verify) (client.Changed, error) {
	moment := release.Verify
	if in.Moment != "" {
		moment = release.Moment(in.Moment)
	}
	out, err := v.Make(ctx, who, name, in.Asked, On[R](func(s release.State, _ release.Observation, by release.Actor, now time.Time) (release.State, error) {
		return s.Retry(name, moment, by, now)
	}))
	out.Message = fmt.Sprintf("The %s hooks of %s run", moment, name)
	if err == nil && out.Release != nil && !slices.ContainsFunc(out.Release.Hooks, func(h client.Hook) bool { return h.Moment == string(moment) }) {
		out.Message = fmt.Sprintf("%s has no %s hooks", name, moment)
	}
	return out, err
}

// Promote makes a release what ordinary requests get.
func (v *Verbs[R]) Promote(ctx context.Context, who, name string, in client.Promote) (client.Changed, error) {
	return v.PromoteIf(ctx, who, name, in, func(release.State) error { return nil })
}

// PromoteIf is Promote where the engine has a say too: may is asked about the
// state that the switch would lead to, in the very change that makes it, and
// its error is returned as it is. Where nothing would be switched it is not
// asked.
func (v *Verbs[R]) PromoteIf(ctx context.Context, who, name string, in client.Promote, may func(next release.State) error) (client.Changed, error) {
	p := promotionOf(name, in)
	if !in.At.IsZero() {
		return v.plan(ctx, who, p, in)
	}
	var before client.Serving
	out, err := v.Make(ctx, who, name, in.Asked, On[R](func(s release.State, o release.Observation, by release.Actor, now time.Time) (release.State, error) {
		before = Serving(s)
		if in.Serving != "" && in.Serving != s.Default && s.Releases[name].Phase != release.Live {
			return s, release.ErrStale
		}
		next, err := s.Promote(p, o, by, now)
		if err == nil && next.Default != s.Default {
			err = may(next)
		}
		return next, err
	}))
	if err != nil {
		return out, err
	}
	switch {
	case out.Serving == before:
		out.Message = name + " is live already"
	case in.DryRun:
		out.Message = name + " can be promoted" + moves(out.Release)
	default:
		out.Message = fmt.Sprintf("%s is live; before it %s", name, out.Serving.NamedBefore)
	}
	return out, nil
}

// moves says which versions a release takes the place of, and by which.
func moves(r *client.Release) string {
	if r == nil || len(r.Changes) == 0 {
		return ""
	}
	var out []string
	for _, c := range r.Changes {
		out = append(out, fmt.Sprintf("%s %s → %s", c.Service, cmp.Or(c.From, "nothing"), c.To))
	}
	return ": " + strings.Join(out, ", ")
}

// Rollback puts back what served before a release. Without a name it means the
// one that is Live or in Canary.
func (v *Verbs[R]) Rollback(ctx context.Context, who, name string, in client.Asked) (client.Changed, error) {
	before := v.Controller.Record().Core().Serving()
	out, err := v.Make(ctx, who, name, in, On[R](func(s release.State, _ release.Observation, by release.Actor, now time.Time) (release.State, error) {
		return s.Rollback(name, by, now)
	}))
	if err != nil {
		return out, err
	}
	switch {
	case in.DryRun:
		out.Message = fmt.Sprintf("%s would be rolled back; ordinary requests would get %s", name, out.Serving.Named)
	case !out.Changed:
		out.Message = name + " does not serve; there is nothing to roll back"
	default:
		out.Message = fmt.Sprintf("%s is rolled back; ordinary requests get %s again", name, out.Serving.Named)
	}
	if before.Release == name {
		out.Notes = append(out.Notes, v.notReady(out.Serving.Stamp)...)
	}
	return out, nil
}

// notReady says which versions of a view have too few instances ready.
func (v *Verbs[R]) notReady(stamp string) []string {
	s, o := v.Controller.Record().Core(), v.Controller.Observe()
	var notes []string
	view := s.Views[stamp]
	for _, service := range slices.Sorted(maps.Keys(view.Versions)) {
		id := view.Versions[service]
		if want := max(s.Versions[id].Replicas, 1); o.Versions[id].Ready < want {
			notes = append(notes, fmt.Sprintf("%s has %d of %d instances ready: greenroom logs %s", id, o.Versions[id].Ready, want, service))
		}
	}
	return notes
}

// Settle ends a release's rollback window.
func (v *Verbs[R]) Settle(ctx context.Context, who, name string, in client.Asked) (client.Changed, error) {
	out, err := v.Make(ctx, who, name, in, On[R](func(s release.State, _ release.Observation, by release.Actor, now time.Time) (release.State, error) {
		return s.Settle(name, by, now)
	}))
	if err != nil {
		return out, err
	}
	out.Message = name + " settles: what it replaced drains and stops"
	if !out.Changed && !in.DryRun {
		out.Message = name + " is past its rollback window already"
	}
	return out, nil
}

// Abort ends a release.
func (v *Verbs[R]) Abort(ctx context.Context, who, name string, in client.Asked) (client.Changed, error) {
	out, err := v.Make(ctx, who, name, in, On[R](func(s release.State, _ release.Observation, by release.Actor, now time.Time) (release.State, error) {
		return s.Abort(name, by, now)
	}))
	if err != nil {
		return out, err
	}
	out.Message = name + " is aborted; its versions drain and stop"
	if !out.Changed && !in.DryRun {
		out.Message = name + " is aborted already"
	}
	return out, nil
}
