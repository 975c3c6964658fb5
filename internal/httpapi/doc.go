// Package httpapi is greenroom's API over HTTP: JSON, described by OpenAPI
// 3.1, with problems as RFC 9457 says, and streams of server-sent events.
//
// It owns paths, roles, who a caller is, and how errors become problems. What
// the operations do is behind the Operations interface, which it consumes; it
// imports no platform, no gateway and no store of its own. The wire's types
// are those of the client package.
//
// Start at New; the list of operations is in routes.go.
package httpapi

//go:generate go test -count=1 -run OpenAPIUpToDate . -update
