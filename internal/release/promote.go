package release

import (
	"maps"
	"time"
)

// Promotion asks that ordinary requests get a release's view.
type Promotion struct {
	Name              string   `json:"name"`
	Generation        uint64   `json:"generation,omitempty"`        // as the person was shown it; 0: any
	AllowUnstamped    bool     `json:"allowUnstamped,omitempty"`    // promote although calls lost the stamp in preview
	OverrideChecklist bool     `json:"overrideChecklist,omitempty"` // although items of the checklist are open or no-go
	OverrideFreezes   []string `json:"overrideFreezes,omitempty"`   // in spite of the freezes of these names
}

// Promote makes a release's view the one that ordinary requests get, in one
// change. A release that was Live before it begins to settle with it. One that
// ordinary requests get already stays as it is.
func (s State) Promote(p Promotion, o Observation, by Actor, now time.Time) (State, error) {
	r, err := s.find(p.Name)
	if err != nil {
		return s, err
	}
	if r.View == s.Default {
		return s, nil
	}
	if p.Generation != 0 && p.Generation != r.Generation {
		return s, ErrStale
	}
	if err := s.against(r, o, p, by, now); err != nil {
		return s, err
	}
	d := s.edit(by, now)
	d.promote(r, p)
	return d.done(), nil
}

func (d *draft) promote(r Release, p Promotion) {
	spite := d.overridden(r, p, d.now)
	if former, ok := d.live(); ok {
		d.beginSettling(former, r.Name+" went live over it")
	}
	from := d.Named(d.Default)
	r.Former = d.Default
	r.WindowEnds = d.now.Add(r.RollbackWindow)
	r.KeepUntil = time.Time{}
	r.Plan = nil
	d.Live = maps.Clone(d.Live)
	d.Live[r.Name] = r.UID
	d.switchTo(r.View)
	d.Pin = nil
	if pin := min(d.Settings.Pinning, r.RollbackWindow); pin > 0 {
		d.Pin = &Pin{Stamp: r.Former, Until: d.now.Add(pin)}
	}
	d.enter(r, Live, "")
	d.event("ReleasePromoted", r.Name, "ordinary requests get "+r.Name+"; before it "+from+spite)
}

// switchTo changes what ordinary requests get.
func (d *draft) switchTo(stamp string) {
	d.Default, d.Since = stamp, d.now
	d.Epoch++
	d.changes++
}

// StartCanary gives a share of users a release's view. Who they are is the
// edge's choice; the checks are those of a promotion.
func (s State) StartCanary(name string, o Observation, by Actor, now time.Time) (State, error) {
	r, err := s.find(name)
	if err != nil {
		return s, err
	}
	if r.Phase == Canary {
		return s, nil
	}
	if err := s.against(r, o, Promotion{Name: name}, by, now); err != nil {
		return s, err
	}
	d := s.edit(by, now)
	r.Former = d.Default
	r.KeepUntil = time.Time{}
	d.enter(r, Canary, "")
	d.event("CanaryStarted", name, "a share of users gets "+name)
	return d.done(), nil
}
