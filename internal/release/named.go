package release

import (
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// namedVersions is how many versions stand for a whole fleet.
const namedVersions = 3

// Named is a view as people are told it, on every screen and in every event: by
// its release's name. The baseline's name tells nobody anything, so the first of
// its versions stand behind it: "baseline (api v1, web v1, 4 more)". A view that
// has ended has none any more.
func (s State) Named(stamp string) string {
	view, known := s.Views[stamp]
	if view.Release != "" {
		return view.Release
	}
	if !known || len(view.Versions) == 0 {
		return Baseline
	}
	services := firstOf(maps.Keys(view.Versions), namedVersions+1)
	more := len(view.Versions) - namedVersions
	if more > 1 { // "1 more" is no shorter than the one
		services = services[:namedVersions]
	}
	names := make([]string, 0, len(services)+1)
	for _, service := range services {
		names = append(names, service+" "+s.Versions[view.Versions[service]].Name)
	}
	if more > 1 {
		names = append(names, strconv.Itoa(more)+" more")
	}
	return Baseline + " (" + strings.Join(names, ", ") + ")"
}

// firstOf are the first n of names, sorted. The others are not: a fleet may have
// thousands, and a switch says what it took the place of.
func firstOf(names iter.Seq[string], n int) []string {
	var out []string
	for name := range names {
		if at, _ := slices.BinarySearch(out, name); at < n {
			out = slices.Insert(out, at, name)
			out = out[:min(n, len(out))]
		}
	}
	return out
}
