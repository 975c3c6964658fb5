package release

import (
	"maps"
	"slices"
	"strings"
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
	Hooks          map[Moment][]string // names, in order
	HookDigest     string              // of what the hooks do; another one is changed content
	Checklist      []Item              // beside that of the fleet; names are unique
	Auto           bool                // go Live as soon as nothing speaks against it
}

// Open begins a release, or updates one that has not gone beyond Previewing.
// Opening it again with the same content changes nothing, but that a Failed
// one is tried again.
func (s State) Open(o Opening, by Actor, now time.Time) (State, error) {
	old, known := s.Releases[o.Name]
	if known && !old.Phase.Ended() {
		return s.update(old, o, false, by, now)
	}
	if uid, was := s.Live[o.Name]; was {
		return s, refuse("name", "choose another name", "%s was live before (uid %s), and a name is not used twice", o.Name, uid)
	}
	if o.Name == "" || o.Name == Baseline || strings.Contains(o.Name, ".") {
		return s, refuse("name", "choose another name", "a release cannot be called %q: its views' stamps are made of its name, a dot and a number", o.Name)
	}
	d := s.edit(by, now)
	r := content(Release{
		Name: o.Name, UID: o.UID, Generation: old.Generation + 1, Views: old.Views, // the hooks of each content are told apart
		OpenedAt: now, OpenedBy: by.Who, Replaces: map[string]string{},
	}, o)
	if err := d.addVersions(r.Name, o.Versions); err != nil {
		return s, err
	}
	for service := range r.Versions {
		r.Replaces[service] = s.DefaultVersion(service)
	}
	if err := s.worthwhile(r); err != nil {
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
	d := s.edit(by, now)
	if err := d.addVersions(r.Name, o.Versions); err != nil {
		return s, err
	}
	same := sameContent(r, next)
	switch {
	case !r.open() && same:
		return s, nil
	case !r.open():
		return s, refuse("phase", "open another release for the change",
			"%s is %s, and a release that ordinary requests got does not change", r.Name, r.Phase)
	case same && r.Phase != Failed && maps.Equal(d.Versions, s.Versions):
		return s.setAuto(r, o.Auto, by, now), nil
	}
	if err := s.worthwhile(next); err != nil {
		return s, err
	}
	next.Generation++
	next.Progress = maps.Clone(r.Progress)
	delete(next.Progress, Prepare)
	delete(next.Progress, Verify)
	next.Dropped = nil
	next.KeepUntil = time.Time{}
	next = d.unplan(next, "it has changed since")
	d.enter(next, Preparing, "")
	what := "ReleaseUpdated"
	if rebase {
		what = "ReleaseRebased"
	}
	d.event(what, r.Name, "now of "+countOf(len(next.Versions), "version"))
	d.tellVoid(r, next)
	return d.done(), nil
}

// setAuto changes whether r goes Live by itself. That is no change of content.
func (s State) setAuto(r Release, auto bool, by Actor, now time.Time) State {
	if r.Auto == auto {
		return s
	}
	d := s.edit(by, now)
	r.Auto, r.Reason = auto, ""
	d.put(r)
	message := "it waits for somebody to promote it"
	if auto {
		message = "it goes live as soon as nothing speaks against it"
	}
	d.event("ReleaseUpdated", r.Name, message)
	return d.done()
}

// worthwhile refuses a release that would change nothing, or that names what
// the fleet does not have.
func (s State) worthwhile(r Release) error {
	if len(r.Versions) == 0 {
		return refuse("version", "name at least one service", "%s has no versions", r.Name)
	}
	for _, service := range slices.Sorted(maps.Keys(r.Versions)) {
		if _, known := s.Services[service]; !known {
			return refuse("version", "add it to the fleet first", "%s names the service %s, which the fleet does not have", r.Name, service)
		}
	}
	if maps.Equal(r.Versions, r.Replaces) {
		return refuse("version", "give at least one service another version", "every version of %s is the one that it would replace", r.Name)
	}
	return nil
}

func content(r Release, o Opening) Release {
	r.Description = o.Description
	r.RollbackWindow, r.Keep = o.RollbackWindow, o.Keep
	r.Hooks, r.HookDigest, r.Auto = maps.Clone(o.Hooks), o.HookDigest, o.Auto
	r.Checklist = slices.Clone(o.Checklist)
	r.Versions = make(map[string]string, len(o.Versions))
	for _, v := range o.Versions {
		r.Versions[v.Service] = v.ID
	}
	return r
}

func sameContent(a, b Release) bool {
	return a.Description == b.Description &&
		a.RollbackWindow == b.RollbackWindow && a.Keep == b.Keep &&
		maps.Equal(a.Versions, b.Versions) && maps.Equal(a.Replaces, b.Replaces) &&
		a.HookDigest == b.HookDigest && slices.Equal(a.Checklist, b.Checklist) && maps.EqualFunc(a.Hooks, b.Hooks, slices.Equal[[]string])
}

// addVersions makes the versions of a release known. A version is immutable:
// the same ID with another digest is refused. One that others run as well
// never gets fewer replicas.
func (d *draft) addVersions(release string, versions []Version) error {
	seen := map[string]bool{}
	for _, v := range versions {
		if seen[v.Service] {
			return refuse("version", "keep one of them", "the service %s is named twice", v.Service)
		}
		seen[v.Service] = true
		old, known := d.Versions[v.ID]
		if known && (old.Digest != v.Digest || old.Service != v.Service) {
			return refuse("version", "give the changed one another name",
				"version %s of %s is known with other content, and a version does not change", v.Name, v.Service)
		}
		if known && d.shared(v.ID, release) {
			v.Replicas = max(v.Replicas, old.Replicas)
		}
		d.versions()[v.ID] = v
	}
	return nil
}

// shared reports whether others than this release need a version.
func (s State) shared(id, release string) bool {
	service := s.Versions[id].Service
	for _, v := range s.Views {
		if v.Versions[service] == id && (v.Release != release || v.Stamp == s.Default) {
			return true
		}
	}
	for _, r := range s.Releases {
		if r.Name != release && r.Phase.previewable() && r.Versions[service] == id {
			return true
		}
	}
	return false
}
