// Package hold is where requests wait while a fleet is on hold: in order of
// their arrival, bounded in number, bytes and time, and resumed at a pace when
// it is over.
//
// It owns the order, the bounds and the waiting, and what of a request's body
// is kept meanwhile. Which requests a hold is for, and what becomes of those
// that may not wait, is the gateway's; nothing else of greenroom is imported.
//
// Start at Queue.
package hold

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// The ways in which waiting ends other than in going on.
var (
	// ErrFull is returned when no more requests, or no more bytes of them, fit.
	ErrFull = errors.New("no more requests can wait")
	// ErrTooLong is returned when a request has waited as long as one may.
	ErrTooLong = errors.New("the request has waited as long as one may")
	// ErrClosed is returned when the queue was closed: who serves it ends.
	ErrClosed = errors.New("nobody will see to it that requests go on")
)

// Limits bound what waits.
type Limits struct {
	Requests int           // at once
	Bytes    int64         // of headers and bodies, of all of them
	Wait     time.Duration // of each, while the hold is on
	Pace     int           // requests a second that are resumed afterwards; at least 1
}

// Queue is where requests wait. The zero value is not on hold. It is safe for
// concurrent use.
type Queue struct {
	mu     sync.Mutex
	on     bool
	closed bool
	limits Limits
	bytes  int64
	joined uint64      // how many ever did
	held   list.List   // of *Ticket, the oldest first: wait for the end of the hold
	due    list.List   // of *Ticket, the oldest first: wait for their turn
	end    *time.Timer // of the hold; nil: none is set
	turn   *time.Timer // of the next that are due; nil: nobody is
	since  time.Time   // when it was last anybody's turn
}

// Ticket is a request's place in the queue.
type Ticket struct {
	queue  *Queue
	what   any
	bytes  int64
	number uint64 // in the order of arrival
	joint  time.Time
	ready  chan struct{} // closed when the waiting ends
	err    error         // why, if not for going on; read after ready is closed
	in     *list.List    // that holds it; nil: none any more
	place  *list.Element
}

// Begin makes requests that join from now on wait, within limits, until the end
// time or until End. Zero stands for no end. Those whose turn has not come since
// the hold before wait again. Called again it changes limits and end.
func (q *Queue) Begin(l Limits, until time.Time, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.on, q.limits = true, l
	q.again()
	if q.end != nil {
		q.end.Stop()
		q.end = nil
	}
	if !until.IsZero() {
		var mine *time.Timer
		mine = time.AfterFunc(until.Sub(now), func() {
			q.mu.Lock()
			defer q.mu.Unlock()
			if q.end == mine { // it was not set anew meanwhile
				q.stop()
			}
		})
		q.end = mine
	}
}

// again lets those that are due wait for the end, in the order of arrival.
func (q *Queue) again() {
	if q.due.Len() == 0 {
		return
	}
	var all []*Ticket
	for _, l := range []*list.List{&q.held, &q.due} {
		for e := l.Front(); e != nil; e = e.Next() {
			all = append(all, e.Value.(*Ticket))
		}
		l.Init()
	}
	slices.SortStableFunc(all, func(x, y *Ticket) int { return cmp.Compare(x.number, y.number) })
	for _, t := range all {
		t.in, t.place = &q.held, q.held.PushBack(t)
	}
	q.turn.Stop()
	q.turn = nil
}

// End ends the hold: those who wait are resumed, the oldest first.
func (q *Queue) End() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stop()
}

func (q *Queue) stop() {
	q.on = false
	if q.end != nil {
		q.end.Stop()
		q.end = nil
	}
	q.sort(func(any) bool { return false })
}

// Keep resumes those for which held says no. It does not change whether the
// hold is on.
func (q *Queue) Keep(held func(what any) bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sort(held)
}

// sort makes it the turn of those who are not held any more.
func (q *Queue) sort(held func(what any) bool) {
	for e := q.held.Front(); e != nil; {
		next := e.Next()
		t := e.Value.(*Ticket)
		if !held(t.what) {
			q.held.Remove(e)
			t.in, t.place = &q.due, q.due.PushBack(t)
		}
		e = next
	}
	if q.due.Len() > 0 && q.turn == nil {
		q.since = time.Now()
		q.resume(1)
		q.wait()
	}
}

