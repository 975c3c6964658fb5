package release

import (
	"maps"
	"slices"
)

func (d *draft) preview(r Release, o Observation) {
	if !r.KeepUntil.IsZero() && !d.now.Before(r.KeepUntil) {
		d.abort(r, "kept since its rollback, long enough")
		return
	}
	if !r.Auto || r.TakenBack() || d.Views[r.View].Over != d.Default {
		return
	}
	by := Actor{Who: r.OpenedBy, Why: "opened to go live at once"}
	err := d.against(r, o, Promotion{Name: r.Name}, by, d.now)
	if err == nil {
		err = o.unfit(r.View)
	}
	if err != nil {
		d.wait(r, err.Error())
		return
	}
	d.by = by
	d.promote(r, Promotion{Name: r.Name})
	d.by = Greenroom()
}

// latchDrops keeps which calls lost a release's stamp: the hops forget.
func (d *draft) latchDrops(r Release, o Observation) Release {
	dropped := d.dropped(r, o)
	for _, drop := range dropped[len(r.Dropped):] {
		d.event("StampDropped", r.Name, drop.Caller+" calls "+drop.Callee+" without the stamp")
	}
	if len(dropped) > len(r.Dropped) {
		r.Dropped = dropped
		d.put(r)
	}
	return r
}

// dropped returns the calls that lost the stamp of a release with the content
// that it has, by whichever number of its view: those known before, then the
// new ones.
func (s State) dropped(r Release, o Observation) []Drop {
	out := slices.Clip(r.Dropped)
	for _, stamp := range slices.Sorted(maps.Keys(o.Drops)) {
		v := s.Views[stamp]
		if v.Release != r.Name || !maps.Equal(v.Own, r.Versions) {
			continue
		}
		for _, drop := range o.Drops[stamp] {
			if !slices.Contains(out, drop) {
				out = append(out, drop)
			}
		}
	}
	return out
}
