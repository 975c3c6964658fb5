package propagate

import (
	"context"
	"fmt"
	"net"
	"time"
)

// Detach returns a context for work that must not die with the client that
// asked for it: ctx's values without its cancellation and deadline. It ends
// [DefaultDeadline] from now, or after [WithDeadline]; with the server's
// shutdown, where that is known by [WithBase] or [Base]; or by the function
// returned, which must be called when the work is done.
//
// Under [Middleware] a write is detached already. Detach is for what goes on
// after its handler has returned.
func Detach(ctx context.Context, opts ...Option) (context.Context, context.CancelFunc) {
	s := newSettings(opts)
	return detach(ctx, s.base, s.deadline)
}

// Base returns a BaseContext for http.Server that tells a shutdown from a client
// that hangs up. net/http cancels a request's context for both, and nothing in
// that context says which it was; so the base is kept in the requests' contexts
// as a value, where the middleware finds it:
//
//	srv := &http.Server{Handler: propagate.Middleware(h), BaseContext: propagate.Base(ctx)}
//
// When ctx ends, the work of every request ends, writes too. Neither
// [http.Server.Shutdown], which waits for requests, nor [http.Server.Close],
// which hangs up on them, ends a context by itself: cancel ctx when the time for
// draining is over.
func Base(ctx context.Context) func(net.Listener) context.Context {
	return func(net.Listener) context.Context {
		return context.WithValue(ctx, baseKey{}, ctx)
	}
}

// Disconnected returns a channel that is closed when the client has left, also
// under a context that outlives the client. Under one that does not it is
// ctx.Done.
func Disconnected(ctx context.Context) <-chan struct{} {
	if client, ok := ctx.Value(clientKey{}).(context.Context); ok {
		return client.Done()
	}
	return ctx.Done()
}

type (
	baseKey   struct{}
	clientKey struct{}
)

// detach counts the deadline from now.
func detach(ctx, base context.Context, deadline time.Duration) (context.Context, context.CancelFunc) {
	if base == nil {
		base, _ = ctx.Value(baseKey{}).(context.Context)
	}
	out, cancel := context.WithTimeoutCause(withoutClient(ctx), deadline,
		fmt.Errorf("propagate: the deadline of %v for detached work is over: %w", deadline, context.DeadlineExceeded))
	if base == nil {
		return out, cancel
	}
	ended, cancelCause := context.WithCancelCause(out)
	stop := context.AfterFunc(base, func() { cancelCause(context.Cause(base)) })
	return ended, func() {
		stop()
		cancelCause(nil)
		cancel()
	}
}

// outliveClient counts the deadline from the moment that the client is gone: an
// upload or a stream of an hour is nobody's fault as long as somebody is at its
// other end.
func outliveClient(ctx, base context.Context, deadline time.Duration) (context.Context, context.CancelFunc) {
	if ctx.Value(clientKey{}) != nil {
		// Outlives its client already. Detaching it twice would forget who that is.
		if base != nil {
			return endWith(ctx, base)
		}
		return ctx, nop
	}
	inherited := false
	if base == nil {
		base, inherited = ctx.Value(baseKey{}).(context.Context)
	}
	out, cancel := context.WithCancelCause(withoutClient(ctx))
	var stopBase func() bool
	// A base that ctx inherits from ends ctx, and is looked at then. That spares
	// every request the lock on the one context that all have in common.
	if base != nil && (!inherited || ctx.Done() == nil) {
		stopBase = context.AfterFunc(base, func() { cancel(context.Cause(base)) })
	}
	stopClient := context.AfterFunc(ctx, func() { lastStretch(out, cancel, base, deadline) })
	return out, func() {
		stopClient()
		if stopBase != nil {
			stopBase()
		}
		cancel(nil)
	}
}

// lastStretch runs from the client's leaving to the end of the work.
func lastStretch(work context.Context, cancel context.CancelCauseFunc, base context.Context, deadline time.Duration) {
	var shutdown <-chan struct{}
	if base != nil {
		shutdown = base.Done()
	}
	timer := time.NewTimer(deadline)
	defer timer.Stop()
	select {
	case <-work.Done():
	case <-shutdown:
		cancel(context.Cause(base))
	case <-timer.C:
		cancel(fmt.Errorf("propagate: the client left %v ago, the deadline for its work is over: %w",
			deadline, context.DeadlineExceeded))
	}
}

// endWith returns a context that ends with either.
func endWith(ctx, base context.Context) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(base, func() { cancel(context.Cause(base)) })
	return out, func() {
		stop()
		cancel(nil)
	}
}

// withoutClient is context.WithoutCancel that remembers whose cancellation it
// has left out.
func withoutClient(ctx context.Context) context.Context {
	return &clientlessContext{Context: context.WithoutCancel(ctx), client: ctx}
}

type clientlessContext struct {
	context.Context
	client context.Context
}

func (c *clientlessContext) Value(key any) any {
	if key == (clientKey{}) {
		if first := c.Context.Value(key); first != nil {
			return first
		}
		return c.client
	}
	return c.Context.Value(key)
}
