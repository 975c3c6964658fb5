//go:build e2e

package e2e

import (
	"fmt"
	"testing"
	"time"
)

// switches is how often the comparisons go from one release to another and
// back: half of them promotions, half of them rollbacks.
const switches = 10

// argoOneByOne goes live with three services as one does without greenroom:
// Argo promotes one Rollout after the other, as fast as a script can. It
// asserts only that it was seen to work, and prints what it came to, to be read
// beside what greenroom comes to.
func (s *stage) argoOneByOne(t *testing.T) {
	f := newFleet("onebyone")
	s.place(t, f)
	tr := s.traffic(t, f, "/", released())
	tr.answered(t, s, 200)
	type one struct {
		at      time.Time
		version string
	}
	var done []one
	for i := range switches {
		version := "v2"
		if i%2 == 1 {
			version = "v1"
		}
		at := time.Now()
		s.setImages(t, f, version)
		if version == "v2" { // on the way back Argo takes the pods, still warm, without a pause
			for _, name := range released() {
				s.awaitReady(t, f, name)
			}
			at = time.Now()
			for _, name := range released() {
				s.promoteByHand(t, f.Namespace, name)
			}
		}
		done = append(done, one{at, version})
		s.await(t, "requests of "+version+" alone", time.Minute, func() error { return s.serves(f, version) })
		tr.answered(t, s, 200)
	}
	done = append(done, one{at: time.Now()})
	r := tr.stop()
	var longest time.Duration
	for i, d := range done[:switches] {
		first, last := r.switched(d.at, done[i+1].at, d.version)
		longest = max(longest, last-first)
	}
	t.Logf("Argo one by one: %s; from the first request of the new release to the last of the old one up to %s",
		r, longest.Round(time.Millisecond))
	t.Logf("the first of them: %v", r.trouble())
	for _, version := range []string{"v1", "v2"} {
		if r.versions[version] == 0 {
			t.Errorf("%s never answered alone", version)
		}
	}
}

// serves complains unless a request is answered by one version of all that
// releases change.
func (s *stage) serves(f *fleet, version string) error {
	r, err := s.ask(f, "/", nil)
	if err != nil {
		return err
	}
	if got, mixed := versionOf(r, released()); got != version || mixed {
		return fmt.Errorf("%d: %s", r.status, r.Answer)
	}
	return nil
}

// setImages changes the templates of all that releases change, one after the
// other.
func (s *stage) setImages(t *testing.T, f *fleet, version string) {
	t.Helper()
	for _, name := range released() {
		s.setImage(t, f, name, version)
	}
}
