package operator

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w way
		waits := func(want time.Duration) {
			t.Helper()
			began := time.Now()
			w.await(t.Context())
			if got := time.Since(began); got != want {
				t.Errorf("a round waited %v, want %v", got, want)
			}
		}
		waits(0)
		first, second := w.take(), w.take()
		time.AfterFunc(10*time.Millisecond, first)
		time.AfterFunc(20*time.Millisecond, second)
		waits(20 * time.Millisecond)
		waits(0)
		stuck := w.take()
		waits(giveWay)
		waits(0) // it has had its time
		stuck()
		stuck()
		waits(0)
	})
}
