// Package httpapi is greenroom's API over HTTP: JSON, described by OpenAPI
// 3.1, with problems as RFC 9457 says, and streams of server-sent events.
//
// It owns paths, what each of them asks to do, and how errors become problems.
// Two interfaces, which it consumes, have the rest: Operations does what is
// asked for, and Access knows who callers are and what they may do (ByRole is
// the embedded engine's). It imports no platform, no gateway and no store of
// its own. The wire's types are those of the client package.
//
// Start at New; the list of operations is in routes.go.
package httpapi

//go:generate go test -count=1 -run OpenAPIUpToDate . -update
