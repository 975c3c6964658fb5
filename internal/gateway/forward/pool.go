package forward

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Protocol is what the instances of a service speak.
type Protocol int

const (
	// HTTP is HTTP/1.1: one request at a time per connection.
	HTTP Protocol = iota
	// GRPC is HTTP/2 in cleartext with prior knowledge: many requests share few
	// connections.
	GRPC
)

// String returns the name that documents use: "http" or "grpc".
func (p Protocol) String() string {
	if p == GRPC {
		return "grpc"
	}
	return "http"
}

// Instance is one process or pod that serves a version.
type Instance struct {
	// ID is unique among all instances, also over time.
	ID string
	// Addr is where it listens, host:port.
	Addr string
}

// How a Pool connects to each of its instances.
const (
	dialTimeout = 3 * time.Second // for one connection
	idleConns   = 256             // kept for later requests
	idleTimeout = 90 * time.Second
)

// Pool is the set of ready instances of one version, with the connections to
// them. It is safe for concurrent use; the request path takes no lock of it.
type Pool struct {
	service, version string
	protocol         Protocol

	inFlight atomic.Int64
	current  atomic.Pointer[[]*instance]

	mu       sync.Mutex // serializes Set and Close
	closed   bool
	retiring []*instance // removed, with requests under way when last looked at
}

// NewPool returns a pool without instances. Service and version are named in
// errors.
func NewPool(service, version string, p Protocol) *Pool {
	pool := &Pool{service: service, version: version, protocol: p}
	pool.current.Store(new([]*instance))
	return pool
}

// Service returns the name of the service.
func (p *Pool) Service() string { return p.service }

// Version returns the name of the version.
func (p *Pool) Version() string { return p.version }

// Protocol returns what the instances speak.
func (p *Pool) Protocol() Protocol { return p.protocol }

// Set replaces the set of instances. Those that stay, by ID and Addr, keep their
// connections. Requests under way on removed ones end undisturbed, and a removed
// one's connections are closed with the last of them. After Close it does
// nothing.
func (p *Pool) Set(instances []Instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.replace(instances)
	}
}

func (p *Pool) replace(instances []Instance) {
	old := *p.current.Load()
	next := make([]*instance, 0, len(instances))
	for _, want := range instances {
		same := func(i *instance) bool { return i.Instance == want }
		if slices.ContainsFunc(next, same) {
			continue
		}
		if at := slices.IndexFunc(old, same); at >= 0 {
			next = append(next, old[at])
			continue
		}
		next = append(next, newInstance(want, p.protocol))
	}
	p.current.Store(&next)
	for _, i := range old {
		if !slices.Contains(next, i) {
			i.retire()
			p.retiring = append(p.retiring, i)
		}
	}
	p.forgetIdle()
}

// forgetIdle drops removed instances whose last request has ended. Callers hold
// mu.
func (p *Pool) forgetIdle() {
	p.retiring = slices.DeleteFunc(p.retiring, func(i *instance) bool { return i.load.Load() == 0 })
}

// Busy reports whether requests are under way on an instance, by its ID, also
// after it was removed.
func (p *Pool) Busy(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgetIdle()
	busy := func(i *instance) bool { return i.ID == id && i.load.Load() > 0 }
	return slices.ContainsFunc(p.retiring, busy) || slices.ContainsFunc(*p.current.Load(), busy)
}

// Ready returns how many instances requests are spread over.
func (p *Pool) Ready() int { return len(*p.current.Load()) }

// InFlight returns how many requests are under way, on removed instances too.
// Upgraded connections and streams count until they end.
func (p *Pool) InFlight() int64 { return p.inFlight.Load() }

// Close removes all instances for good. Requests under way end undisturbed.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.replace(nil)
}

// acquire picks an instance that is not among tried, the less loaded of two
// random ones, and counts a request on it; the caller must release it. It
// returns nil when there is none left.
func (p *Pool) acquire(tried []*instance) *instance {
	for {
		i := pick(*p.current.Load(), tried)
		if i == nil || i.acquire() {
			return i
		}
		// It was removed in between; the set that is current by now lacks it.
	}
}

// pick is the power of two choices (Mitzenmacher 2001).
func pick(all, tried []*instance) *instance {
	if len(tried) > 0 {
		all = slices.DeleteFunc(slices.Clone(all), func(i *instance) bool { return slices.Contains(tried, i) })
	}
	switch n := len(all); n {
	case 0:
		return nil
	case 1:
		return all[0]
	default:
		a := rand.IntN(n)
		b := rand.IntN(n - 1)
		if b >= a {
			b++
		}
		if all[b].load.Load() < all[a].load.Load() {
			a = b
		}
		return all[a]
	}
}
