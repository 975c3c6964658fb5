// Package route decides which version of a service a call gets.
//
// It owns views (service → version), their stamps, and the Table that answers
// Lookup(service, stamp, caller). A Table is an immutable value, built whole
// from a Config and swapped in one step by whoever forwards requests; making
// another view the default copies a few words, however many services there
// are. The package is pure: no I/O, no clock, and no import of anything else
// of greenroom.
//
// Start at Table.Lookup, which holds the three rules of the stamp.
package route

import "fmt"

// View is a whole map from service to version under one stamp.
type View struct {
	Stamp    string
	Versions map[string]string // service → version ID
	Ending   bool              // takes no new requests at the edge; ends with its last request
}

// Config is everything a Table is built from.
type Config struct {
	Default string // stamp of the view that ordinary requests get; must be among Views
	Views   []View // stamps unique
}

// Reason says by which rule a call got its view.
type Reason uint8

// The rules, in the order in which they are tried. All but Honoured are
// outside greenroom's promise that one request sees one view.
const (
	Honoured  Reason = iota // the call carried the stamp of a view that holds its caller, or entered at the edge
	BySource                // no usable stamp; its caller is part of just one view in use
	Unstamped               // no stamp, and its caller is part of several views: the default's
	Unknown                 // an unknown, ended or foreign stamp, and no single view for its caller: the default's
)

// String returns the rule's name as metrics and events carry it.
func (r Reason) String() string {
	switch r {
	case Honoured:
		return "honoured"
	case BySource:
		return "source"
	case Unstamped:
		return "unstamped"
	case Unknown:
		return "unknown"
	}
	return fmt.Sprintf("Reason(%d)", uint8(r))
}

// Route is where a call goes.
type Route[T any] struct {
	Stamp   string // of the view the call belongs to from here on
	Version string // version ID
	Target  T
	Reason  Reason
}

// Table answers Lookup. T is what a caller needs of a version to forward to
// it. A Table never changes; it is safe for concurrent use.
type Table[T any] struct {
	services map[string]int // position in view.slots
	views    map[string]*view[T]
	callers  map[string]caller[T]
	def      *view[T]
}

type view[T any] struct {
	stamp string
	slots []slot[T]
}

type slot[T any] struct {
	version string // empty: the view has no such service
	target  T
}

type caller[T any] struct {
	service int
	sole    *view[T] // the one view in use that the version is part of; nil: several
}

// Build makes a Table. target gives what a version ID stands for and is called
// once per version. Build fails when the default is not among the views, a
// stamp occurs twice or is empty, or a version stands under two services.
func Build[T any](c Config, target func(version string) T) (*Table[T], error) {
	t := &Table[T]{
		services: make(map[string]int),
		views:    make(map[string]*view[T], len(c.Views)),
		callers:  make(map[string]caller[T]),
	}
	for _, v := range c.Views {
		for service := range v.Versions {
			if _, ok := t.services[service]; !ok {
				t.services[service] = len(t.services)
			}
		}
	}
	targets := make(map[string]T)
	uses := make(map[string]uses[T])
	for _, v := range c.Views {
		if v.Stamp == "" {
			return nil, fmt.Errorf("a view has no stamp")
		}
		if _, twice := t.views[v.Stamp]; twice {
			return nil, fmt.Errorf("stamp %s stands for two views", v.Stamp)
		}
		built := &view[T]{stamp: v.Stamp, slots: make([]slot[T], len(t.services))}
		t.views[v.Stamp] = built
		for service, version := range v.Versions {
			i := t.services[service]
			to, ok := targets[version]
			if !ok {
				to = target(version)
				targets[version] = to
			}
			built.slots[i] = slot[T]{version: version, target: to}
			u := uses[version]
			if u.in() && u.service != i {
				return nil, fmt.Errorf("version %s stands under two services", version)
			}
			uses[version] = u.add(i, built, v.Ending)
		}
	}
	for version, u := range uses {
		t.callers[version] = caller[T]{service: u.service, sole: u.sole()}
	}
	var ok bool
	if t.def, ok = t.views[c.Default]; !ok {
		return nil, fmt.Errorf("the default %q is not among the views", c.Default)
	}
	return t, nil
}

// uses counts the views that a version is part of. A view that is ending does
// not count while another holds the version.
type uses[T any] struct {
	service       int
	inUse, ending int
	last, lastEnd *view[T]
}

func (u uses[T]) in() bool { return u.inUse+u.ending > 0 }

func (u uses[T]) add(service int, v *view[T], ending bool) uses[T] {
	u.service = service
	if ending {
		u.ending++
		u.lastEnd = v
	} else {
		u.inUse++
		u.last = v
	}
	return u
}

func (u uses[T]) sole() *view[T] {
	switch {
	case u.inUse == 1:
		return u.last
	case u.inUse == 0 && u.ending == 1:
		return u.lastEnd
	}
	return nil
}

// WithDefault returns a Table that differs only in its default. The cost does
// not depend on the number of services or views.
func (t *Table[T]) WithDefault(stamp string) (*Table[T], error) {
	v, ok := t.views[stamp]
	if !ok {
		return nil, fmt.Errorf("no view has the stamp %q", stamp)
	}
	u := *t
	u.def = v
	return &u, nil
}

// Default returns the stamp of the view that ordinary requests get.
func (t *Table[T]) Default() string { return t.def.stamp }

// Known reports whether a view has this stamp.
func (t *Table[T]) Known(stamp string) bool {
	_, ok := t.views[stamp]
	return ok
}

// OnStage reports whether version is part of the default's view.
func (t *Table[T]) OnStage(version string) bool {
	c, ok := t.callers[version]
	return ok && t.def.slots[c.service].version == version
}

// Lookup decides which version of service a call gets. stamp is what the call
// carries ("" for none); caller is the ID of the version that makes the call,
// "" for a call that came in at the edge, where the stamp is greenroom's own.
//
//  1. A known stamp whose view contains the caller, or that came in at the
//     edge: that view.
//  2. Otherwise, a caller that is part of exactly one view in use: that view.
//  3. Otherwise the current default's.
//
// It is false when the view has no such service. Lookup does not allocate.
func (t *Table[T]) Lookup(service, stamp, caller string) (Route[T], bool) {
	v, reason := t.choose(stamp, caller)
	i, ok := t.services[service]
	if !ok || v.slots[i].version == "" {
		return Route[T]{Stamp: v.stamp, Reason: reason}, false
	}
	s := &v.slots[i]
	return Route[T]{Stamp: v.stamp, Version: s.version, Target: s.target, Reason: reason}, true
}

func (t *Table[T]) choose(stamp, caller string) (*view[T], Reason) {
	v, known := t.views[stamp]
	if known && caller == "" {
		return v, Honoured
	}
	if caller != "" {
		if c, ok := t.callers[caller]; ok {
			if known && v.slots[c.service].version == caller {
				return v, Honoured
			}
			if c.sole != nil {
				return c.sole, BySource
			}
		}
	}
	if stamp == "" {
		return t.def, Unstamped
	}
	return t.def, Unknown
}
