package kubernetes

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// A Release is opened for each content of it once: what has ended, also when
// the state has forgotten it, and what has failed stay as they are.
func TestStanding(t *testing.T) {
	const mine, another = "uid-r1", "uid-other"
	for _, c := range []struct {
		name   string
		phase  release.Phase // as the state has it; "" where it has none
		uid    string        // of that
		live   string        // UID of what was live by this name
		opened int64
		told   string // the phase in its status
		of     int64  // the generation that the status is of
		want   Standing
	}{
		{name: "new", want: Unopened},
		{name: "new, and waits for its preview", of: 2, want: Unopened},
		{name: "previews", phase: release.Previewing, uid: mine, opened: 2, want: Opened},
		{name: "previews, and was changed", phase: release.Previewing, uid: mine, opened: 1, told: "Previewing", of: 2, want: Unopened},
		{name: "rolled back", phase: release.Previewing, uid: mine, live: mine, opened: 2, want: Opened},
		{name: "live", phase: release.Live, uid: mine, live: mine, opened: 2, want: Opened},
		{name: "live, and was changed", phase: release.Live, uid: mine, live: mine, opened: 1, want: Denied},
		{name: "failed", phase: release.Failed, uid: mine, opened: 2, want: Stuck},
		{name: "failed, and was changed", phase: release.Failed, uid: mine, opened: 1, want: Unopened},
		{name: "another is under way", phase: release.Previewing, uid: another, opened: 2, want: Denied},
		{name: "another has ended", phase: release.Aborted, uid: another, opened: 2, want: Unopened},
		{name: "another was live", live: another, want: Denied},
		{name: "another was live, and is known", phase: release.Settled, uid: another, live: another, opened: 2, want: Denied},
		{name: "settled", phase: release.Settled, uid: mine, live: mine, opened: 2, want: Over},
		{name: "settled, changed and forgotten", live: mine, told: "Settled", of: 1, want: Over},
		{name: "aborted", phase: release.Aborted, uid: mine, opened: 2, want: Over},
		{name: "aborted, and told", phase: release.Aborted, uid: mine, opened: 2, told: "Aborted", of: 2, want: Over},
		{name: "aborted for good after it was live", phase: release.Aborted, uid: mine, live: mine, opened: 1, told: "Aborted", of: 1, want: Over},
		{name: "aborted before its change was taken in", phase: release.Aborted, uid: mine, opened: 1, told: "Previewing", of: 2, want: Over},
		{name: "the same, and told", phase: release.Aborted, uid: mine, opened: 1, told: "Aborted", of: 2, want: Over},
		{name: "aborted, and changed since", phase: release.Aborted, uid: mine, opened: 1, told: "Aborted", of: 1, want: Unopened},
		{name: "aborted again before that was told", phase: release.Aborted, uid: mine, opened: 2, told: "Aborted", of: 1, want: Over},
		{name: "aborted and forgotten", told: "Aborted", of: 2, want: Over},
		{name: "aborted, forgotten and changed since", told: "Aborted", of: 1, want: Unopened},
		{name: "forgotten before its end was told", told: "Preparing", of: 2, want: Over},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &crd.Release{ObjectMeta: metav1.ObjectMeta{Name: "r1", UID: mine, Generation: 2}, Status: crd.ReleaseStatus{Phase: c.told, ObservedGeneration: c.of}}
			v := Value{State: release.State{Releases: map[string]release.Release{}, Live: map[string]string{}}, Opened: map[string]int64{}}
			if c.phase != "" {
				v.State.Releases["r1"] = release.Release{Name: "r1", UID: c.uid, Phase: c.phase}
				v.Opened["r1"] = c.opened
			}
			if c.live != "" {
				v.State.Live["r1"] = c.live
			}
			got, err := StandingOf(r, v)
			if got != c.want || (err != nil) != (got == Denied) {
				t.Errorf("%d (%v), want %d", got, err, c.want)
			}
		})
	}
}

// What is told of a Release that ended stays when the state forgets it.
func TestAForgottenReleaseKeepsItsStatus(t *testing.T) {
	w := newWorld(t, "api")
	w.open("r1", "api", "2")
	r := &crd.Release{ObjectMeta: metav1.ObjectMeta{Name: "r1", UID: types.UID(w.in.Value.State.Releases["r1"].UID), Generation: 1}}
	w.in.Value.Opened = map[string]int64{"r1": 1}
	tell := func() crd.ReleaseStatus { return ProjectRelease(r, w.in.Value, nil, nil, w.now) }
	r.Status = tell()
	shown := r.Status
	w.must(w.in.Value.State.Abort("r1", w.alice, w.now))
	r.Status = tell()
	if r.Status.Phase != "Aborted" || r.Status.ObservedGeneration != 1 {
		t.Fatalf("aborted: %+v", r.Status)
	}
	r.Generation = 2
	if r.Status = tell(); r.Status.ObservedGeneration != 1 {
		t.Errorf("what ended is told of generation %d, which was written later", r.Status.ObservedGeneration)
	}
	r.Generation = 1
	w.in.Value = w.in.Value.With(release.New(nil, nil, release.Settings{}, w.alice, w.now.Add(time.Hour)))
	if got := tell(); got.Phase != "Aborted" || got.Since == nil || len(got.Versions) != 1 || got.ObservedGeneration != 1 {
		t.Errorf("forgotten: %+v", got)
	}
	r.Status = shown
	if got := tell(); got.Phase != "Aborted" || got.ObservedGeneration != 1 {
		t.Errorf("forgotten before it was told: %+v", got)
	}
	r.UID = "uid-later"
	r.Status = crd.ReleaseStatus{}
	if got := tell(); got.Phase != "" {
		t.Errorf("a later one of the same name: %+v", got)
	}
}
