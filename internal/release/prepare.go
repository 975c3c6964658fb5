package release

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func (d *draft) prepare(r Release, o Observation) {
	if _, came := r.Progress[Prepare]; !came && len(r.Hooks[Prepare]) > 0 {
		r = r.due(Prepare)
		d.put(r)
	}
	if failed := r.Progress[Prepare].Failed; failed != "" {
		d.fail(r, "prepare hook "+failed)
		return
	}
	if !d.hooksPassed(r, Prepare) {
		d.wait(r, "waiting for its prepare hooks")
		return
	}
	var waiting []string
	for _, service := range slices.Sorted(maps.Keys(r.Versions)) {
		id := r.Versions[service]
		if status := o.Versions[id]; status.Failed != "" && !status.Stopping {
			d.fail(r, id+" did not become ready: "+o.Versions[id].Failed)
			return
		}
		if ready, need := o.ready(id), d.Versions[id].capacity(); ready < need {
			waiting = append(waiting, fmt.Sprintf("%s (%d of %d ready)", id, ready, need))
		}
	}
	if len(waiting) > 0 {
		d.wait(r, "waiting for "+strings.Join(waiting, ", "))
		return
	}
	r = d.buildView(r, r.Versions)
	r = r.due(Verify)
	d.enter(r, Previewing, "")
	d.event("ReleasePreviewing", r.Name, "holders of a pass see it as "+r.View)
}

// wait notes what a release waits for. That is for people: it is kept with the
// State but is no event.
func (d *draft) wait(r Release, reason string) {
	if r.Reason != reason {
		r.Reason = reason
		d.put(r)
	}
}

func (d *draft) fail(r Release, reason string) {
	r.View = ""
	d.enter(r, Failed, reason)
	d.event("ReleaseFailed", r.Name, reason)
}
