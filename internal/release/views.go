package release

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// stampOf names a release's nth view: r42, then r42.2.
func stampOf(release string, n int) string {
	if n == 1 {
		return release
	}
	return release + "." + strconv.Itoa(n)
}

// buildView gives r a view of own over what serves now, under a new stamp. The
// view that it had ends with its last request.
func (d *draft) buildView(r Release, own map[string]string) Release {
	view := View{Release: r.Name, Over: d.Default, Versions: maps.Clone(d.Views[d.Default].Versions), Own: own}
	maps.Copy(view.Versions, own)
	for {
		r.Views++
		view.Stamp = stampOf(r.Name, r.Views)
		if _, taken := d.Views[view.Stamp]; !taken {
			break
		}
	}
	d.Views[view.Stamp] = view
	r.View = view.Stamp
	return r
}

// rebuildPreviews gives every preview a new view whose base is no longer what
// serves. A release that prepares an update still shows what it had before.
func (d *draft) rebuildPreviews() {
	for _, name := range slices.Sorted(maps.Keys(d.Releases)) {
		r := d.Releases[name]
		shown := d.Views[r.View]
		if !r.open() || r.View == "" || shown.Over == d.Default {
			continue
		}
		r = d.buildView(r, shown.Own)
		d.put(r)
		d.event("PreviewRebuilt", name, "its preview is now "+r.View+", over "+d.Named(d.Default))
	}
}

// inUse returns the stamps that new requests may still get.
func (s State) inUse() map[string]bool {
	use := map[string]bool{s.Default: true}
	if s.Pin != nil {
		use[s.Pin.Stamp] = true
	}
	for _, r := range s.Releases {
		if r.Phase.previewable() {
			use[r.View] = true
		}
		if r.Phase == Live || r.Phase == Canary {
			use[r.Former] = true
		}
	}
	return use
}

// sweepViews begins the end of views that no new request gets, and removes
// those that no hop has seen for the quiet time, or whose drain deadline is
// over.
func (d *draft) sweepViews(o Observation) {
	use := d.inUse()
	for _, stamp := range slices.Sorted(maps.Keys(d.Views)) {
		v := d.Views[stamp]
		switch {
		case use[stamp]:
		case !v.Ending():
			v.EndingSince = d.now
			d.Views[stamp] = v
			d.changes++
		case d.over(v, o):
			delete(d.Views, stamp)
			d.event("ViewEnded", v.Release, stamp+" has ended")
		}
	}
}

func (d *draft) over(v View, o Observation) bool {
	if !d.now.Before(v.EndingSince.Add(d.drain(v))) {
		return true
	}
	seen := o.Stamps[v.Stamp]
	quiet := v.EndingSince
	for _, t := range []time.Time{seen.LastSeen, o.Watching} {
		if t.After(quiet) {
			quiet = t
		}
	}
	return seen.InFlight == 0 && !d.now.Before(quiet.Add(d.Settings.Quiet))
}

// drain is how long the requests of a view may outlive it: the longest drain
// of its services.
func (s State) drain(v View) time.Duration {
	var longest time.Duration
	for service := range v.Versions {
		longest = max(longest, s.Services[service].Drain)
	}
	return longest
}

func (d *draft) unpin() {
	if d.Pin != nil && !d.now.Before(d.Pin.Until) {
		d.Pin = nil
		d.changes++
	}
}
