package app

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/config"
	"github.com/greenroom-dev/greenroom/internal/controller"
	"github.com/greenroom-dev/greenroom/internal/platform/local"
	"github.com/greenroom-dev/greenroom/internal/release"
)

func serving(s release.State) client.Serving {
	v := s.Serving()
	return client.Serving{Release: v.Release, Stamp: v.Stamp, Since: v.Since, Until: v.Until, Before: v.Before}
}

// Changed tells when the persisted state changes.
func (a *App) Changed() <-chan struct{} { return a.controller.Changed() }

// Status shows everything at once.
func (a *App) Status(context.Context) (client.Status, error) {
	rec, o := a.controller.Record(), a.controller.Observe()
	out := client.Status{
		Fleet: rec.Fleet.Name, Version: a.o.Version, Revision: rec.State.Revision, Now: a.now(),
		EdgeURL: a.EdgeURL(), Public: rec.Fleet.Edge.PublicURL, Serving: serving(rec.State),
		Services: a.showServices(rec), Releases: a.showReleases(rec, o),
		Dropped: a.showDrops(rec), Warnings: []string{},
	}
	for _, s := range out.Services {
		for _, v := range s.Versions {
			if v.Serving && v.Ready < v.Wanted {
				out.Warnings = append(out.Warnings, fmt.Sprintf("%s serves with %d of %d instances ready: %s", v.ID, v.Ready, v.Wanted, cmp.Or(v.Message, v.State)))
			}
		}
	}
	for id, status := range a.local.Observe() {
		if status.Gone || status.Stopping {
			continue
		}
		for _, w := range status.Warnings {
			out.Warnings = append(out.Warnings, id+": "+w)
		}
	}
	slices.Sort(out.Warnings)
	return out, nil
}

func (a *App) showServices(rec controller.Record) []client.Service {
	seen := a.local.Observe()
	inFlight := a.hops.inFlight()
	byService := map[string][]client.Version{}
	for id, v := range rec.State.Versions {
		status, runs := seen[id]
		if runs && !status.Gone || rec.State.DefaultVersion(v.Service) == id {
			byService[v.Service] = append(byService[v.Service], a.showVersion(rec, v, status, inFlight[id]))
		}
	}
	out := make([]client.Service, 0, len(rec.Fleet.Services))
	for _, s := range rec.Fleet.Services {
		versions := byService[s.Name]
		slices.SortFunc(versions, func(x, y client.Version) int {
			if x.Serving != y.Serving {
				return cmp.Compare(fmt.Sprint(y.Serving), fmt.Sprint(x.Serving))
			}
			return cmp.Compare(x.ID, y.ID)
		})
		out = append(out, client.Service{Name: s.Name, Protocol: string(s.Protocol), Versions: versions})
	}
	return out
}

func (a *App) showVersion(rec controller.Record, v release.Version, status local.Status, inFlight int64) client.Version {
	spec := rec.Catalog[v.ID]
	out := client.Version{
		ID: v.ID, Name: v.Name, Service: v.Service, Digest: v.Digest,
		Commit: spec.Source.Commit, URL: spec.Source.URL,
		Serving: rec.State.DefaultVersion(v.Service) == v.ID, Releases: []string{},
		Ready: status.Ready, Wanted: max(v.Replicas, 1), InFlight: inFlight,
		Message: status.Failed, Instances: []client.Instance{},
		Mesh: a.platform.meshEnv(v.ID),
	}
	for _, name := range slices.Sorted(maps.Keys(rec.State.Releases)) {
		if r := rec.State.Releases[name]; r.Versions[v.Service] == v.ID && !r.Phase.Ended() {
			out.Releases = append(out.Releases, name)
		}
	}
	for _, i := range status.Instances {
		shown := client.Instance{
			ID: i.ID, Addr: i.Addr, PID: i.PID, State: string(i.State), Restarts: i.Restarts,
			Started: i.StartedAt, Health: i.Health, Adopted: i.Adopted,
		}
		if i.LastExit != nil {
			shown.LastExit = i.LastExit.String()
		}
		if out.Message == "" && i.State != local.Ready {
			out.Message = cmp.Or(i.Health, shown.LastExit)
		}
		out.Instances = append(out.Instances, shown)
	}
	switch {
	case status.Failed != "":
		out.State = "failed"
	case status.Gone:
		out.State = "stopped"
	case status.Stopping:
		out.State = "stopping"
	case status.Ready >= out.Wanted:
		out.State = "ready"
	case slices.ContainsFunc(status.Instances, func(i local.Instance) bool { return i.State == local.Unready }):
		out.State = "unready"
	default:
		out.State = "starting"
	}
	return out
}

