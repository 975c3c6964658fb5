package release_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/release"
)

// TestNamed holds the one wording of what serves, for fleets of any size.
func TestNamed(t *testing.T) {
	for n, want := range map[int]string{
		1:    "baseline (s000 v1)",
		3:    "baseline (s000 v1, s001 v1, s002 v1)",
		4:    "baseline (s000 v1, s001 v1, s002 v1, s003 v1)",
		5:    "baseline (s000 v1, s001 v1, s002 v1, 2 more)",
		1000: "baseline (s000 v1, s001 v1, s002 v1, 997 more)",
	} {
		services := map[string]release.Service{}
		var first []release.Version
		for i := range n {
			name := fmt.Sprintf("s%03d", i)
			services[name] = release.Service{}
			first = append(first, release.Version{ID: name + "@v1", Service: name, Name: "v1"})
		}
		s := release.New(services, first, release.Settings{}, release.Actor{Who: "ann"}, time.Unix(0, 0))
		if got := s.Named(release.Baseline); got != want {
			t.Errorf("%d services: %q, want %q", n, got, want)
		}
		if got := s.Serving(); got.Named != want || got.NamedBefore != "" {
			t.Errorf("%+v", got)
		}
		if got := s.Named("gone"); got != "baseline" {
			t.Errorf("a view that has ended: %q", got)
		}
	}
}
