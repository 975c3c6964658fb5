package kubernetes

import (
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// maxEvents is how many events a Fleet's status keeps.
const maxEvents = 50

// readyCondition is False while something blocks promotions.
const readyCondition = "Ready"

// ProjectFleet says in a Fleet's status what a state comes to. The events of
// the change that made the state are added to those that are there.
func ProjectFleet(old crd.FleetStatus, v Value, conditions []Condition, generation int64, now time.Time) (crd.FleetStatus, error) {
	raw, err := EncodeValue(v)
	if err != nil {
		return old, err
	}
	serving := v.State.Serving()
	out := crd.FleetStatus{
		ObservedGeneration: generation,
		State:              raw,
		Serving: crd.Serving{
			Release: serving.Release, Stamp: serving.Stamp, Before: serving.Before,
			Since: instant(serving.Since), Until: instant(serving.Until),
		},
		Events:     slices.Clone(old.Events),
		Conditions: projectConditions(old.Conditions, conditions, generation, now),
	}
	for _, e := range v.State.Pending {
		out.Events = append(out.Events, crd.Event{
			Time: metav1.NewTime(e.Time), Type: e.Type, Release: e.Release, Who: e.Who, Why: e.Why, Message: e.Message,
		})
	}
	out.Events = out.Events[max(0, len(out.Events)-maxEvents):]
	return out, nil
}

// ProjectRelease says in a Release's status what a state comes to for it. A
// release that the state does not know has nothing but its conditions.
func ProjectRelease(old crd.ReleaseStatus, name string, v Value, o map[string]release.VersionStatus, conditions []Condition, generation int64, now time.Time) crd.ReleaseStatus {
	out := crd.ReleaseStatus{
		ObservedGeneration: generation,
		Conditions:         projectConditions(old.Conditions, conditions, generation, now),
	}
	r, known := v.State.Releases[name]
	if !known {
		return out
	}
	out.Content, out.Phase, out.Reason, out.Stamp = int64(r.Generation), string(r.Phase), r.Reason, r.View
	out.Since, out.Until = instant(r.Since), instant(r.WindowEnds)
	for _, service := range slices.Sorted(maps.Keys(r.Versions)) {
		id := r.Versions[service]
		version, template := v.State.Versions[id], v.Templates[id]
		out.Versions = append(out.Versions, crd.ReleaseVersion{
			Service: service, Version: version.Name, PodTemplateHash: template.Hash, Image: mainImage(service, template),
			Replaces: v.State.Versions[r.Replaces[service]].Name, Ready: o[id].Ready, Replicas: version.Replicas,
		})
	}
	return out
}

// mainImage is the image of the container called like the service, else of the
// first one by name.
func mainImage(service string, t Template) string {
	if image, ok := t.Images[service]; ok {
		return image
	}
	for _, container := range slices.Sorted(maps.Keys(t.Images)) {
		return t.Images[container]
	}
	return ""
}

func instant(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	return &metav1.Time{Time: t}
}

// projectConditions writes conditions as status has them: one of each type,
// True while it is there and away when it is not, and Ready above all. The
// time of a condition changes only with its truth.
func projectConditions(old []metav1.Condition, conditions []Condition, generation int64, now time.Time) []metav1.Condition {
	ready := metav1.Condition{Type: readyCondition, Status: metav1.ConditionTrue, Reason: "NothingBlocks", Message: "Nothing speaks against releases."}
	var out []metav1.Condition
	set := func(c metav1.Condition) {
		c.ObservedGeneration, c.LastTransitionTime = generation, metav1.NewTime(now)
		if before := meta.FindStatusCondition(old, c.Type); before != nil && before.Status == c.Status {
			c.LastTransitionTime = before.LastTransitionTime
		}
		out = append(out, c)
	}
	summaries := Summarise(conditions)
	for _, s := range summaries {
		if s.Blocks && ready.Status == metav1.ConditionTrue {
			ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, s.Type, cutText(s.Message)
		}
	}
	set(ready)
	for _, s := range summaries {
		reason := "Advice"
		if s.Blocks {
			reason = "BlocksPromotion"
		}
		set(metav1.Condition{Type: s.Type, Status: metav1.ConditionTrue, Reason: reason, Message: cutText(s.Message)})
	}
	return out
}

// cutText keeps a message within what a condition may hold.
func cutText(s string) string {
	const most = 32_000
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
