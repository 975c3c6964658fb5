package kubernetes

import (
	"maps"
	"slices"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// GuardAnnotation stands on a Rollout, and on the Deployment that it takes its
// template from, while Argo would scale a release's pods down for a newer
// revision. Its value is the release. An admission policy refuses to change
// the template meanwhile.
const GuardAnnotation = "greenroom.dev/guarded"

// Deed is something to do to a Rollout so that it follows the state.
type Deed interface{ deed() }

// PromoteRollout lets Argo go on with what it previews: it serves already.
type PromoteRollout struct {
	Rollout         string
	ResourceVersion string // as which the Rollout was judged: another one may preview something else
}

// Guard puts GuardAnnotation on a Rollout, or takes it away.
type Guard struct {
	Rollout string
	Release string // "" takes it away
}

// SetImage sets the image of a container in what has the Rollout's template,
// and in the same write what is to be put back for which release.
type SetImage struct {
	Rollout   string
	Container string
	Image     string
	Was       string // the image that was judged: another one is left alone
	Noted     string // FormerImageAnnotation as it was judged: another one is left alone
	Notes     string // what it is to be; "": none
}

// ForgetImage changes FormerImageAnnotation alone: there is less to put back.
type ForgetImage struct {
	Rollout string
	Noted   string // the annotation that was judged: another one is left alone
	Notes   string // what it is to be; "": none
}

func (PromoteRollout) deed() {}
func (Guard) deed()          {}
func (SetImage) deed()       {}
func (ForgetImage) deed()    {}

// Follow says what to do so that Argo follows what ordinary requests get: it
// promotes the pods that serve, so that they are the ones that autoscalers
// measure; it guards templates whose change would take a release's pods away;
// it puts back the images that were set for a release that was taken back, and
// sets them again when that one goes live once more. Releases are the fleet's
// objects.
func Follow(f *crd.Fleet, v Value, releases []*crd.Release, seen map[string]Seen) []Deed {
	var out []Deed
	for _, s := range f.Spec.Services {
		r := seen[s.Name].Rollout
		if s.Fixed || r == nil || !r.Observed() || r.Spec.Strategy.BlueGreen == nil {
			continue
		}
		serves := v.Templates[v.State.DefaultVersion(s.Name)].Hash
		if hash, previews := r.Preview(); previews && hash == serves && r.Waits() {
			out = append(out, PromoteRollout{Rollout: r.Metadata.Name, ResourceVersion: r.Metadata.ResourceVersion})
		}
		if guard := guarding(v, s.Name, *r); guard != r.Metadata.Annotations[GuardAnnotation] {
			out = append(out, Guard{Rollout: r.Metadata.Name, Release: guard})
		}
		i := images{value: v, releases: releases, service: s.Name, seen: seen[s.Name]}
		if d, ok := i.back(); ok {
			out = append(out, d)
		} else if d, ok := i.again(); ok {
			out = append(out, d)
		}
	}
	return out
}

// guarding is the release whose pods Argo would scale down for a newer
// revision: it is previewed by Argo, and nobody has asked for another one.
func guarding(v Value, service string, r Rollout) string {
	for _, name := range slices.Sorted(maps.Keys(v.State.Releases)) {
		one := v.State.Releases[name]
		hash := v.Templates[one.Versions[service]].Hash
		if hash == "" || hash != r.Status.CurrentPodHash || hash == r.Active() || one.TakenBack() {
			continue
		}
		switch one.Phase {
		case release.Preparing, release.Previewing, release.Canary, release.Live:
			return name
		}
	}
	return ""
}
