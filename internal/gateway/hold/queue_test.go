package hold_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway/hold"
)

var usual = hold.Limits{Requests: 100, Bytes: 1000, Wait: time.Minute, Pace: 10}

// went is in which order, and how long after the beginning, requests went on.
type went struct {
	mu    sync.Mutex
	begin time.Time
	order []int
	after []time.Duration
	errs  []error
}

// join has the n-th request wait in a goroutine of its own.
func (w *went) join(t *testing.T, q *hold.Queue, ctx context.Context, n int) {
	t.Helper()
	ticket, err := q.Join(n, 1)
	if err != nil {
		t.Fatalf("request %d: %v", n, err)
	}
	go func() {
		err := ticket.Wait(ctx)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.order, w.after, w.errs = append(w.order, n), append(w.after, time.Since(w.begin)), append(w.errs, err)
	}()
}

// sum returns what has gone on so far.
func (w *went) sum() (order []int, after []time.Duration, errs []error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.order), slices.Clone(w.after), slices.Clone(w.errs)
}

func first(order []int, _ []time.Duration, _ []error) []int { return order }

func TestOldestFirstAtAPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q hold.Queue
		w := went{begin: time.Now()}
		q.Begin(usual, time.Now().Add(20*time.Second), time.Now())
		for n := range 25 {
			w.join(t, &q, t.Context(), n)
			time.Sleep(time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		if n, bytes := q.Waiting(); n != 25 || bytes != 25 || len(first(w.sum())) > 0 {
			t.Fatalf("%d wait with %d bytes, %v went on", n, bytes, first(w.sum()))
		}
		time.Sleep(15 * time.Second)
		synctest.Wait()
		order, afters, errs := w.sum()
		if !slices.IsSorted(order) || len(order) != 25 {
			t.Errorf("the order is %v", order)
		}
		for n, after := range afters {
			if want := 20*time.Second + time.Duration(n)*100*time.Millisecond; after != want || errs[n] != nil {
				t.Errorf("request %d went on after %s with %v, want %s", n, after, errs[n], want)
			}
		}
		if n, bytes := q.Waiting(); n != 0 || bytes != 0 {
			t.Errorf("%d wait with %d bytes", n, bytes)
		}
	})
}

func TestFastPaceIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q hold.Queue
		w := went{begin: time.Now()}
		l := usual
		l.Requests, l.Bytes, l.Pace = 5000, 5000, 2000
		q.Begin(l, time.Time{}, time.Now())
		for n := range 5000 {
			w.join(t, &q, t.Context(), n)
		}
		q.End()
		time.Sleep(time.Second)
		synctest.Wait()
		if n := len(first(w.sum())); n < 1990 || n > 2001 {
			t.Errorf("%d went on in a second, at a pace of 2000", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n, _ := q.Waiting(); n != 0 {
			t.Errorf("%d wait still", n)
		}
	})
}

func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q hold.Queue
		l := usual
		l.Requests, l.Bytes = 3, 10
		q.Begin(l, time.Time{}, time.Now())
		first, err := q.Join(1, 8)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.Join(2, 3); !errors.Is(err, hold.ErrFull) {
			t.Errorf("more bytes than fit: %v", err)
		}
		if first.Grow(2) != true || first.Grow(1) != false {
			t.Error("a request grows beyond the bound")
		}
		if err := first.Wait(t.Context()); !errors.Is(err, hold.ErrFull) {
			t.Errorf("the request that outgrew the bound: %v", err)
		}
		for n := range 3 {
			if _, err := q.Join(n, 0); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := q.Join(4, 0); !errors.Is(err, hold.ErrFull) {
			t.Errorf("more requests than fit: %v", err)
		}
	})
}

func TestWaitsNoLongerThanMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q hold.Queue
		w := went{begin: time.Now()}
		q.Begin(usual, time.Now().Add(40*time.Second), time.Now())
		w.join(t, &q, t.Context(), 1)
		time.Sleep(30 * time.Second)
		w.join(t, &q, t.Context(), 2)
		q.Begin(usual, time.Now().Add(40*time.Second), time.Now()) // it is begun again
		time.Sleep(time.Minute)
		synctest.Wait()
		order, after, errs := w.sum()
		if !slices.Equal(order, []int{1, 2}) || after[0] != time.Minute || !errors.Is(errs[0], hold.ErrTooLong) ||
			after[1] != 70*time.Second || errs[1] != nil {
			t.Errorf("%v after %v with %v", order, after, errs)
		}
	})
}

func TestWhoLeftGivesTheirPlaceUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q hold.Queue
		w := went{begin: time.Now()}
		q.Begin(usual, time.Time{}, time.Now())
		ctx, leave := context.WithCancel(t.Context())
		w.join(t, &q, ctx, 1)
		w.join(t, &q, t.Context(), 2)
		leave()
		synctest.Wait()
		order, _, errs := w.sum()
		if n, _ := q.Waiting(); n != 1 || !slices.Equal(order, []int{1}) || !errors.Is(errs[0], context.Canceled) {
			t.Errorf("%d wait; %v ended with %v", n, order, errs)
		}
		q.End()
		synctest.Wait()
		if _, after, errs := w.sum(); len(after) != 2 || after[1] != 0 || errs[1] != nil {
			t.Errorf("the other went on after %v with %v", after, errs)
		}
	})
}

// A hold that begins while former ones go on keeps those whose turn has not
// come, before all that joined later.
func TestHoldOverAHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q hold.Queue
		w := went{begin: time.Now()}
		q.Begin(usual, time.Time{}, time.Now())
		for n := range 4 {
			w.join(t, &q, t.Context(), n)
		}
		q.End()
		time.Sleep(150 * time.Millisecond) // two have gone on
		q.Begin(usual, time.Time{}, time.Now())
		w.join(t, &q, t.Context(), 9)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if order := first(w.sum()); !slices.Equal(order, []int{0, 1}) {
			t.Fatalf("%v went on", order)
		}
		q.End()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if order := first(w.sum()); !slices.Equal(order, []int{0, 1, 2, 3, 9}) {
			t.Errorf("the order is %v", order)
		}
	})
}

func TestKeepLetsOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q hold.Queue
		w := went{begin: time.Now()}
		q.Begin(usual, time.Time{}, time.Now())
		for n := range 6 {
			w.join(t, &q, t.Context(), n)
		}
		q.Keep(func(what any) bool { return what.(int)%2 == 0 })
		time.Sleep(time.Second)
		synctest.Wait()
		if order := first(w.sum()); !slices.Equal(order, []int{1, 3, 5}) {
			t.Errorf("%v went on", order)
		}
		q.Close()
		synctest.Wait()
		_, _, errs := w.sum()
		if n, bytes := q.Waiting(); n != 0 || bytes != 0 || len(errs) != 6 || !errors.Is(errs[5], hold.ErrClosed) {
			t.Errorf("%d wait with %d bytes; %v", n, bytes, errs)
		}
		if _, err := q.Join(7, 0); !errors.Is(err, hold.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestNothingWaitsWithoutAHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q hold.Queue
		ticket, err := q.Join(1, 1<<40)
		if err != nil {
			t.Fatal(err)
		}
		if err := ticket.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
