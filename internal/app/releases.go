package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/config"
	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/release"
	"github.com/greenroom-dev/greenroom/internal/verbs"
)

// move is a change that a person asked for.
type move = verbs.Move[Record]

// OpenRelease opens a release from a document, or updates it.
func (a *App) OpenRelease(ctx context.Context, who string, in client.Open) (client.Changed, error) {
	in.Document.Dir = cmp.Or(in.Document.Dir, a.controller.Record().Fleet.Dir)
	doc, err := oneRelease(in.Document)
	if err != nil {
		return client.Changed{}, err
	}
	name := doc.Metadata.Name
	out, err := a.open(ctx, who, name, in.Asked, Source{
		Document: []byte(in.Document.Data), Sets: in.Document.Sets, Name: in.Document.Name, Dir: in.Document.Dir,
	}, false)
	if err != nil {
		return out, err
	}
	switch {
	case in.DryRun:
		out.Message = name + " would be opened"
	case !out.Changed:
		out.Message = name + " is open with this content already"
	default:
		out.Message = name + " is open; its versions start"
	}
	return out, nil
}

// Rebase completes a release's document anew, from what serves now.
func (a *App) Rebase(ctx context.Context, who, name string, in client.Asked) (client.Changed, error) {
	rec := a.controller.Record()
	source, ok := rec.Releases[name]
	if !ok {
		return client.Changed{}, fmt.Errorf("%w: %s", release.ErrUnknown, name)
	}
	out, err := a.open(ctx, who, name, in, source, true)
	if err != nil {
		return out, err
	}
	out.Message = name + " now builds on " + out.Serving.Named
	if !out.Changed && !in.DryRun {
		out.Message = name + " builds on " + out.Serving.Named + " already"
	}
	return out, nil
}

// open completes a document from the versions that it replaces, keeps the
// executables, and hands both to the state machine.
func (a *App) open(ctx context.Context, who, name string, asked client.Asked, source Source, rebase bool) (client.Changed, error) {
	a.keeping.RLock()
	defer a.keeping.RUnlock()
	doc, err := oneRelease(client.Document{Name: source.Name, Dir: source.Dir, Data: string(source.Document), Sets: source.Sets})
	if err != nil {
		return client.Changed{}, err
	}
	rec := a.controller.Record()
	source.Spec, err = config.ResolveRelease(doc, rec.Fleet, replaced(rec, name, rebase))
	if err != nil {
		return client.Changed{}, err
	}
	if !asked.DryRun {
		if err := a.keepExecutables(source.Spec.Versions); err != nil {
			return client.Changed{}, err
		}
	}
	return a.Make(ctx, who, name, asked, opening(source, rec, rebase))
}

// opening is the move that opens source's release, completed from seen.
func opening(source Source, seen Record, rebase bool) move {
	return func(rec Record, _ release.Observation, by release.Actor, now time.Time) (Record, error) {
		for _, v := range source.Spec.Versions {
			if rec.State.DefaultVersion(v.Service) != seen.State.DefaultVersion(v.Service) {
				return rec, release.ErrStale
			}
		}
		o := openingOf(source.Spec)
		open := rec.State.Open
		if rebase {
			open = rec.State.Rebase
		}
		next, err := open(o, by, now)
		if err != nil || next.Revision == rec.State.Revision {
			return rec, err
		}
		return Record{State: next, Kept: rec.opened(source)}, nil
	}
}

func openingOf(spec fleet.Release) release.Opening {
	o := release.Opening{
		Name: spec.Name, UID: rand.Text(), Description: spec.Description,
		RollbackWindow: spec.RollbackWindow, Keep: spec.Keep,
		Hooks: map[release.Moment][]string{}, HookDigest: hookDigest(spec.Hooks),
	}
	for _, item := range spec.Checklist {
		o.Checklist = append(o.Checklist, release.Item(item))
	}
	for _, v := range spec.Versions {
		o.Versions = append(o.Versions, versionOf(v))
	}
	for moment, hooks := range hooksOf(spec.Hooks) {
		for _, h := range hooks {
			o.Hooks[moment] = append(o.Hooks[moment], h.Name)
		}
	}
	return o
}

