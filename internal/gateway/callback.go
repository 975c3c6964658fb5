package gateway

import (
	"slices"
	"time"

	"github.com/greenroom-dev/greenroom/internal/pass"
)

// Callback is an address that outside systems can call, and that leads to a
// release.
type Callback struct {
	pass.Callback
	ID      string
	Release string
	UID     string // of the release
	Issued  time.Time
	Expires time.Time
}

// Callbacks are the callback addresses of a fleet. They are never changed; nil
// is none.
type Callbacks struct {
	byToken   map[string]Callback
	byRelease map[string][]Callback // the newest first
}

// NewCallbacks takes in those that were neither revoked nor used up.
func NewCallbacks(list []Callback) *Callbacks {
	c := &Callbacks{byToken: make(map[string]Callback, len(list)), byRelease: map[string][]Callback{}}
	for _, one := range list {
		c.byToken[one.Token] = one
		c.byRelease[one.Release] = append(c.byRelease[one.Release], one)
	}
	for _, of := range c.byRelease {
		slices.SortStableFunc(of, func(a, b Callback) int { return b.Issued.Compare(a.Issued) })
	}
	return c
}

// Callback returns the callback of a token, false for none that holds at a time
// or whose release leads nowhere; and the stamp of the view that it leads to.
func (s *Snapshot) Callback(token string, now time.Time) (c Callback, stamp string, ok bool) {
	if s.Callbacks == nil {
		return Callback{}, "", false
	}
	c, ok = s.Callbacks.byToken[token]
	if !ok || !now.Before(c.Expires) {
		return c, "", false
	}
	rule, known := s.Passes[c.Release]
	switch {
	case !known || rule.UID != c.UID:
	case rule.Access == Ordinary:
		return c, s.Default(), true
	case rule.Access == Preview && s.Table.Known(rule.Stamp):
		return c, rule.Stamp, true
	}
	return c, "", false
}

// CallbackBase returns what the callback addresses of a preview begin with, for
// its services to know: that of the newest that holds. "" for what ordinary
// requests get, and where there is none.
func (s *Snapshot) CallbackBase(stamp string, now time.Time) string {
	if s.Callbacks == nil || stamp == s.Default() {
		return ""
	}
	release := ReleaseOf(stamp)
	for _, c := range s.Callbacks.byRelease[release] {
		if now.Before(c.Expires) && s.Passes[release].UID == c.UID {
			return c.Base(s.Edge.PublicURL)
		}
	}
	return ""
}

// UseCallback takes one call off a callback. When it returns true, that is kept
// over a crash; false means that no calls are left.
func (g *Gateway) UseCallback(c Callback) (bool, error) {
	if g.callbacks == nil {
		return c.Count == 0, nil
	}
	return g.callbacks.UseCallback(c.ID, c.Count, g.now())
}

// CallbackUses counts the calls of callbacks.
type CallbackUses interface {
	// UseCallback notes a call. With a count that is not 0, it returns false when
	// as many were noted before, and true only when the note outlives a crash.
	UseCallback(id string, count int, now time.Time) (bool, error)
}
