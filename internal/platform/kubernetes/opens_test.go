package kubernetes

import (
	"testing"

	"github.com/greenroom-dev/greenroom/internal/release"
)

func TestPassOpens(t *testing.T) {
	s := release.State{Views: map[string]release.View{"r42.2": {}}, Releases: map[string]release.Release{}}
	for _, phase := range []release.Phase{release.Previewing, release.Settled, release.Aborted} {
		s.Releases[string(phase)] = release.Release{Name: string(phase), UID: "u", Phase: phase, View: "r42.2"}
	}
	s.Releases["early"] = release.Release{Name: "early", UID: "u", Phase: release.Preparing, View: "r43"}
	for _, c := range []struct {
		name, uid, stamp string
		ok               bool
	}{
		{string(release.Previewing), "u", "r42.2", true},
		{string(release.Previewing), "another", "", false},
		{string(release.Settled), "u", "", true},
		{string(release.Aborted), "u", "", false},
		{"early", "u", "", false},
		{"unknown", "u", "", false},
	} {
		if stamp, ok := PassOpens(s, c.name, c.uid); stamp != c.stamp || ok != c.ok {
			t.Errorf("a pass for %s of %s opens %q, %t; want %q, %t", c.name, c.uid, stamp, ok, c.stamp, c.ok)
		}
	}
}
