package app

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/calendar"
	"github.com/greenroom-dev/greenroom/internal/config"
	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/release"
	"github.com/greenroom-dev/greenroom/internal/verbs"
)

// first is the Record of a fleet that was never run before.
func first(f fleet.Fleet, by release.Actor, now time.Time) Record {
	var versions []release.Version
	catalog := map[string]fleet.Version{}
	for _, s := range f.Services {
		versions = append(versions, versionOf(s.First))
		catalog[s.First.ID()] = s.First
	}
	return Record{
		State: release.New(servicesOf(f), versions, settingsOf(f), by, now),
		Kept:  &Kept{Fleet: f, Catalog: catalog, Releases: map[string]Source{}},
	}
}

func servicesOf(f fleet.Fleet) map[string]release.Service {
	out := make(map[string]release.Service, len(f.Services))
	for _, s := range f.Services {
		out[s.Name] = release.Service{Drain: s.Drain}
	}
	return out
}

func settingsOf(f fleet.Fleet) release.Settings {
	rules, _ := calendar.Rules(config.ExportRules(f.Rules)) // which config has found right
	return release.Settings{Quiet: f.Quiet, Pinning: f.Edge.SessionPinning, History: f.History, Rules: rules}
}

// servingOf gives the versions that ordinary requests get, with the instances
// that they run with now.
func servingOf(rec Record) config.Serving {
	return func(service string) (fleet.Version, bool) {
		id := rec.State.DefaultVersion(service)
		v, ok := rec.Catalog[id]
		if ok && v.Run != nil {
			run := *v.Run
			run.Replicas = rec.State.Versions[id].Replicas
			v.Run = &run
		}
		return v, ok
	}
}

// Fleet shows the fleet as last applied, as a document that would start what
// serves now.
func (a *App) Fleet(context.Context) (client.Fleet, error) {
	rec := a.controller.Record()
	document, err := config.Export(rec.Fleet, func(service string) (fleet.Version, bool) {
		v, ok := servingOf(rec)(service)
		return a.fromKept(v), ok
	})
	if err != nil {
		return client.Fleet{}, fmt.Errorf("write the fleet as a document: %w", err)
	}
	out := client.Fleet{Name: rec.Fleet.Name, Document: string(document), Routes: []client.Route{}, Serving: verbs.Serving(rec.State)}
	for _, r := range rec.Fleet.Edge.Routes {
		out.Routes = append(out.Routes, client.Route{Host: r.Host, Path: r.Path, Methods: r.Methods, Service: r.Service})
	}
	return out, nil
}

// ApplyFleet applies what a Fleet document may change while the fleet runs.
func (a *App) ApplyFleet(ctx context.Context, who string, in client.FleetApply) (client.FleetChange, error) {
	docs, err := config.Parse(in.Document.Name, []byte(in.Document.Data), in.Document.Dir)
	if err != nil {
		return client.FleetChange{}, err
	}
	if docs.Fleet == nil {
		return client.FleetChange{}, &httpapi.InputError{
			Problem: in.Document.Name + " holds no Fleet document",
			Remedy:  "a Release is opened by greenroom release open -f",
		}
	}
	file, err := config.ResolveFleet(*docs.Fleet)
	if err != nil {
		return client.FleetChange{}, err
	}
	return a.applyFleet(ctx, who, file, in, false)
}

// applyFleet applies file; starting says that greenroom has not served yet, so
// that what takes effect with a start does.
func (a *App) applyFleet(ctx context.Context, who string, file fleet.Fleet, in client.FleetApply, starting bool) (client.FleetChange, error) {
	a.keeping.RLock()
	defer a.keeping.RUnlock()
	rec := a.controller.Record()
	change := config.Compare(file, rec.Fleet, servingOf(rec))
	out := showFleetChange(change)
	if in.DryRun || change.Empty() {
		return out, nil
	}
	if !change.Allowed(in.Adopt) {
		return out, refusal(change)
	}
	var source Source
	if len(change.Versions) > 0 {
		var err error
		if source, err = a.adoption(change); err != nil {
			return out, err
		}
		out.Release = source.Spec.Name
	}
	joining := joiners(file, change)
	if err := a.keepExecutables(append(joining, source.Spec.Versions...)); err != nil {
		return out, err
	}
	by := release.Actor{Who: who, Why: in.Reason}
	_, err := a.controller.Do(ctx, func(now Record, o release.Observation, at time.Time) (Record, error) {
		if now.State.Default != rec.State.Default {
			return now, release.ErrStale
		}
		next, err := applied(now, file, change, joining, source, by, at)
		if !starting {
			next.Fleet = remembered(next.Fleet, now.Fleet) // of a Kept that is not in force yet
		}
		return next, err
	})
	if err != nil {
		return out, err
	}
	a.followFleet()
	a.controller.Kick()
	out.Changed, out.Message = true, "applied"
	return out, nil
}

// followFleet makes what runs, who is told of events, and who logs people in
// follow the fleet that is in force. Of two that were applied at once the later
// one holds for all of it, whichever of them gets here first: what is in force is
// read under the lock.
func (a *App) followFleet() {
	a.following.Lock()
	defer a.following.Unlock()
	rec := a.controller.Record()
	a.platform.reapply(rec)
	a.tell(rec.Fleet)
}

