package release

import (
	"slices"
	"strings"
	"time"
)

// Hold is what the edge keeps waiting, or turns away. It is part of the State,
// and not a record of its own, since it is to survive what the State survives,
// and ends by the time that Step is given. It keeps nobody from promoting: that is
// a Lock's business. What requests are told, and how many may wait, is the fleet's business.
type Hold struct {
	Mode   HoldMode    `json:"mode"`
	Routes []HoldRoute `json:"routes,omitempty"` // none: every request
	Since  time.Time   `json:"since"`
	Until  time.Time   `json:"until,omitzero"` // zero: until somebody ends it
	Actor
}

// HoldMode is what becomes of requests.
type HoldMode string

// The modes of a hold.
const (
	HoldWait   HoldMode = "wait"        // they wait until it is over
	HoldWrites HoldMode = "writes-only" // writes are turned away, reads go on
	HoldPage   HoldMode = "page"        // all are shown a page
)

// HoldModes are all there are.
func HoldModes() []HoldMode { return []HoldMode{HoldWait, HoldWrites, HoldPage} }

// HoldRoute is what a hold is for: a host's requests below a path, by whole
// segments.
type HoldRoute struct {
	Host string `json:"host,omitempty"` // a name, or *.name; empty: any
	Path string `json:"path,omitempty"` // empty: any
}

// String returns the route as people write it.
func (r HoldRoute) String() string { return r.Host + r.Path }

// Holding asks for a hold.
type Holding struct {
	Mode   HoldMode
	Routes []HoldRoute
	For    time.Duration // 0: until somebody ends it
}

// BeginHold puts the fleet on hold, or changes the hold that it is on. A hold
// without an end that is there already stays as it is.
func (s State) BeginHold(h Holding, by Actor, now time.Time) State {
	next := Hold{Mode: h.Mode, Routes: h.Routes, Since: now, Actor: by}
	if h.For > 0 {
		next.Until = now.Add(h.For)
	}
	event, message := "HoldBegan", next.describe()
	if last := s.Hold; last != nil {
		same := last.Mode == next.Mode && slices.Equal(last.Routes, next.Routes)
		if same && last.Until.IsZero() && next.Until.IsZero() {
			return s
		}
		if same {
			next.Since = last.Since
		}
		event = "HoldChanged"
		if last.Who != by.Who {
			message += "; it was " + last.Who + "'s"
		}
	}
	d := s.edit(by, now)
	d.Hold = &next
	d.event(event, "", message)
	return d.done()
}

// EndHold ends the hold, if there is one.
func (s State) EndHold(by Actor, now time.Time) State {
	if s.Hold == nil {
		return s
	}
	d := s.edit(by, now)
	d.Hold = nil
	d.event("HoldEnded", "", "requests go on")
	return d.done()
}

// endHold ends a hold whose time has come.
func (d *draft) endHold() {
	if h := d.Hold; h != nil && !h.Until.IsZero() && !d.now.Before(h.Until) {
		d.Hold = nil
		d.event("HoldEnded", "", "its time is over; requests go on")
	}
}

// HeldBy names the requests that a hold of a mode is for, to be gone on from:
// "writes to /shop". No routes are all.
func HeldBy(mode HoldMode, routes []HoldRoute) string {
	what, to := "requests", " for "
	if mode == HoldWrites {
		what, to = "writes", " to "
	}
	if len(routes) == 0 {
		return what
	}
	var names []string
	for _, r := range routes {
		names = append(names, r.String())
	}
	return what + to + strings.Join(names, ", ")
}

func (h Hold) describe() string {
	what := HeldBy(h.Mode, h.Routes) + map[HoldMode]string{
		HoldWait: " wait at the edge", HoldWrites: " are turned away at the edge", HoldPage: " are shown a page",
	}[h.Mode]
	if h.Until.IsZero() {
		return what + ", until somebody ends it"
	}
	return what + ", until " + h.Until.UTC().Format(time.RFC3339)
}
