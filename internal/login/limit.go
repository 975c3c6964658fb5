package login

import (
	"net/netip"
	"sync"
	"time"
)

// How often a login may fail: so many times in a row, and once more every
// refill. All addresses together have their own, larger share, so that many
// addresses do not help.
const (
	failures    = 10
	allFailures = 100
	refill      = 6 * time.Second
	allRefill   = 600 * time.Millisecond
	maxAddrs    = 10_000
)

// Limit bounds failed logins by address. It is safe for concurrent use.
type Limit struct {
	now   func() time.Time
	mu    sync.Mutex
	addrs map[netip.Prefix]*bucket
	all   bucket
}

// bucket is how much of a share is used, as of some time.
type bucket struct {
	used float64
	at   time.Time
}

func (b *bucket) leak(now time.Time, every time.Duration) {
	b.used = max(0, b.used-float64(now.Sub(b.at))/float64(every))
	b.at = now
}

// NewLimit returns a Limit that nothing has been counted in.
func NewLimit(now func() time.Time) *Limit {
	return &Limit{now: now, addrs: map[netip.Prefix]*bucket{}}
}

// Wait returns how long somebody at an address has to wait until they may try;
// 0 for not at all.
func (l *Limit) Wait(from netip.Addr) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	wait := l.all.wait(now, allFailures, allRefill)
	if b, ok := l.addrs[network(from)]; ok {
		wait = max(wait, b.wait(now, failures, refill))
	}
	return wait
}

func (b *bucket) wait(now time.Time, most float64, every time.Duration) time.Duration {
	b.leak(now, every)
	if over := b.used - (most - 1); over > 0 {
		return max(time.Second, time.Duration(over*float64(every)))
	}
	return 0
}

// Failed counts a login that failed. It reports whether it was the last that is
// let through for now.
func (l *Limit) Failed(from netip.Addr) (last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.all.leak(now, allRefill)
	l.all.used++
	key := network(from)
	b, ok := l.addrs[key]
	if !ok {
		if len(l.addrs) >= maxAddrs {
			l.prune(now)
		}
		b = &bucket{at: now}
		l.addrs[key] = b
	}
	b.leak(now, refill)
	b.used++
	return b.used > failures-1
}

// prune forgets addresses that have nothing counted, and all of them when none
// has: the share of all together still holds.
func (l *Limit) prune(now time.Time) {
	for key, b := range l.addrs {
		if b.leak(now, refill); b.used == 0 {
			delete(l.addrs, key)
		}
	}
	if len(l.addrs) >= maxAddrs {
		clear(l.addrs)
	}
}

// network is what one person has: an IPv4 address, or a /64 of IPv6.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
