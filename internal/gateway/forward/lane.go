package forward

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway/socket"
)

// Lane is a connection to an instance that carries one HTTP/1.1 exchange at a
// time, written and read by whoever took it: the other way to an instance,
// beside a Forwarder's. One goroutine owns a Lane that is taken.
type Lane struct {
	socket.Conn
	Used bool      // it carried an exchange before
	Wake time.Time // when the read deadline that is set wakes a reader; zero: none is set

	idleSince time.Time
	spent     bool // it did not take what was written to it
}

// Write writes to the instance. A Lane that fails may still have an answer to
// be read, but Put does not keep it.
func (l *Lane) Write(b []byte) (int, error) {
	n, err := l.Conn.Write(b)
	l.spent = l.spent || err != nil
	return n, err
}

// Ask is socket.Conn's: a Lane that was used before is looked at, and one that
// takes no more is not kept.
func (l *Lane) Ask(out, in []byte) (wrote, n int, err error) {
	wrote, n, refused, err := l.Conn.Ask(out, in, l.Used)
	l.spent = l.spent || refused
	return wrote, n, err
}

// Spoilt reports whether an idle Lane must not be used again.
func (l *Lane) Spoilt() bool { return socket.Spoilt(l.Conn.Conn) }

// Turn is one request's hold on an instance, from Pool.Turn to Release.
type Turn struct{ instance *instance }

// Enter counts a request as under way, until Leave.
func (p *Pool) Enter() { p.inFlight.Add(1) }

// Leave ends what Enter began.
func (p *Pool) Leave() { p.inFlight.Add(-1) }

// Turn picks an instance that is not among tried, the less loaded of two random
// ones. It is false when there is none left.
func (p *Pool) Turn(tried []Turn) (Turn, bool) {
	var not []*instance
	for _, t := range tried {
		not = append(not, t.instance)
	}
	i := p.acquire(not)
	return Turn{i}, i != nil
}

// ID returns the instance's.
func (t Turn) ID() string { return t.instance.ID }

// Addr returns where the instance listens.
func (t Turn) Addr() string { return t.instance.Addr }

// Release ends the turn.
func (t Turn) Release() { t.instance.release() }

// Take returns an idle Lane, the one used last, or nil.
func (t Turn) Take(now time.Time) *Lane {
	for {
		l := t.instance.lanes.take()
		if l == nil || now.Sub(l.idleSince) < idleTimeout {
			return l
		}
		l.Close()
	}
}

// Dial opens a Lane. It gives up when ctx is done.
func (t Turn) Dial(ctx context.Context) (*Lane, error) {
	raw, err := t.instance.dialer.net.DialContext(ctx, "tcp", t.instance.Addr)
	if err != nil {
		return nil, dialError{err}
	}
	l := new(Lane)
	l.Open(raw)
	return l, nil
}

// Put keeps a Lane whose exchange has ended in good order for later ones, unless
// the instance has not taken all that was written, or is to get nothing more. It
// must come before Release.
func (t Turn) Put(l *Lane, now time.Time) {
	l.Used, l.idleSince = true, now
	if l.spent || t.instance.retired.Load() || !t.instance.lanes.put(l) {
		l.Close()
	}
}

// lanes are the idle Lanes of one instance, the last one first. Taking and
// putting takes no lock.
type lanes struct{ rack atomic.Pointer[rack] }

// rack is made with the first Lane: most instances of a large table never have
// one.
type rack struct {
	full, free stack
	next       [idleConns + 1]atomic.Uint32 // by slot: the slot below it, 0 for none
	slots      [idleConns + 1]*Lane         // whoever popped a slot owns it
	pruning    atomic.Bool
}

// stack is a stack of slots (Treiber 1986): the slot on top, and above it a
// count that tells one state from a later one that looks alike.
type stack struct{ head atomic.Uint64 }

func (s *stack) push(r *rack, slot uint32) {
	for {
		h := s.head.Load()
		r.next[slot].Store(uint32(h))
		if s.head.CompareAndSwap(h, (h>>32+1)<<32|uint64(slot)) {
			return
		}
	}
}

func (s *stack) pop(r *rack) uint32 {
	for {
		h := s.head.Load()
		slot := uint32(h)
		if slot == 0 {
			return 0
		}
		below := r.next[slot].Load()
		if s.head.CompareAndSwap(h, (h>>32+1)<<32|uint64(below)) {
			return slot
		}
	}
}

func newRack() *rack {
	r := new(rack)
	for slot := range uint32(idleConns) {
		r.free.push(r, slot+1)
	}
	return r
}

func (l *lanes) take() *Lane {
	r := l.rack.Load()
	if r == nil {
		return nil
	}
	slot := r.full.pop(r)
	if slot == 0 {
		return nil
	}
	one := r.slots[slot]
	r.slots[slot] = nil
	r.free.push(r, slot)
	return one
}

// put is false when there is no room.
func (l *lanes) put(one *Lane) bool {
	r := l.rack.Load()
	if r == nil {
		l.rack.CompareAndSwap(nil, newRack())
		r = l.rack.Load()
	}
	slot := r.free.pop(r)
	if slot == 0 {
		return false
	}
	r.slots[slot] = one
	r.full.push(r, slot)
	if !r.pruning.Load() && !r.pruning.Swap(true) {
		time.AfterFunc(pruneEvery, l.prune)
	}
	return true
}

// pruneEvery is how often idle Lanes are looked at, while there are any.
const pruneEvery = idleTimeout / 6

// prune closes the Lanes that were idle for too long, or that the instance has
// closed.
func (l *lanes) prune() {
	r := l.rack.Load()
	now := time.Now()
	var kept []*Lane
	for one := l.take(); one != nil; one = l.take() {
		if now.Sub(one.idleSince) >= idleTimeout || one.Spoilt() {
			one.Close()
			continue
		}
		kept = append(kept, one)
	}
	r.pruning.Store(false)
	for i := len(kept) - 1; i >= 0; i-- {
		if !l.put(kept[i]) {
			kept[i].Close()
		}
	}
}

// close closes what is idle.
func (l *lanes) close() {
	for one := l.take(); one != nil; one = l.take() {
		one.Close()
	}
}
