package propagate

import (
	"context"
	"net/http"
)

// Propagator holds what the environment and the options said, read once. It is
// immutable and safe for concurrent use. The functions of the package each make
// one; a service that has several clients or servers can make one itself, and
// whoever carries the stamp over another protocol builds on [Propagator.Receive],
// [Propagator.Inject] and [Propagator.Contains], as propagate/grpc does.
type Propagator struct {
	settings
	environError error
}

// New reads the environment and the options.
func New(opts ...Option) *Propagator {
	p := &Propagator{settings: newSettings(opts)}
	hosts, err := HostsFromEnviron(p.environ())
	p.hosts = p.hosts.join(hosts)
	p.environError = err
	return p
}

// Err says which of greenroom's variables could not be read. Their hosts count
// as third parties, which is safe, and get no stamp, which a service may want to
// log at its start.
func (p *Propagator) Err() error { return p.environError }

// Header returns the name of the stamp's header in canonical form.
func (p *Propagator) Header() string { return p.header }

// Contains reports whether a call to hostport stays in the fleet; see
// [Hosts.Contains].
func (p *Propagator) Contains(scheme, hostport string) bool {
	return p.hosts.Contains(scheme, hostport)
}

// Receive begins the work for one incoming call: the context it returns has the
// stamp and the baggage that the carrier holds, and the lifetime that
// [Middleware] describes, that of a write or that of a safe method. The function
// ends the work and must be called when it is done.
func (p *Propagator) Receive(ctx context.Context, c Carrier, write bool) (context.Context, context.CancelFunc) {
	return p.receive(ctx, readStamp(c.Get(p.header)), c.Get(BaggageKey), write)
}

func (p *Propagator) receive(ctx context.Context, stamp, baggage string, write bool) (context.Context, context.CancelFunc) {
	out, cancel := ctx, context.CancelFunc(nop)
	switch {
	case write:
		out, cancel = outliveClient(ctx, p.base, p.deadline)
	case p.base != nil:
		out, cancel = endWith(ctx, p.base)
	}
	return extract(out, stamp, baggage), cancel
}

func nop() {}

// Extract returns a copy of ctx with the stamp and the baggage of a message; see
// the function [Extract].
func (p *Propagator) Extract(ctx context.Context, c Carrier) context.Context {
	return extract(ctx, readStamp(c.Get(p.header)), c.Get(BaggageKey))
}

// Inject writes the stamp and the baggage of ctx to a message; see the function
// [Inject].
func (p *Propagator) Inject(ctx context.Context, c Carrier) { inject(ctx, c, p.header) }

// Remove takes the stamp out of what goes to a third party, and leaves the rest
// of its baggage as it is.
func (p *Propagator) Remove(c Carrier) {
	if c.Get(p.header) != "" {
		c.Set(p.header, "")
	}
	if b := c.Get(BaggageKey); b != "" {
		if without := rewriteBaggage(b, ""); without != b {
			c.Set(BaggageKey, without)
		}
	}
}

// Middleware wraps a handler; see the function [Middleware].
func (p *Propagator) Middleware(next http.Handler) http.Handler {
	return &middleware{p: p, next: next}
}

// Transport wraps a round tripper; see the function [Transport].
func (p *Propagator) Transport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &transport{p: p, base: base}
}

// Client returns a client whose calls carry the stamp; see the function [Client].
func (p *Propagator) Client(base *http.Client) *http.Client {
	var c http.Client
	if base != nil {
		c = *base
	}
	c.Transport = p.Transport(c.Transport)
	return &c
}

// Detach returns a context that outlives ctx; see the function [Detach].
func (p *Propagator) Detach(ctx context.Context) (context.Context, context.CancelFunc) {
	return detach(ctx, p.base, p.deadline)
}
