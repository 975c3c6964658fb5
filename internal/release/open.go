package release

import (
	"maps"
	"slices"
	"time"
)

// Opening is the content of a release as somebody wants it.
type Opening struct {
	Name           string
	UID            string // for a new release; an update keeps the one it has
	Description    string
	Versions       []Version // at most one per service, at least one
	RollbackWindow time.Duration
	Keep           time.Duration
	Hooks          map[Moment][]string
	Auto           bool // go Live as soon as nothing speaks against it
}

// Open begins a release, or updates one that has not gone beyond Previewing.
// Opening it again with the same content changes nothing.
func (s State) Open(o Opening, by Actor, now time.Time) (State, error) {
	old, known := s.Releases[o.Name]
	if known && !old.Phase.Ended() {
		return s.update(old, o, false, by, now)
	}
	if uid, was := s.Live[o.Name]; was {
		return s, refuse("name", "choose another name", "%s was live before (uid %s), and a name is not used twice", o.Name, uid)
	}
	d := s.edit(by, now)
	if err := d.addVersions(o.Versions); err != nil {
		return s, err
	}
	r := content(Release{
		Name: o.Name, UID: o.UID, Generation: 1, Views: old.Views,
		OpenedAt: now, OpenedBy: by.Who, Replaces: map[string]string{},
	}, o)
	for service := range r.Versions {
		r.Replaces[service] = s.DefaultVersion(service)
	}
	if err := s.otherVersion(r); err != nil {
		return s, err
	}
	d.enter(r, Preparing, "")
	d.event("ReleaseOpened", r.Name, "opened with "+countOf(len(r.Versions), "version"))
	return d.done(), nil
}

// Rebase takes what ordinary requests get now as what the release replaces.
// The caller completes the release's document anew from these versions.
func (s State) Rebase(o Opening, by Actor, now time.Time) (State, error) {
	r, err := s.find(o.Name)
	if err != nil {
		return s, err
	}
	return s.update(r, o, true, by, now)
}

func (s State) update(r Release, o Opening, rebase bool, by Actor, now time.Time) (State, error) {
	next := content(r, o)
	next.Replaces = make(map[string]string, len(next.Versions))
	for service := range next.Versions {
		base, kept := r.Replaces[service]
		if !kept || rebase {
			base = s.DefaultVersion(service)
		}
		next.Replaces[service] = base
	}
	same := sameContent(r, next)
	if same && r.Phase != Failed {
		return s, nil
	}
	switch r.Phase {
	case Preparing, Previewing, Failed:
	default:
		return s, refuse("phase", "open another release for the change",
			"%s is %s, and from Canary on a release does not change", r.Name, r.Phase)
	}
	if err := s.otherVersion(next); err != nil {
		return s, err
	}
	d := s.edit(by, now)
	if err := d.addVersions(o.Versions); err != nil {
		return s, err
	}
	next.Generation++
	next.Progress = nil
	next.Dropped = nil
	next.KeepUntil = time.Time{}
	d.enter(next, Preparing, "")
	what := "ReleaseUpdated"
	if rebase {
		what = "ReleaseRebased"
	}
	d.event(what, r.Name, "now of "+countOf(len(next.Versions), "version"))
	return d.done(), nil
}

// otherVersion refuses a release that would change nothing.
func (s State) otherVersion(r Release) error {
	if len(r.Versions) == 0 {
		return refuse("version", "name at least one service", "%s has no versions", r.Name)
	}
	for service, id := range r.Versions {
		if _, known := s.Services[service]; !known {
			return refuse("version", "add it to the fleet first", "%s names the service %s, which the fleet does not have", r.Name, service)
		}
		if id != r.Replaces[service] {
			return nil
		}
	}
	return refuse("version", "give at least one service another version", "every version of %s is the one that it would replace", r.Name)
}

func content(r Release, o Opening) Release {
	r.Description = o.Description
	r.RollbackWindow, r.Keep = o.RollbackWindow, o.Keep
	r.Hooks, r.Auto = o.Hooks, o.Auto
	r.Versions = make(map[string]string, len(o.Versions))
	for _, v := range o.Versions {
		r.Versions[v.Service] = v.ID
	}
	return r
}

func sameContent(a, b Release) bool {
	return a.Description == b.Description &&
		a.RollbackWindow == b.RollbackWindow && a.Keep == b.Keep && a.Auto == b.Auto &&
		maps.Equal(a.Versions, b.Versions) && maps.Equal(a.Replaces, b.Replaces) &&
		maps.EqualFunc(a.Hooks, b.Hooks, slices.Equal[[]string])
}

// addVersions makes versions known. A version is immutable: the same ID with
// another digest is refused.
func (d *draft) addVersions(versions []Version) error {
	seen := map[string]bool{}
	for _, v := range versions {
		if seen[v.Service] {
			return refuse("version", "keep one of them", "the service %s is named twice", v.Service)
		}
		seen[v.Service] = true
		if old, known := d.Versions[v.ID]; known && old.Digest != v.Digest {
			return refuse("version", "give the changed one another name",
				"version %s of %s is known with other content, and a version does not change", v.Name, v.Service)
		} else if known {
			v.Replicas = max(v.Replicas, old.Replicas)
		}
		d.Versions[v.ID] = v
	}
	return nil
}