// Releases shows every release that is kept, the latest first.
func (a *App) Releases(context.Context) ([]client.Release, error) {
	return a.showReleases(a.controller.Record(), a.controller.Observe()), nil
}

// Release shows one release.
func (a *App) Release(_ context.Context, name string) (client.Release, error) {
	rec := a.controller.Record()
	r, ok := rec.State.Releases[name]
	if !ok {
		return client.Release{}, fmt.Errorf("%w: %s", release.ErrUnknown, name)
	}
	return a.showRelease(rec, r, a.controller.Observe()), nil
}

func (a *App) showReleases(rec controller.Record, o release.Observation) []client.Release {
	out := make([]client.Release, 0, len(rec.State.Releases))
	for _, r := range rec.State.Releases {
		out = append(out, a.showRelease(rec, r, o))
	}
	slices.SortFunc(out, func(x, y client.Release) int {
		return cmp.Or(y.OpenedAt.Compare(x.OpenedAt), cmp.Compare(x.Name, y.Name))
	})
	return out
}

func (a *App) showRelease(rec controller.Record, r release.Release, o release.Observation) client.Release {
	out := client.Release{
		Name: r.Name, UID: r.UID, Description: r.Description, Phase: string(r.Phase), Since: r.Since,
		Reason: r.Reason, Generation: r.Generation, Stamp: r.View, OpenedAt: r.OpenedAt, OpenedBy: r.OpenedBy,
		WindowEnds: r.WindowEnds, KeepUntil: r.KeepUntil, RollbackWindow: r.RollbackWindow.String(),
		Changes: []client.ReleaseChange{}, Hooks: a.showHooks(rec, r), Checks: []client.Check{},
	}
	if r.Former != "" {
		out.Before = cmp.Or(rec.State.Views[r.Former].Release, release.Baseline)
	}
	if b := r.RolledBack; b != nil {
		out.Rolled = &client.RolledBack{At: b.At, Who: b.Who, Why: b.Why}
	}
	for _, service := range slices.Sorted(maps.Keys(r.Versions)) {
		from, to := rec.Catalog[r.Replaces[service]], rec.Catalog[r.Versions[service]]
		out.Changes = append(out.Changes, client.ReleaseChange{
			Service: service, From: from.Name, To: to.Name,
			Serving: rec.Catalog[rec.State.DefaultVersion(service)].Name, Fields: showFields(config.Differences(from, to)),
		})
	}
	if r.Phase.Ended() {
		return out
	}
	checks, err := rec.State.Checks(r.Name, o)
	if err != nil {
		return out
	}
	for _, c := range checks {
		out.Checks = append(out.Checks, client.Check{Rule: c.Rule, OK: c.OK, Detail: c.Detail, Remedy: c.Remedy})
	}
	return out
}

func (a *App) showHooks(rec controller.Record, r release.Release) []client.Hook {
	out := []client.Hook{}
	specs := hooksOf(rec.Releases[r.Name].Spec.Hooks)
	for _, m := range release.Moments() {
		p, due := r.Progress[m]
		for i, h := range specs[m] {
			shown := client.Hook{Moment: string(m), Name: h.Name, State: "waiting"}
			switch {
			case due && i < p.Passed:
				shown.State = "passed"
			case due && i == p.Passed && p.Failed != "":
				shown.State, shown.Detail = "failed", p.Failed
			case due && i == p.Passed:
				shown.State = "running"
			}
			shown.Output = a.hooks.output(r.UID, r.Generation, m, i)
			out = append(out, shown)
		}
	}
	return out
}

func (a *App) showDrops(rec controller.Record) []client.Drop {
	out := []client.Drop{}
	for _, d := range a.hops.gateway.Drops() {
		out = append(out, client.Drop{
			Caller: d.Caller, Callee: d.Callee, Release: rec.State.Views[d.Stamp].Release,
			Reason: d.Reason, Count: uint64(d.Count), LastSeen: d.LastSeen,
		})
	}
	return out
}
