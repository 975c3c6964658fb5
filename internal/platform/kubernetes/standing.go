package kubernetes

import (
	"fmt"
	"slices"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// Standing is how a Release object stands to the state.
type Standing int

// The standings of a Release.
const (
	// Unopened: it is new, or its spec has changed. It is to be opened.
	Unopened Standing = iota
	// Opened: the state has its content.
	Opened
	// Stuck: the state has its content, and that has failed. It is opened again
	// when somebody asks for it, or when its Rollouts preview something else.
	Stuck
	// Denied: it cannot be opened as it is.
	Denied
	// Over: it has ended, and nothing is done for it any more, even when the
	// state has forgotten it.
	Over
)

// StandingOf says how a Release stands to the state. The error, a
// *release.Refused, says why a Denied one cannot be opened.
func StandingOf(r *crd.Release, v Value) (Standing, error) {
	known, there := v.State.Releases[r.Name]
	mine := there && known.UID == string(r.UID)
	uid, wasLive := v.State.Live[r.Name]
	switch {
	case mine && !known.Phase.Ended():
		return standingUnderWay(r, known, v.Opened[r.Name] == r.Generation)
	case there && !known.Phase.Ended():
		return Denied, &release.Refused{Rule: "name", Remedy: "end that one (kubectl greenroom release abort, or settle), or choose another name",
			Reason: fmt.Sprintf("another Release of the name %s (uid %s) is %s", r.Name, known.UID, known.Phase)}
	case wasLive && uid == string(r.UID):
		return Over, nil
	case wasLive:
		return Denied, &release.Refused{Rule: "name", Remedy: "choose another name",
			Reason: fmt.Sprintf("%s was live before (uid %s), and a name is not used twice", r.Name, uid)}
	case mine && (v.Opened[r.Name] == r.Generation || r.Status.Phase != string(known.Phase)):
		return Over, nil
	case r.Status.Phase != "" && r.Status.ObservedGeneration >= r.Generation: // of an end that was told, or forgotten before it was
		return Over, nil
	}
	return Unopened, nil
}

// standingUnderWay is the standing of a Release that has not ended. current:
// the state has its content.
func standingUnderWay(r *crd.Release, known release.Release, current bool) (Standing, error) {
	switch {
	case current && known.Phase == release.Failed:
		return Stuck, nil
	case current:
		return Opened, nil
	}
	switch known.Phase {
	case release.Preparing, release.Previewing, release.Failed:
		return Unopened, nil
	}
	return Denied, &release.Refused{Rule: "phase", Remedy: "open another release for the change",
		Reason: fmt.Sprintf("%s is %s, and what was changed in its spec since it was opened is not taken in", r.Name, known.Phase)}
}

// PreviewsOther reports whether everything is there to open a Release that the
// state knows, with other versions than it has.
func PreviewsOther(r *crd.Release, f *crd.Fleet, v Value, seen map[string]Seen) bool {
	o, _, missing := Opening(r, f, seen)
	if len(missing) > 0 {
		return false
	}
	known := v.State.Releases[r.Name].Versions
	return len(o.Versions) != len(known) || slices.ContainsFunc(o.Versions, func(one release.Version) bool {
		return known[one.Service] != one.ID || v.State.Versions[one.ID].Digest != one.Digest
	})
}

// endedStatus is the status of a Release that has ended and that the state has
// forgotten: what was told last. If that was not the end itself, the end is
// the one that such a release can have come to.
func endedStatus(old crd.ReleaseStatus) crd.ReleaseStatus {
	switch phase := release.Phase(old.Phase); {
	case phase.Ended():
		return old
	case phase == release.Live || phase == release.Settling: // one that is rolled back keeps its view, and is told of, for a while
		old.Phase = string(release.Settled)
	default:
		old.Phase = string(release.Aborted)
	}
	old.Reason, old.Until = "", nil
	return old
}
