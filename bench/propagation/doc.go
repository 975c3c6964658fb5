// Package propagation measures what the stamp costs a service per call, beside
// OpenTelemetry's baggage, which carries it too.
//
// It owns no code but its tests. Run it by `go test -bench . ./propagation` in
// bench, a module of its own so that what it compares with does not become a
// dependency of greenroom. Readers start at BenchmarkHop.
package propagation
