package system

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/greenroom-dev/greenroom/client"
)

// switches judges answers against what was switched when: a request that was
// sent after a switch returned, and answered before the next began, must have
// met what that switch brought.
type switches struct {
	begun, done atomic.Int64 // counts of switches
	strict      atomic.Int64 // answers for which only one view was right
}

// to makes a switch; even ones bring v1, odd ones v2.
func (w *switches) to(change func()) {
	w.begun.Add(1)
	change()
	w.done.Add(1)
}

func (w *switches) version(n int64) string { return fmt.Sprintf("v%d", 1+n%2) }

// ask sends one request and judges its answer.
func (w *switches) ask(s *system) error {
	sent := w.done.Load()
	got, err := s.try("GET", "/")
	if err != nil {
		return err
	}
	if got.status != 200 {
		return fmt.Errorf("status %d: %s", got.status, got.body)
	}
	if w.begun.Load() != sent {
		return anyWhole(got)
	}
	w.strict.Add(1)
	if want := whole(w.version(sent)); got.body != want {
		return fmt.Errorf("sent after switch %d had returned, and answered %q, want %q", sent, got.body, want)
	}
	return nil
}

// TestNoRequestAfterAPromotionMeetsTheFormerRelease switches to and fro under
// load, by the API many times and by the command line some.
func TestNoRequestAfterAPromotionMeetsTheFormerRelease(t *testing.T) {
	t.Parallel()
	s := newSystem(t, path4).start()
	s.open("r1", three("v2"))
	w := &switches{}
	var stopped atomic.Bool
	failed := make(chan error, 4)
	for range cap(failed) {
		go func() {
			var err error
			for err == nil && !stopped.Load() {
				err = w.ask(s)
			}
			failed <- err
		}()
	}
	judged := func() { // nobody's turn to switch until some requests were judged
		want := w.strict.Load() + 4
		s.eventually("requests are judged", func() error {
			if got := w.strict.Load(); got < want && len(failed) == 0 {
				return fmt.Errorf("%d of %d", got, want)
			}
			return nil
		})
	}
	for n := range 60 {
		byHand := n%6 == 0
		w.to(func() {
			var err error
			switch {
			case byHand && n%2 == 0:
				s.must("promote", "r1", "--yes")
			case byHand:
				s.must("rollback", "--yes")
			case n%2 == 0:
				_, err = s.api.Promote(t.Context(), "r1", client.Promote{})
			default:
				_, err = s.api.Rollback(t.Context(), "r1", client.Asked{})
			}
			if err != nil {
				t.Errorf("switch %d: %v", n, err)
			}
		})
		judged()
		if len(failed) > 0 {
			break
		}
	}
	stopped.Store(true)
	for range cap(failed) {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d switches, %d answers that only one view could give", w.done.Load(), w.strict.Load())
}
