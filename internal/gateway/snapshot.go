package gateway

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
	"github.com/greenroom-dev/greenroom/internal/route"
)

// Snapshot is everything a request needs. It is immutable once published or
// compiled, and swapped as one value, so that no request sees half of a change.
type Snapshot struct {
	Table       *route.Table[*forward.Pool]
	Edge        fleet.Edge
	StampHeader string // canonical form; DefaultStampHeader if empty
	Services    []fleet.Service
	Passes      map[string]PassRule // by release name
	Revoked     map[string]struct{} // pass IDs
	Hold        *Hold               // nil: none
	Callbacks   *Callbacks          // what may be called from outside
	Serving     string              // what ordinary requests get, as people are told it; "": by its release's name
	Pins        []Pin               // stamps besides the default that a pinned browser session may stay on

	once     sync.Once
	compiled *compiled
}

// DefaultStampHeader is the header that carries the stamp unless a fleet names
// another.
const DefaultStampHeader = "X-Greenroom-Release"

// Access is what a pass for a release opens at present.
type Access int

// The ways in which a pass can be met. The zero value denies.
const (
	Denied   Access = iota // no view, or none any more: 403
	Preview                // the view of PassRule.Stamp
	Ordinary               // what everybody gets; the pass is over and done with
)

// PassRule says what passes for a release open.
type PassRule struct {
	UID    string // of the release: a pass of a former one of that name is refused
	Access Access
	Stamp  string // of the view, for Preview
	Reason string // for Denied: why, as a sentence for the holder ("Release r42 was aborted.")
}

// Pin lets browser sessions stay on a view that is not the default any more.
type Pin struct {
	Stamp string
	Until time.Time
}

// compiled is what follows from a fleet's settings. It is shared by the
// snapshots that differ only in what a switch changes.
type compiled struct {
	routes   []compiledRoute
	services map[string]*service
	trusted  []netip.Prefix
}

type service struct {
	fleet.Service
	calls map[string]struct{} // nil: every other service
}

// Compile prepares s for the request path, at a cost that grows with the
// number of services and routes, and returns it. Publish calls it; calling it
// before keeps that cost out of a switch.
func (s *Snapshot) Compile() *Snapshot {
	s.once.Do(func() {
		if s.StampHeader == "" {
			s.StampHeader = DefaultStampHeader
		}
		if s.compiled != nil {
			return
		}
		c := &compiled{services: make(map[string]*service, len(s.Services)), trusted: s.Edge.TrustedProxies}
		for _, one := range s.Services {
			known := &service{Service: one}
			if one.Calls != nil {
				known.calls = make(map[string]struct{}, len(one.Calls))
				for _, callee := range one.Calls {
					known.calls[callee] = struct{}{}
				}
			}
			c.services[one.Name] = known
		}
		for _, r := range s.Edge.Routes {
			c.routes = append(c.routes, compileRoute(r))
		}
		s.compiled = c
	})
	return s
}

// Switch is what a promotion or a rollback changes of a Snapshot.
type Switch struct {
	Default string              // stamp; must be a view of the table
	Passes  map[string]PassRule // replaces the former
	Pins    []Pin               // replaces the former
	Hold    *Hold               // replaces the former
	Serving string              // what Default's view is called on pages
}

// With returns a compiled Snapshot that differs from s only by the switch. Its
// cost does not depend on the number of services. It fails when the table has
// no view of that stamp.
func (s *Snapshot) With(w Switch) (*Snapshot, error) {
	s.Compile()
	table, err := s.Table.WithDefault(w.Default)
	if err != nil {
		return nil, fmt.Errorf("switching to %s: %w", w.Default, err)
	}
	next := &Snapshot{
		Table:       table,
		Edge:        s.Edge,
		StampHeader: s.StampHeader,
		Services:    s.Services,
		Passes:      w.Passes,
		Revoked:     s.Revoked,
		Callbacks:   s.Callbacks,
		Pins:        w.Pins,
		Hold:        w.Hold,
		Serving:     w.Serving,
		compiled:    s.compiled,
	}
	return next.Compile(), nil
}

// Default returns the stamp of the view that ordinary requests get.
func (s *Snapshot) Default() string { return s.Table.Default() }

// mayCall reports whether the settings of now let a service call another.
// What is not known to be forbidden is allowed: a version may be older than
// the settings.
func (s *Snapshot) mayCall(caller, callee string) bool {
	known, ok := s.compiled.services[caller]
	if !ok || known.calls == nil {
		return true
	}
	_, ok = known.calls[callee]
	return ok
}

// Trusts reports whether what addr says in X-Forwarded-* is believed.
func (s *Snapshot) Trusts(addr netip.Addr) bool {
	addr = addr.Unmap()
	for _, p := range s.compiled.trusted {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// pinned returns the stamp that a browser session may stay on, "" for none.
func (s *Snapshot) pinned(stamp string, now time.Time) string {
	if stamp == "" || stamp == s.Default() {
		return stamp
	}
	for _, p := range s.Pins {
		if p.Stamp == stamp && now.Before(p.Until) && s.Table.Known(stamp) {
			return stamp
		}
	}
	return ""
}

// Pinned returns the stamp of the view that a browser session which names
// stamp gets at a time: that one while it is the default or pinned, else the
// default.
func (s *Snapshot) Pinned(stamp string, now time.Time) string {
	if kept := s.pinned(stamp, now); kept != "" {
		return kept
	}
	return s.Default()
}

// ReleaseOf returns the release that a stamp belongs to: r42 for r42.2.
func ReleaseOf(stamp string) string {
	name, _, _ := strings.Cut(stamp, ".")
	return name
}

// serviceOf returns the service of a version ID.
func serviceOf(version string) string {
	name, _, _ := strings.Cut(version, "@")
	return name
}
