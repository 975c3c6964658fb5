package operator

import (
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/internal/release"
)

func TestDeletionRemedy(t *testing.T) {
	for phase, want := range map[release.Phase]string{
		release.Live:     "kubectl greenroom rollback r1",
		release.Settling: "Wait",
	} {
		if got := deletionRemedy(release.Release{Name: "r1", Phase: phase}); !strings.Contains(got, want) {
			t.Errorf("deleted while %s: %s", phase, got)
		}
	}
}
