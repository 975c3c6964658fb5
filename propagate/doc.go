// Package propagate carries a request's stamp through a service: from the call
// that came in to the calls that go out, and into messages and background work.
//
// greenroom stamps every request at the edge with the view it belongs to (a
// release, "r42", or "baseline"), and every hop honours the stamp. A service
// that forgets it breaks the promise that one request never sees two releases.
// With this package it is two lines: [Middleware] around the handler and
// [Transport] (or [Client]) around the outgoing calls. Run outside greenroom the
// package does nothing: no stamp comes in, none goes out, and [OnStage] admits
// at once.
//
// The package owns the service's side of the stamp: header and W3C baggage
// member, the hosts that may see it, the contexts that carry it, what becomes of
// work when the client hangs up ([Detach]), and the question whether background
// work may run ([OnStage]). It does not choose versions, which is the mesh's
// task, and it does not trust or strip what comes from outside, which is the
// edge's.
//
// It imports the standard library alone and nothing else of greenroom, since it
// is linked into other people's services. gRPC is in the nested module
// propagate/grpc for the same reason.
//
// Readers start at [Propagator] in propagator.go; middleware.go and transport.go
// are the two ends of a call, lifetime.go says how long it lives, baggage.go has
// the wire format, and stage.go the background workers.
package propagate
