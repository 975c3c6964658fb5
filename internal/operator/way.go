package operator

import (
	"context"
	"sync"
	"time"

	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
)

// giveWay is how long, from its beginning, a switch that is on its way to the
// gateways keeps everything else waiting at most. For a large fleet istiod takes
// seconds; one that a gateway's pod does not take in has to be bounded.
const giveWay = 5 * time.Second

// way is kept clear for switches. istiod gathers changes until for a while none
// has come (PILOT_DEBOUNCE_AFTER, 100 ms), so whatever is written right behind a
// switch holds it up: the routes that follow it, and what Argo does when its
// Rollouts are promoted.
type way struct {
	mu    sync.Mutex
	taken int
	since time.Time     // when it was taken last
	clear chan struct{} // closed when nobody has taken the way; nil: nobody has
}

// take says that a switch is on its way, until leave is called.
func (w *way) take() (leave func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since = time.Now()
	if w.taken++; w.clear == nil {
		w.clear = make(chan struct{})
	}
	return sync.OnceFunc(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.taken--; w.taken == 0 {
			close(w.clear)
			w.clear = nil
		}
	})
}

// isTaken reports whether a switch is on its way.
func (w *way) isTaken() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.taken > 0
}

// await returns when no switch is on its way any more, or when the last one has
// had giveWay.
func (w *way) await(ctx context.Context) {
	w.mu.Lock()
	done, left := w.clear, giveWay-time.Since(w.since)
	w.mu.Unlock()
	if done == nil || left <= 0 {
		return
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// letPass keeps what a pass would write next out of the way of a switch: istiod
// gathers changes until none has come for a while, so that the routes of a large
// fleet, which follow every switch, would hold up the next one. What was for
// another default is left to the pass that comes: it would be written twice.
func (a *applier) letPass(ctx context.Context, v kubernetes.Value) error {
	if a.clear != nil {
		a.clear(ctx)
	}
	if a.value().State.Default != v.State.Default {
		return ErrOvertaken
	}
	return ctx.Err()
}
