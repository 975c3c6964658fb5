package app

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/config"
	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/platform/local"
	"github.com/greenroom-dev/greenroom/internal/release"
	"github.com/greenroom-dev/greenroom/internal/verbs"
)

// Changed tells when the persisted state changes.
func (a *App) Changed() <-chan struct{} { return a.controller.Changed() }

// Status shows everything at once.
func (a *App) Status(ctx context.Context) (client.Status, error) {
	rec, o := a.controller.Record(), a.controller.Observe()
	out := client.Status{
		Fleet: rec.Fleet.Name, Version: a.o.Version, Revision: rec.State.Revision, Now: a.now(),
		EdgeURL: a.EdgeURL(), Public: rec.Fleet.Edge.PublicURL, Serving: verbs.Serving(rec.State),
		Services: a.showServices(rec), Releases: a.Verbs.Releases(rec, o),
		Dropped: a.showDrops(rec), Warnings: []string{},
	}
	if h := a.showHold(rec.State); h.On || h.Waiting > 0 {
		out.Hold = &h
	}
	verbs.Rules(rec.State, out.Now, &out)
	out.Notifications, _ = a.Notifications(ctx)
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

func (a *App) showServices(rec Record) []client.Service {
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

func (a *App) showVersion(rec Record, v release.Version, status local.Status, inFlight int64) client.Version {
	spec := rec.Catalog[v.ID]
	out := client.Version{
		ID: v.ID, Name: v.Name, Service: v.Service, Digest: v.Digest,
		Commit: spec.Source.Commit, URL: spec.Source.URL, Runs: runs(spec),
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

// runs is what a version is, for who wants to bring another one; "" where that
// is not kept any more.
func runs(v fleet.Version) string {
	if v.Service == "" {
		return ""
	}
	return config.Set(v)
}

// Releases shows every release that is kept, the latest first.
func (a *App) Releases(context.Context) ([]client.Release, error) {
	return a.Verbs.Releases(a.controller.Record(), a.controller.Observe()), nil
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

func (a *App) showRelease(rec Record, r release.Release, o release.Observation) client.Release {
	out := verbs.Release(rec.State, r, o, a.now())
	for _, service := range slices.Sorted(maps.Keys(r.Versions)) {
		from, to := rec.Catalog[r.Replaces[service]], rec.Catalog[r.Versions[service]]
		out.Changes = append(out.Changes, client.ReleaseChange{
			Service: service, From: from.Name, To: to.Name,
			Serving: rec.Catalog[rec.State.DefaultVersion(service)].Name, Fields: showFields(config.Differences(from, to)),
		})
	}
	specs := hooksOf(rec.Releases[r.Name].Spec.Hooks)
	for _, m := range release.Moments() {
		for i, h := range specs[m] {
			shown := verbs.Hook(r, m, i, h.Name)
			shown.Output = a.hooks.output(r.UID, r.Generation, m, i)
			out.Hooks = append(out.Hooks, shown)
		}
	}
	return out
}

func (a *App) showDrops(rec Record) []client.Drop {
	out := []client.Drop{}
	for _, d := range a.hops.gateway.Drops() {
		out = append(out, client.Drop{
			Caller: d.Caller, Callee: d.Callee, Release: rec.State.Views[d.Stamp].Release,
			Reason: d.Reason, Count: uint64(d.Count), LastSeen: d.LastSeen,
		})
	}
	return out
}
