package app

import (
	"maps"

	"github.com/greenroom-dev/greenroom/internal/controller"
	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// Controller makes every change to the fleet's Record.
type Controller = controller.Controller[Record]

// Record is everything that is persisted, as one value.
type Record struct {
	State release.State `json:"state"`
	*Kept
}

// Kept is what is persisted beside the state. It is never changed, so that two
// Records with the same pointer are known to differ in their State alone: a
// switch then neither encodes, nor writes, nor compares what it did not touch.
type Kept struct {
	Fleet    fleet.Fleet              `json:"fleet"`    // as last applied
	Catalog  map[string]fleet.Version `json:"catalog"`  // by version ID: how to run what State speaks of
	Releases map[string]Source        `json:"releases"` // by name: what State's releases were opened from
}

// Source is what a release was opened from.
type Source struct {
	Document []byte        `json:"document"`       // as it was written, for rebase
	Sets     []string      `json:"sets,omitempty"` // instead of Document: as they were set on a command line
	Name     string        `json:"name"`           // of the file, for errors; with Sets of the release
	Dir      string        `json:"dir"`            // that relative paths are relative to
	Spec     fleet.Release `json:"spec"`           // as completed
}

// Core returns the state.
func (r Record) Core() release.State { return r.State }

// With returns the Record with another state, and without what that state does
// not speak of any more.
func (r Record) With(s release.State) Record {
	return Record{State: s, Kept: r.Kept.of(s)}
}

// of is what s speaks of.
func (k *Kept) of(s release.State) *Kept {
	all := true
	for id := range k.Catalog {
		_, spoken := s.Versions[id]
		all = all && spoken
	}
	for name := range k.Releases {
		_, kept := s.Releases[name]
		all = all && kept
	}
	if all {
		return k
	}
	out := k.clone()
	maps.DeleteFunc(out.Catalog, func(id string, _ fleet.Version) bool { _, spoken := s.Versions[id]; return !spoken })
	maps.DeleteFunc(out.Releases, func(name string, _ Source) bool { _, kept := s.Releases[name]; return !kept })
	return out
}

// clone returns a Kept whose maps may be changed, to become part of another
// Record.
func (k *Kept) clone() *Kept {
	return &Kept{Fleet: k.Fleet, Catalog: maps.Clone(k.Catalog), Releases: maps.Clone(k.Releases)}
}

// opened is k with a release that was opened, and its versions.
func (k *Kept) opened(source Source) *Kept {
	out := k.clone()
	for _, v := range source.Spec.Versions {
		out.Catalog[v.ID()] = v
	}
	out.Releases[source.Spec.Name] = source
	return out
}
