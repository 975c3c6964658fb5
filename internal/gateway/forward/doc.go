// Package forward carries one request to an instance of a service and its
// answer back: the forwarding half of the gateway. It owns the connections
// towards instances, the choice among them, what is retried, streaming,
// trailers, informational answers, upgrades and the polite end of streams. It
// knows nothing of views, stamps, passes or logs: the pipeline around it
// decides what a request means, and this package imports nothing of ours but socket.
//
// A reader starts at [Forwarder.Forward].
//
// # Why not httputil.ReverseProxy
//
//   - Its upgrade path hijacks the client's connection and ignores what the
//     server had read already, so bytes sent along with the upgrade request
//     are lost.
//   - Its flush timer, and its flush for answers of unknown length, can split a
//     gRPC answer that consists of trailers only into two HEADERS frames, and a
//     client then sees another kind of answer.
//   - It offers no way to end a stream politely: a WebSocket wants a Close
//     frame at a frame boundary, an event stream a last event at an event
//     boundary.
//   - It cleans queries and passes panics on; here the request target travels
//     byte by byte and a broken answer is an error.
//
// # What the server around it must do
//
// Set [http.Server.DisableGeneralOptionsHandler], or "OPTIONS *" never gets
// here. Refuse CONNECT and upgrades to h2c. On an error that is [ErrBroken],
// panic with [http.ErrAbortHandler] once everything is logged: HTTP/2 has no
// other way to reset a stream. Wrappers of the ResponseWriter need an Unwrap
// method, as [http.ResponseController] wants it. Hand on the *http.Request that
// the server made: in a copy of it, trailers that an HTTP/1 client did not
// announce never show up.
//
// # What net/http does not let through
//
// Trailers that an HTTP/2 client did not announce; Content-Length on 304; the
// names in a service's "Connection: close, X-Hop", so that X-Hop travels on. A
// service that answers a request with "Expect: 100-continue" without asking for
// the body and without closing makes the transport fetch the body, which asks the
// client for it.
package forward
