package app

import (
	"maps"
	"reflect"

	"github.com/greenroom-dev/greenroom/internal/release"
)

// bulk is what of a State has an entry for every service. A switch leaves all of
// it alone, so it is written on its own, when it changes.
type bulk struct {
	Services map[string]release.Service `json:"services"`
	Versions map[string]release.Version `json:"versions"`
	Views    map[string]viewBulk        `json:"views"`    // by stamp
	Releases map[string]releaseBulk     `json:"releases"` // by name
}

type viewBulk struct {
	Versions map[string]string `json:"versions"`
	Own      map[string]string `json:"own,omitempty"`
}

type releaseBulk struct {
	Versions map[string]string `json:"versions"`
	Replaces map[string]string `json:"replaces"`
}

// apart takes the bulk out of a State.
func apart(s release.State) (release.State, bulk) {
	b := bulk{
		Services: s.Services, Versions: s.Versions,
		Views: make(map[string]viewBulk, len(s.Views)), Releases: make(map[string]releaseBulk, len(s.Releases)),
	}
	s.Services, s.Versions = nil, nil
	s.Views, s.Releases = maps.Clone(s.Views), maps.Clone(s.Releases)
	for stamp, v := range s.Views {
		b.Views[stamp] = viewBulk{Versions: v.Versions, Own: v.Own}
		v.Versions, v.Own = nil, nil
		s.Views[stamp] = v
	}
	for name, r := range s.Releases {
		b.Releases[name] = releaseBulk{Versions: r.Versions, Replaces: r.Replaces}
		r.Versions, r.Replaces = nil, nil
		s.Releases[name] = r
	}
	return s, b
}

// into puts the bulk back. The State's Views and Releases must be its own.
func (b bulk) into(s *release.State) {
	s.Services, s.Versions = b.Services, b.Versions
	for stamp, v := range s.Views {
		v.Versions, v.Own = b.Views[stamp].Versions, b.Views[stamp].Own
		s.Views[stamp] = v
	}
	for name, r := range s.Releases {
		r.Versions, r.Replaces = b.Releases[name].Versions, b.Releases[name].Replaces
		s.Releases[name] = r
	}
}

func (b bulk) equal(other bulk) bool {
	return sameMap(b.Services, other.Services) && sameMap(b.Versions, other.Versions) &&
		maps.EqualFunc(b.Views, other.Views, func(x, y viewBulk) bool {
			return sameMap(x.Versions, y.Versions) && sameMap(x.Own, y.Own)
		}) &&
		maps.EqualFunc(b.Releases, other.Releases, func(x, y releaseBulk) bool {
			return sameMap(x.Versions, y.Versions) && sameMap(x.Replaces, y.Replaces)
		})
}

// sameMap is maps.Equal for maps that are never changed: one that is the other
// needs no look at what it holds.
func sameMap[V comparable](a, b map[string]V) bool {
	return reflect.ValueOf(a).UnsafePointer() == reflect.ValueOf(b).UnsafePointer() || maps.Equal(a, b)
}
