package kubernetes

import (
	"maps"
	"slices"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// Observe says how the versions are doing. How many pods there are to be is
// Argo's and the autoscaler's business, so a version has always been asked for
// as many as the State says. A version that is not wanted any more is stopping,
// since only Argo ends pods and needs no telling, and gone with its last pod.
func Observe(f *crd.Fleet, v Value, seen map[string]Seen) map[string]release.VersionStatus {
	out := make(map[string]release.VersionStatus, len(v.State.Versions))
	desired := v.State.Desired()
	fixed := make(map[string]bool, len(f.Spec.Services))
	for i := range f.Spec.Services {
		fixed[f.Spec.Services[i].Name] = f.Spec.Services[i].Fixed
	}
	for _, id := range slices.Sorted(maps.Keys(v.State.Versions)) {
		version := v.State.Versions[id]
		_, wanted := slices.BinarySearch(desired, id)
		if fixed[version.Service] && !wanted {
			out[id] = release.VersionStatus{Stopping: true, Gone: true} // nobody here knows its pods
			continue
		}
		if fixed[version.Service] {
			out[id] = release.VersionStatus{Ready: max(1, version.Replicas), Replicas: version.Replicas}
			continue
		}
		one := seen[version.Service]
		hash := v.Templates[id].Hash
		if hash == "" {
			continue // its pods have not been found yet
		}
		pods, runs := one.Pods[hash]
		switch {
		case !runs && wanted:
			out[id] = release.VersionStatus{Replicas: version.Replicas, Failed: whyMissing(one, hash)}
		case !runs:
			out[id] = release.VersionStatus{Stopping: true, Gone: true}
		default:
			status := release.VersionStatus{Ready: pods.Ready, Replicas: version.Replicas, Stopping: !wanted}
			if !v.Templates[id].Same(hash, pods) {
				status.Ready = 0
			}
			if pods.Ready == 0 && degraded(one) {
				status.Failed = pods.Trouble.String()
			}
			out[id] = status
		}
	}
	return out
}

func degraded(s Seen) bool { return s.Rollout != nil && s.Rollout.Status.Phase == phaseDegraded }

// whyMissing says why a wanted version has no pods, "" while they may come.
func whyMissing(s Seen, hash string) string {
	switch {
	case s.Rollout == nil:
		return "its Rollout does not exist"
	case s.Rollout.Observed() && s.Rollout.Status.CurrentPodHash != hash && s.Rollout.Active() != hash:
		return "its Rollout has another template now, and its pods are gone"
	}
	return ""
}

func serviceOf(f *crd.Fleet, name string) (crd.Service, bool) {
	i := slices.IndexFunc(f.Spec.Services, func(s crd.Service) bool { return s.Name == name })
	if i < 0 {
		return crd.Service{}, false
	}
	return f.Spec.Services[i], true
}