// grain is how exact the pace is: more often nobody is resumed.
const grain = 5 * time.Millisecond

// wait sets the next turn, if there is anybody to come.
func (q *Queue) wait() {
	if q.due.Len() == 0 {
		q.turn = nil
		return
	}
	var mine *time.Timer
	mine = time.AfterFunc(max(grain, q.beat()), func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.turn != mine {
			return // a hold has begun meanwhile
		}
		n := int(time.Since(q.since) / q.beat())
		q.since = q.since.Add(time.Duration(n) * q.beat())
		q.resume(n)
		q.wait()
	})
	q.turn = mine
}

// beat is the time between two that are resumed.
func (q *Queue) beat() time.Duration { return time.Second / time.Duration(max(1, q.limits.Pace)) }

// resume lets the n oldest go on.
func (q *Queue) resume(n int) {
	for ; n > 0 && q.due.Len() > 0; n-- {
		q.leave(q.due.Front().Value.(*Ticket), nil)
	}
}

// Join takes a request in that keeps so many bytes. what is given to the
// function of Keep. It fails with ErrFull or ErrClosed; where nothing is on
// hold, the ticket's wait is over at once.
func (q *Queue) Join(what any, bytes int64) (*Ticket, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := &Ticket{queue: q, what: what, joint: time.Now(), ready: make(chan struct{})}
	switch {
	case q.closed:
		return nil, ErrClosed
	case !q.on:
		close(t.ready)
		return t, nil
	case q.held.Len()+q.due.Len() >= q.limits.Requests || bytes > q.limits.Bytes-q.bytes:
		return nil, ErrFull
	}
	q.joined++
	t.bytes, t.number = bytes, q.joined
	q.bytes += bytes
	t.in, t.place = &q.held, q.held.PushBack(t)
	return t, nil
}

// Close turns away all that wait, and all that join later.
func (q *Queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, l := range []*list.List{&q.held, &q.due} {
		for l.Len() > 0 {
			q.leave(l.Front().Value.(*Ticket), ErrClosed)
		}
	}
}

// Waiting returns how many requests wait, and how many bytes they keep.
func (q *Queue) Waiting() (requests int, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.held.Len() + q.due.Len(), q.bytes
}

// leave takes a ticket out, for a reason or for going on.
func (q *Queue) leave(t *Ticket, err error) {
	if t.in == nil {
		return
	}
	t.in.Remove(t.place)
	t.in, t.place, t.err = nil, nil, err
	q.bytes -= t.bytes
	t.bytes = 0
	close(t.ready)
}

// Wait returns nil when it is the request's turn to go on. Otherwise it returns
// ErrTooLong, ErrFull (after Grow), ErrClosed, or what ended ctx.
func (t *Ticket) Wait(ctx context.Context) error {
	t.queue.mu.Lock()
	longest := time.NewTimer(t.queue.limits.Wait - time.Since(t.joint))
	t.queue.mu.Unlock()
	defer longest.Stop()
	for {
		select {
		case <-t.ready:
			return t.err
		case <-ctx.Done():
			t.end(ctx.Err(), false)
			<-t.ready
			return t.err
		case <-longest.C:
			t.end(ErrTooLong, true)
			longest.Reset(time.Second) // one whose turn was near may be held again
		}
	}
}

// end gives the place up, if the wait is not over; heldOnly leaves one whose
// turn is near.
func (t *Ticket) end(err error, heldOnly bool) {
	t.queue.mu.Lock()
	defer t.queue.mu.Unlock()
	if t.in != nil && (!heldOnly || t.in == &t.queue.held) {
		t.queue.leave(t, err)
	}
}

// Grow asks for room for more bytes. Where there is none, the wait ends with
// ErrFull, and it returns false.
func (t *Ticket) Grow(bytes int64) bool {
	t.queue.mu.Lock()
	defer t.queue.mu.Unlock()
	switch {
	case t.in == nil:
		return t.err == nil // on its way, and nobody counts any more
	case bytes > t.queue.limits.Bytes-t.queue.bytes:
		t.queue.leave(t, ErrFull)
		return false
	}
	t.bytes += bytes
	t.queue.bytes += bytes
	return true
}
