package propagate

import "net/http"

// Middleware keeps the stamp and the baggage of each request in its context,
// where [Transport], [Client] and [Inject] find them. The stamp is that of the
// header or else that of the baggage.
//
// It also decides how long the work of a request may last. Contexts are
// inherited, so that a client which hangs up cancels the calls of every service
// behind this one, and with them writes that are half done. Therefore the
// context of a write (POST, PUT, PATCH, DELETE; [WithWrites] decides otherwise)
// does not end when its client leaves, but [WithDeadline] later; as long as the
// client stays there is no deadline. [Disconnected] tells that it has left.
// Other requests are cancelled as ever. Server shutdown ends both, given [Base]
// or [WithBase]. All end when the handler returns; [Detach] is for what goes on.
//
// Only the context lives on: reading the body of a client that has left gives
// its error, and what is written to it is dropped.
func Middleware(next http.Handler, opts ...Option) http.Handler {
	return New(opts...).Middleware(next)
}

type middleware struct {
	p    *Propagator
	next http.Handler
}

func (m *middleware) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var stamp string
	if lines := r.Header[m.p.header]; len(lines) > 0 {
		stamp = readStamp(lines[0])
	}
	before := r.Context()
	ctx, cancel := m.p.receive(before, stamp, joinBaggage(r.Header[baggageHeader]), m.p.writes(r))
	defer cancel()
	if ctx != before {
		r = r.WithContext(ctx)
	}
	m.next.ServeHTTP(w, r)
}
