package stage

import (
	"cmp"

	"github.com/greenroom-dev/greenroom/internal/release"
)

// Follow switches the stage to what a state says serves. The first state after
// a restart, recalled, also tells what served until the last switch, so that a
// service that serves in both views is not taken for a new one.
func (k *Keeper) Follow(s release.State, recalled bool) {
	if recalled {
		for _, r := range s.Releases {
			switch {
			case r.Phase == release.Live:
				k.to(s.Epoch-1, s, r.Former)
			case r.RolledBack != nil && r.RolledBack.At.Equal(s.Since):
				k.to(s.Epoch-1, s, r.View)
			}
		}
	}
	k.to(s.Epoch, s, s.Default)
}

func (k *Keeper) to(epoch uint64, s release.State, stamp string) {
	view, known := s.Views[stamp]
	if !known || epoch == 0 {
		return
	}
	// It refuses only what a State never does: another view under the same epoch.
	_ = k.Switch(epoch, cmp.Or(view.Release, release.Baseline), view.Versions)
}
