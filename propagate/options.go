package propagate

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"
)

// DefaultDeadline is how long work goes on after its client has left, unless
// [WithDeadline] says otherwise.
const DefaultDeadline = 30 * time.Second

const headerVariable = "GREENROOM_STAMP_HEADER"

// Option changes what the environment and the defaults say.
type Option func(*settings)

type settings struct {
	environ  func() []string
	getenv   func(string) string
	header   string
	hosts    Hosts
	deadline time.Duration
	base     context.Context
	writes   func(*http.Request) bool
	log      *slog.Logger
	term     int // how many leaves of this worker nobody heard of
}

func newSettings(opts []Option) settings {
	s := settings{
		environ:  os.Environ,
		getenv:   os.Getenv,
		deadline: DefaultDeadline,
		writes:   isWrite,
	}
	for _, o := range opts {
		o(&s)
	}
	if s.header == "" {
		s.header = headerFrom(s.getenv)
	}
	return s
}

// WithEnviron reads greenroom's variables from entries of the form "key=value"
// in place of the process's environment.
func WithEnviron(environ []string) Option {
	return func(s *settings) {
		s.environ = func() []string { return environ }
		s.getenv = func(key string) string {
			for i := len(environ) - 1; i >= 0; i-- {
				if k, v, ok := strings.Cut(environ[i], "="); ok && k == key {
					return v
				}
			}
			return ""
		}
	}
}

// WithHeader names the header of the stamp in place of GREENROOM_STAMP_HEADER.
// It panics if name is no header's name.
func WithHeader(name string) Option {
	if !isToken(name) {
		panic(fmt.Sprintf("propagate: %q is not the name of a header", name))
	}
	return func(s *settings) { s.header = http.CanonicalHeaderKey(name) }
}

// WithFleetHosts adds hosts to those that the environment names; [ParseHosts]
// has the patterns. It panics on what is none, since a typing error here would
// otherwise show up only as a dropped stamp.
func WithFleetHosts(patterns ...string) Option {
	hosts, err := ParseHosts(patterns...)
	if err != nil {
		panic("propagate: " + err.Error())
	}
	return func(s *settings) { s.hosts = s.hosts.join(hosts) }
}

// WithDeadline sets how long detached work may go on; see [Detach] and
// [Middleware] for when it begins to count. What is not above zero means
// [DefaultDeadline]: work without any end would keep its release's versions from
// stopping.
func WithDeadline(d time.Duration) Option {
	if d <= 0 {
		d = DefaultDeadline
	}
	return func(s *settings) { s.deadline = d }
}

// WithBase names the context whose end is the service's shutdown. Its end
// reaches all work, detached or not, with [context.Cause] of base as the cause.
// An HTTP server may have [Base] as its BaseContext instead; a gRPC server has
// no such field and needs this option.
func WithBase(base context.Context) Option {
	return func(s *settings) { s.base = base }
}

// WithWrites decides which requests outlive their client under the middleware,
// in place of the default: POST, PUT, PATCH and DELETE.
func WithWrites(writes func(*http.Request) bool) Option {
	return func(s *settings) { s.writes = writes }
}

// WithLogger logs, at level info, when background work is admitted to the stage
// and when it leaves, and, at level warn, why it waits. By default nothing is
// logged.
func WithLogger(log *slog.Logger) Option {
	return func(s *settings) { s.log = log }
}

func isWrite(r *http.Request) bool {
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return true
	}
	return false
}

// headerFrom falls back to the default on what cannot be a header's name: a
// request that has one is refused by net/http, and every call would fail.
func headerFrom(getenv func(string) string) string {
	if name := getenv(headerVariable); name != "" && isToken(name) {
		return http.CanonicalHeaderKey(name)
	}
	return Header
}

// isToken is the token of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return true
}