// tell says who is told of events, and who logs people in. The caller holds
// following, or is the only one.
func (a *App) tell(f fleet.Fleet) {
	if a.followed == nil || !reflect.DeepEqual(a.followed.Notifications, f.Notifications) {
		a.notifier.Set(receivers(f))
	}
	if a.followed == nil || !reflect.DeepEqual(a.followed.API.OIDC, f.API.OIDC) {
		a.signOn.Set(signOnOf(f))
	}
	a.followed = &f
}

// applied is rec with what a file changes.
func applied(rec Record, file fleet.Fleet, change config.Change, joining []fleet.Version, source Source, by release.Actor, now time.Time) (Record, error) {
	var firsts []release.Version
	kept := rec.clone()
	kept.Fleet = file
	for _, v := range joining {
		firsts = append(firsts, versionOf(v))
		kept.Catalog[v.ID()] = v
	}
	state, err := rec.State.Apply(release.Change{
		Services: servicesOf(file), First: firsts, Replicas: change.Replicas, Settings: settingsOf(file),
	}, by, now)
	if err != nil {
		return rec, err
	}
	if state.Revision == rec.State.Revision {
		state.Revision++ // routes, health and the like are no business of State's
	}
	if source.Spec.Name != "" {
		o := openingOf(source.Spec)
		o.Auto = true
		if state, err = state.Open(o, by, now); err != nil {
			return rec, err
		}
		kept = kept.opened(source)
	}
	return Record{State: state, Kept: kept}, nil
}

// remembered is the applied fleet with what only takes effect with a start
// left as it is, so that it is found different then too.
func remembered(file, former fleet.Fleet) fleet.Fleet {
	file.Edge.Listen, file.Edge.TLS = former.Edge.Listen, former.Edge.TLS
	file.API.Listen, file.API.TLS, file.StampHeader = former.API.Listen, former.API.TLS, former.StampHeader
	return file
}

func joiners(file fleet.Fleet, change config.Change) []fleet.Version {
	var out []fleet.Version
	for _, s := range file.Services {
		if slices.Contains(change.Added, s.Name) {
			out = append(out, s.First)
		}
	}
	return out
}

// adoption is the release that brings a file's changed versions.
func (a *App) adoption(change config.Change) (Source, error) {
	spec := fleet.Release{
		Name:           "adopt-" + a.now().UTC().Format("20060102-150405"),
		Description:    "Versions adopted from the fleet's file",
		RollbackWindow: time.Hour, Keep: time.Hour,
	}
	for _, v := range change.Versions {
		spec.Versions = append(spec.Versions, v.File)
	}
	document, err := config.ExportRelease(spec)
	if err != nil {
		return Source{}, err
	}
	return Source{Document: document, Name: spec.Name + ".yaml", Dir: "/", Spec: spec}, nil
}

func refusal(change config.Change) error {
	if len(change.Refused) > 0 {
		r := change.Refused[0]
		return &release.Refused{Rule: "fleet", Reason: r.Problem, Remedy: r.Hint}
	}
	var differ []string
	for _, v := range change.Versions {
		var fields []string
		for _, d := range v.Fields {
			fields = append(fields, fmt.Sprintf("%s: %s → %s", d.Field, orUnset(d.Before), orUnset(d.After)))
		}
		differ = append(differ, fmt.Sprintf("%s (%s)", v.Service, strings.Join(fields, ", ")))
	}
	return &release.Refused{Rule: "version",
		Reason: "the file has another version than the one that serves of " + strings.Join(differ, ", ") + ", and a Fleet's versions are only the first",
		Remedy: "bring it by a release (greenroom release open), or --adopt to make it live at once",
	}
}

func showFleetChange(c config.Change) client.FleetChange {
	out := client.FleetChange{Applied: []string{}, Versions: []client.ReleaseChange{}, Behind: []string{}}
	for _, d := range c.Live {
		out.Applied = append(out.Applied, fmt.Sprintf("%s: %s → %s", d.Field, orUnset(d.Before), orUnset(d.After)))
	}
	for _, name := range c.Added {
		out.Applied = append(out.Applied, "service "+name+" joins")
	}
	for _, name := range c.Removed {
		out.Applied = append(out.Applied, "service "+name+" leaves")
	}
	for _, d := range c.Restart {
		out.Applied = append(out.Applied, fmt.Sprintf("%s: %s → %s, with the next start of greenroom", d.Field, orUnset(d.Before), orUnset(d.After)))
	}
	for _, r := range c.Refused {
		out.Applied = append(out.Applied, fmt.Sprintf("%s: refused: %s", r.Field, r.Problem))
	}
	for _, v := range c.Versions {
		out.Versions = append(out.Versions, client.ReleaseChange{
			Service: v.Service, From: v.Serving.Name, To: v.File.Name, Serving: v.Serving.Name, Fields: showFields(v.Fields),
		})
	}
	for _, b := range c.Behind {
		out.Behind = append(out.Behind, fmt.Sprintf("%s: the file still has %s, and %s serves since a release brought it", b.Service, b.File, b.Serving))
	}
	switch {
	case !c.Empty():
		out.Message = fmt.Sprintf("%d changes, %d changed versions", len(out.Applied), len(out.Versions))
	case len(out.Behind) > 0:
		out.Message = "The file is behind what serves; there is nothing to apply"
	default:
		out.Message = "The fleet is as the file says"
	}
	return out
}

func showFields(fields []config.Difference) []client.FieldDiff {
	out := []client.FieldDiff{}
	for _, d := range fields {
		out = append(out, client.FieldDiff{Field: d.Field, From: d.Before, To: d.After})
	}
	return out
}

func orUnset(s string) string {
	if s == "" {
		return "not set"
	}
	return s
}
