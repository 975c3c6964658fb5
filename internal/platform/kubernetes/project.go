package kubernetes

import (
	"cmp"
	"fmt"
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

// maxWords is how much of each text of an event a Fleet's status keeps, in bytes. A
// reason may come from an annotation, which takes 256 KiB, and a status that the
// API server does not take any more would keep people from a rollback.
const maxWords = 4000

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
		Revision:           int64(v.State.Revision),
		State:              raw,
		Serving: crd.Serving{
			Release: serving.Release, Stamp: serving.Stamp, Before: serving.Before,
			Since: instant(serving.Since), Until: instant(serving.Until),
		},
		Events:     slices.Clone(old.Events),
		Conditions: ProjectConditions(old.Conditions, conditions, generation, now),
	}
	for _, e := range v.State.Pending {
		out.Events = append(out.Events, crd.Event{
			Time: metav1.NewTime(e.Time), Type: e.Type, Release: e.Release, Who: cutText(e.Who, maxWords), Why: cutText(e.Why, maxWords), Message: cutText(e.Message, maxWords),
			Revision: int64(v.State.Revision),
		})
	}
	out.Events = out.Events[max(0, len(out.Events)-maxEvents):]
	return out, nil
}

// ProjectRelease says in a Release's status what a state comes to for it. One
// that the state does not know has nothing but its conditions, unless it has
// ended: then it keeps what was told of it. What has ended is told of the
// generation that it ended with, so that a change after that is one.
func ProjectRelease(object *crd.Release, v Value, o map[string]release.VersionStatus, conditions []Condition, now time.Time) crd.ReleaseStatus {
	old := object.Status
	out := crd.ReleaseStatus{ObservedGeneration: object.Generation}
	r, known := v.State.Releases[object.Name]
	known = known && r.UID == string(object.UID)
	if standing, _ := StandingOf(object, v); !known && standing == Over {
		out = endedStatus(old)
	}
	out.Conditions = ProjectConditions(old.Conditions, conditions, object.Generation, now)
	if !known {
		out.Reason = cmp.Or(unopenedReason(conditions), out.Reason)
		return out
	}
	if r.Phase.Ended() && old.Phase == string(r.Phase) {
		out.ObservedGeneration = max(old.ObservedGeneration, v.Opened[r.Name])
	}
	out.Content, out.Phase, out.Reason, out.Stamp = int64(r.Generation), string(r.Phase), r.Reason, r.View
	out.Since, out.Until = instant(r.Since), instant(r.WindowEnds)
	for _, service := range slices.Sorted(maps.Keys(r.Versions)) {
		id := r.Versions[service]
		version, template := v.State.Versions[id], v.Templates[id]
		out.Versions = append(out.Versions, crd.ReleaseVersion{
			Service: service, Version: version.Name, PodTemplateHash: template.Hash, Image: MainImage(service, template),
			Replaces: v.State.Versions[r.Replaces[service]].Name, Ready: o[id].Ready, Replicas: version.Replicas,
		})
	}
	return out
}

// unopenedReason is what a Release waits for that the state does not know: the
// first condition that keeps it.
func unopenedReason(conditions []Condition) string {
	for _, c := range sortConditions(slices.Clone(conditions)) {
		if c.Blocks {
			return c.Type + ": " + c.Object + ": " + c.Message
		}
	}
	return ""
}

// SettlingReason is what a release tells that has a reason of the state machine:
// where that waits for versions to stop, whose pods are Argo's to end however
// long ago their last request was, it says until when.
func SettlingReason(r release.Release, v Value, seen map[string]Seen, reason string) string {
	if r.Phase != release.Settling || reason != "" && !waitsToStop(r, reason) {
		return reason
	}
	var services []string
	var last time.Time
	for _, service := range slices.Sorted(maps.Keys(r.Replaces)) {
		one, id := seen[service], r.Replaces[service]
		if one.Pods[v.Templates[id].Hash].Total == 0 || v.State.DefaultVersion(service) == id {
			continue
		}
		services = append(services, service)
		if one.Deadline.After(last) {
			last = one.Deadline
		}
	}
	switch {
	case len(services) == 0:
		return reason
	case last.IsZero():
		return "it waits until Argo ends the former pods of " + strings.Join(services, ", ") + " (scaleDownDelaySeconds)"
	}
	return fmt.Sprintf("it waits until Argo ends the former pods of %s, at %s (scaleDownDelaySeconds)", strings.Join(services, ", "), last.UTC().Format("2006-01-02T15:04:05Z"))
}

// PreparingReason is what a release tells that has a reason of the state machine:
// where that waits for versions to be ready, and pods of theirs do not start, it
// says which, why, and what tells more.
func PreparingReason(r release.Release, v Value, seen map[string]Seen, reason string) string {
	if r.Phase != release.Preparing {
		return reason
	}
	var stuck []string
	for _, service := range slices.Sorted(maps.Keys(r.Versions)) {
		one, id := seen[service], r.Versions[service]
		trouble := one.Pods[v.Templates[id].Hash].Trouble
		if trouble.Reason == "" || one.Rollout == nil || !strings.Contains(reason, id) {
			continue
		}
		stuck = append(stuck, fmt.Sprintf("%s does not start: %s (pod %s); %s says more",
			service, trouble.Reason, trouble.Pod, trouble.SaysMore(one.Rollout.Metadata.Namespace, service, r.Name)))
	}
	if len(stuck) == 0 {
		return reason
	}
	return strings.Join(stuck, "; ")
}

// waitsToStop reports whether a reason is that a version that r replaced has not
// stopped.
func waitsToStop(r release.Release, reason string) bool {
	for _, id := range r.Replaces {
		if reason == release.WaitsToStop(id) {
			return true
		}
	}
	return false
}

// MainImage is the image of the container called like the service, else of the
// first one by name.
func MainImage(service string, t Template) string {
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
	return &metav1.Time{Time: t.UTC().Truncate(time.Second)} // as the API server gives it back
}

// ProjectConditions writes conditions as status has them: one of each type,
// True while it is there and away when it is not, and Ready above all. The
// time of a condition changes only with its truth.
func ProjectConditions(old []metav1.Condition, conditions []Condition, generation int64, now time.Time) []metav1.Condition {
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
			ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, s.Type, cutText(s.Message, maxMessage)
		}
	}
	set(ready)
	for _, s := range summaries {
		reason := "Advice"
		if s.Blocks {
			reason = "BlocksPromotion"
		}
		set(metav1.Condition{Type: s.Type, Status: metav1.ConditionTrue, Reason: reason, Message: cutText(s.Message, maxMessage)})
	}
	return out
}

// maxMessage is how much a condition may hold, in bytes.
const maxMessage = 32_000

// cutText keeps a text within so many bytes.
func cutText(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
