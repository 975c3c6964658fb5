// Package livetest starts services of the demo fleet for tests, each as it runs
// in production but for its address: a free port, wired by plain environment
// variables, with no greenroom in between.
//
// It owns starting, stopping and addresses; it asserts nothing but that services
// start and end well. Start at Fleet.
package livetest

import (
	"context"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/examples/live"
)

// Fleet is a running set of services that share a folder for their data.
type Fleet struct {
	Data string            // LIVE_DATA
	URL  map[string]string // by service
	stop map[string]func() error
	t    testing.TB
}

// Start starts all services, each in the version named for it, or else in v1.
func Start(t testing.TB, versions map[string]string) *Fleet {
	t.Helper()
	f := New(t, t.TempDir())
	for _, service := range []string{"wallet", "worker", "chat", "gift", "api", "web"} {
		version := versions[service]
		if version == "" {
			version = "v1"
		}
		f.Run(service, version, nil)
	}
	return f
}

// New returns a fleet without services.
func New(t testing.TB, data string) *Fleet {
	f := &Fleet{Data: data, URL: map[string]string{}, stop: map[string]func() error{}, t: t}
	t.Cleanup(func() {
		for service := range maps.Clone(f.stop) {
			f.Stop(service)
		}
	})
	return f
}

// Run starts one service, with env added to its environment, and waits until it
// listens.
func (f *Fleet) Run(service, version string, env map[string]string) {
	f.t.Helper()
	environ := map[string]string{"PORT": "0", "LIVE_DATA": f.Data}
	for callee, url := range f.URL {
		environ["GREENROOM_URL_"+strings.ToUpper(callee)] = url
	}
	maps.Copy(environ, env)
	ctx, cancel := context.WithCancel(context.Background())
	listening, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- live.Run(ctx, service, version, func(key string) string { return environ[key] }, slog.New(addresses{listening}))
	}()
	select {
	case address := <-listening:
		f.URL[service] = "http://" + address
	case err := <-ended:
		f.t.Fatalf("%s %s did not start: %v", service, version, err)
	}
	f.stop[service] = func() error { cancel(); return <-ended }
}

// Stop ends one service, gracefully, and fails the test if it does not end well.
func (f *Fleet) Stop(service string) {
	f.t.Helper()
	began := time.Now()
	if err := f.stop[service](); err != nil {
		f.t.Errorf("%s ended after %s with: %v", service, time.Since(began).Round(time.Millisecond), err)
	}
	delete(f.stop, service)
}

// addresses is a log handler that waits for the address a service announces.
type addresses struct{ listening chan<- string }

func (a addresses) Enabled(context.Context, slog.Level) bool { return true }
func (a addresses) WithAttrs([]slog.Attr) slog.Handler       { return a }
func (a addresses) WithGroup(string) slog.Handler            { return a }
func (a addresses) Handle(_ context.Context, r slog.Record) error {
	if r.Message != "listening" {
		return nil
	}
	r.Attrs(func(attr slog.Attr) bool {
		if attr.Key == "address" {
			a.listening <- attr.Value.String()
		}
		return true
	})
	return nil
}
