package verbs

import (
	"cmp"
	"slices"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// Serving is what ordinary requests get, as the API shows it.
func Serving(s release.State) client.Serving {
	v := s.Serving()
	return client.Serving{
		Release: v.Release, Named: v.Named, Stamp: v.Stamp, Since: v.Since, Until: v.Until, Before: v.Before, NamedBefore: v.NamedBefore,
	}
}

// Release shows what the state says of a release. Changes and Hooks, which are
// known by the engine, are left empty.
func Release(s release.State, r release.Release, o release.Observation, now time.Time) client.Release {
	out := client.Release{
		Name: r.Name, UID: r.UID, Description: r.Description, Phase: string(r.Phase), Since: r.Since,
		Reason: r.Reason, Generation: r.Generation, Stamp: r.View, OpenedAt: r.OpenedAt, OpenedBy: r.OpenedBy,
		WindowEnds: r.WindowEnds, KeepUntil: r.KeepUntil, RollbackWindow: r.RollbackWindow.String(),
		Changes: []client.ReleaseChange{}, Hooks: []client.Hook{}, Checks: []client.Check{},
		Checklist: checklist(s, r), Approvals: approvals(r), ApprovalsNeeded: s.Settings.Rules.Approvals, Planned: planned(r),
	}
	if r.Former != "" {
		out.Before = cmp.Or(s.Views[r.Former].Release, release.Baseline)
	}
	if b := r.RolledBack; b != nil {
		out.Rolled = &client.RolledBack{At: b.At, Who: b.Who, Why: b.Why}
	}
	if r.Phase.Ended() {
		return out
	}
	checks, err := s.Checks(r.Name, o, now)
	if err != nil {
		return out
	}
	for _, c := range checks {
		out.Checks = append(out.Checks, client.Check{Rule: c.Rule, OK: c.OK, Detail: c.Detail, Remedy: c.Remedy})
	}
	return out
}

// Hook shows the index-th hook of a moment.
func Hook(r release.Release, m release.Moment, index int, name string) client.Hook {
	out := client.Hook{Moment: string(m), Name: name, State: "waiting"}
	p, due := r.Progress[m]
	switch {
	case due && index < p.Passed:
		out.State = "passed"
	case due && index == p.Passed && p.Failed != "":
		out.State, out.Detail = "failed", p.Failed
	case due && index == p.Passed:
		out.State = "running"
	}
	return out
}

// Releases shows every release that is kept, the latest first.
func (v *Verbs[R]) Releases(rec R, o release.Observation) []client.Release {
	state := rec.Core()
	out := make([]client.Release, 0, len(state.Releases))
	for _, r := range state.Releases {
		out = append(out, v.Show(rec, r, o))
	}
	slices.SortFunc(out, func(x, y client.Release) int {
		return cmp.Or(y.OpenedAt.Compare(x.OpenedAt), cmp.Compare(x.Name, y.Name))
	})
	return out
}