// hookDigest tells hooks of the same names apart by what they do.
func hookDigest(h fleet.Hooks) string {
	data, err := json.Marshal(h)
	if err != nil {
		return "" // texts, numbers and maps of texts can always be encoded
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func versionOf(v fleet.Version) release.Version {
	return release.Version{ID: v.ID(), Service: v.Service, Name: v.Name, Digest: v.Digest, Replicas: v.Replicas()}
}

func hooksOf(h fleet.Hooks) map[release.Moment][]fleet.Hook {
	return map[release.Moment][]fleet.Hook{
		release.Prepare: h.Prepare, release.Verify: h.Verify, release.OnSettle: h.Settle,
		release.OnRollback: h.Rollback, release.OnAbort: h.Abort,
	}
}

// replaced gives the versions that a release's document is completed from: for
// an open release those that it was opened against, else what serves.
func replaced(rec Record, name string, rebase bool) config.Serving {
	r, open := rec.State.Releases[name]
	open = open && !r.Phase.Ended() && !rebase
	return func(service string) (fleet.Version, bool) {
		id := rec.State.DefaultVersion(service)
		if base, named := r.Replaces[service]; open && named {
			id = base
		}
		v, ok := rec.Catalog[id]
		return v, ok
	}
}

// keepExecutables copies what versions run into the state folder.
func (a *App) keepExecutables(versions []fleet.Version) error {
	for _, v := range versions {
		if v.Run == nil || v.Run.InPlace {
			continue
		}
		if _, kept := a.local.Executable(v.Run.SHA256); kept {
			continue
		}
		sum, err := a.local.Store(v.Run.Executable)
		if err != nil {
			return fmt.Errorf("keep the executable of %s: %w", v.ID(), err)
		}
		if sum != v.Run.SHA256 {
			return &httpapi.InputError{
				Problem: fmt.Sprintf("%s changed while it was read", v.Run.Executable),
				Remedy:  "wait until its build is done and try again",
			}
		}
	}
	return nil
}

func oneRelease(d client.Document) (config.ReleaseDocument, error) {
	if len(d.Sets) > 0 {
		return config.ReleaseFromFlags(d.Name, d.Sets, d.Dir)
	}
	docs, err := config.Parse(d.Name, []byte(d.Data), d.Dir)
	if err != nil {
		return config.ReleaseDocument{}, err
	}
	if docs.Fleet != nil || len(docs.Releases) != 1 {
		return config.ReleaseDocument{}, &httpapi.InputError{
			Problem: fmt.Sprintf("%s must hold one Release document and nothing else", d.Name),
			Remedy:  "a Fleet is applied by greenroom fleet apply -f",
		}
	}
	return docs.Releases[0], nil
}

// Revert opens a release of the versions that another one replaced.
func (a *App) Revert(ctx context.Context, who, name string, in client.Revert) (client.Changed, error) {
	a.keeping.RLock()
	defer a.keeping.RUnlock()
	rec := a.controller.Record()
	r, ok := rec.State.Releases[name]
	if !ok {
		return client.Changed{}, fmt.Errorf("%w: %s", release.ErrUnknown, name)
	}
	if r.Phase != release.Settling && r.Phase != release.Settled {
		return client.Changed{}, &release.Refused{Rule: "phase", Reason: fmt.Sprintf("%s is %s", name, r.Phase),
			Remedy: "a release that is not past the point of no return is rolled back: greenroom rollback " + name}
	}
	spec := rec.Releases[name].Spec
	next := fleet.Release{
		Name: in.Name, Description: "Back to what " + name + " replaced",
		RollbackWindow: spec.RollbackWindow, Keep: spec.Keep,
	}
	if next.Name == "" {
		next.Name = "revert-" + name
	}
	for _, service := range slices.Sorted(maps.Keys(r.Replaces)) {
		v, kept := rec.Catalog[r.Replaces[service]]
		if !kept {
			return client.Changed{}, fmt.Errorf("the version %s that %s replaced is not kept any more", r.Replaces[service], name)
		}
		if v.ID() != rec.State.DefaultVersion(service) {
			next.Versions = append(next.Versions, a.fromKept(v))
		}
	}
	document, err := config.ExportRelease(next)
	if err != nil {
		return client.Changed{}, err
	}
	source := Source{Document: document, Name: next.Name + ".yaml", Dir: rec.Releases[name].Dir, Spec: next}
	out, err := a.Make(ctx, who, next.Name, in.Asked, opening(source, rec, false))
	out.Message = fmt.Sprintf("%s is open: the versions that %s replaced; promote it to go back", next.Name, name)
	return out, err
}

// fromKept is v run from the copy of its executable: the file that it was
// taken from may be another one by now.
func (a *App) fromKept(v fleet.Version) fleet.Version {
	if v.Run == nil || v.Run.InPlace {
		return v
	}
	if kept, there := a.local.Executable(v.Run.SHA256); there {
		run := *v.Run
		run.Executable = kept
		v.Run = &run
	}
	return v
}
