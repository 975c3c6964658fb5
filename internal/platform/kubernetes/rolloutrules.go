package kubernetes

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// Seen is what was observed of a service's pods.
type Seen struct {
	Rollout     *Rollout        // nil: there is none
	Template    PodTemplate     // the Rollout's own, or that of the Deployment it refers to
	FormerImage string          // FormerImageAnnotation of what has the template
	Pods        map[string]Pods // by template hash
	Deadline    time.Time       // until when Argo keeps the pods that are not active; zero: not known
}

// TakeTemplate takes the template from the Deployment that the Rollout refers
// to, which is where its image is set. Until Argo has seen the Deployment as it
// is now, the Rollout's status speaks of a former template.
func (s *Seen) TakeTemplate(d *appsv1.Deployment) {
	if s.Rollout.Status.ObservedWorkload != fmt.Sprint(d.Generation) {
		behind := *s.Rollout
		behind.Status.ObservedGeneration = ""
		s.Rollout = &behind
	}
	s.FormerImage = d.Annotations[FormerImageAnnotation]
	s.Template = PodTemplate{}
	s.Template.Metadata.Labels, s.Template.Metadata.Annotations = d.Spec.Template.Labels, d.Spec.Template.Annotations
	for _, c := range d.Spec.Template.Spec.Containers {
		s.Template.Spec.Containers = append(s.Template.Spec.Containers, Container{Name: c.Name, Image: c.Image})
	}
}

// unusable says why a Rollout cannot be released with, nil if it can.
func unusable(object string, r Rollout) *Condition {
	b := r.Spec.Strategy.BlueGreen
	switch {
	case b == nil:
		return &Condition{Type: CanaryStrategy, Object: object, Blocks: true,
			Message: "it brings new versions by canary, to everybody by chance.",
			Remedy:  "Change its strategy to blueGreen; a release has a canary of its own, with whole views."}
	case b.AutoPromotionEnabled == nil || *b.AutoPromotionEnabled || b.AutoPromotionSeconds > 0:
		return &Condition{Type: AutoPromotion, Object: object, Blocks: true,
			Message: "Argo promotes it by itself.",
			Remedy:  "Set strategy.blueGreen.autoPromotionEnabled: false and remove autoPromotionSeconds."}
	case b.PreviewReplicaCount != nil && int(*b.PreviewReplicaCount) < r.Replicas():
		return &Condition{Type: PreviewTooSmall, Object: object, Blocks: true,
			Message: fmt.Sprintf("its preview has %d pods, and %d serve.", *b.PreviewReplicaCount, r.Replicas()),
			Remedy:  "Remove strategy.blueGreen.previewReplicaCount: a promotion hands all requests over at once."}
	}
	return nil
}

// Inspect finds what is in the way of a fleet's releases in its Rollouts and
// pods, and says what to do about it. Releases are the fleet's objects.
func Inspect(f *crd.Fleet, v Value, releases []*crd.Release, seen map[string]Seen) []Condition {
	var out []Condition
	for _, s := range f.Spec.Services {
		if s.Fixed {
			continue
		}
		i := inspection{value: v, objects: releases, service: s, seen: seen[s.Name], object: "Rollout " + cmp.Or(s.Rollout, s.Name)}
		i.look()
		out = append(out, i.found...)
	}
	return sortConditions(append(out, severalPreviews(v.State)...))
}

// inspection looks at one service.
type inspection struct {
	value   Value
	objects []*crd.Release
	service crd.Service
	seen    Seen
	object  string
	found   []Condition
}

func (i *inspection) say(kind, message, remedy string, blocks bool) {
	i.found = append(i.found, Condition{Type: kind, Object: i.object, Message: message, Remedy: remedy, Blocks: blocks})
}

func (i *inspection) look() {
	if i.seen.Rollout == nil {
		i.say(RolloutMissing, "it does not exist.", "Create it (kubectl greenroom adopt prints one from a Deployment), name another in the Fleet's spec.services[].rollout, or write fixed: true.", true)
		return
	}
	r := *i.seen.Rollout
	if c := unusable(i.object, r); c != nil {
		i.found = append(i.found, *c)
	}
	if r.Spec.Paused {
		i.say(RolloutPaused, "spec.paused holds it back: nothing about it changes.", "Set spec.paused: false.", true)
	}
	if r.Status.Phase == phaseDegraded {
		i.say(RolloutDegraded, "Argo calls it degraded: "+r.Status.Message+".", "Look at its pods (kubectl argo rollouts get rollout "+r.Metadata.Name+").", true)
	}
	i.delay(r)
	i.sidecars()
	i.template(r)
	i.takenBack(r)
	i.active(r)
}

// delay looks whether the former pods stay for as long as a rollback may need
// them.
func (i *inspection) delay(r Rollout) {
	b := r.Spec.Strategy.BlueGreen
	if b == nil {
		return
	}
	drain := duration(cmp.Or(i.service.Drain, v1alpha1.Duration("30s")))
	for _, one := range i.releases() {
		if need := one.RollbackWindow + drain; b.ScaleDownDelay() < need && !past(one.Phase) {
			i.say(ScaleDownDelayTooShort,
				fmt.Sprintf("it keeps former pods for %s, and %s may be rolled back for %s and drain for %s.", b.ScaleDownDelay(), one.Name, one.RollbackWindow, drain),
				fmt.Sprintf("Set strategy.blueGreen.scaleDownDelaySeconds: %d. Until then the rollback window is %s.", int(need.Seconds()), max(0, b.ScaleDownDelay()-drain)), false)
		}
	}
}

// Window is how long a release can be rolled back, given how long its Rollouts
// keep former pods: at most what it asks for.
func Window(f *crd.Fleet, asked time.Duration, services []string, seen map[string]Seen) time.Duration {
	for _, s := range f.Spec.Services {
		r := seen[s.Name].Rollout
		if !slices.Contains(services, s.Name) || r == nil || r.Spec.Strategy.BlueGreen == nil {
			continue
		}
		drain := duration(cmp.Or(s.Drain, v1alpha1.Duration("30s")))
		asked = min(asked, max(0, r.Spec.Strategy.BlueGreen.ScaleDownDelay()-drain))
	}
	return asked
}

// releases are those that name the service and are not over, in the order of
// their names.
func (i *inspection) releases() []release.Release {
	var out []release.Release
	for _, name := range slices.Sorted(maps.Keys(i.value.State.Releases)) {
		r := i.value.State.Releases[name]
		if _, named := r.Versions[i.service.Name]; named && !r.Phase.Ended() && r.Phase != release.Failed {
			out = append(out, r)
		}
	}
	return out
}

// past reports whether a release cannot be rolled back any more.
func past(p release.Phase) bool { return p == release.Settling || p.Ended() }

// sidecars looks whether every pod that serves keeps to the routes.
func (i *inspection) sidecars() {
	if i.service.OutsideMesh {
		return
	}
	for _, hash := range slices.Sorted(maps.Keys(i.seen.Pods)) {
		if p := i.seen.Pods[hash]; p.Proxied < p.Total && i.speaksOf(hash) {
			message := fmt.Sprintf("%d of the %d pods of %s have no sidecar: what they call is routed by nobody.", p.Total-p.Proxied, p.Total, hash)
			if p.Total == 1 {
				message = "the pod of " + hash + " has no sidecar: what it calls is routed by nobody."
			}
			i.say(SidecarMissing, message, "Enable injection and restart them, or write outsideMesh: true in the Fleet.", true)
		}
	}
}

// speaksOf reports whether any view has pods of that hash.
func (i *inspection) speaksOf(hash string) bool {
	for _, v := range i.value.State.Views {
		if i.value.Templates[v.Versions[i.service.Name]].Hash == hash {
			return true
		}
	}
	return false
}

// template looks for a revision that came after the release's: Argo would take
// the release's pods down for it.
func (i *inspection) template(r Rollout) {
	now := r.Status.CurrentPodHash
	for _, one := range i.releases() {
		id := one.Versions[i.service.Name]
		want := i.value.Templates[id].Hash
		if want == "" || now == "" || now == want || !r.Observed() {
			continue
		}
		switch one.Phase {
		case release.Previewing, release.Canary:
			if one.TakenBack() {
				continue // the revert that a rollback asks for, or what comes after it
			}
			i.say(TemplateChanged, fmt.Sprintf("its template changed to %s while %s is in %s with %s.", now, one.Name, one.Phase, want),
				"Put the template back, or open "+one.Name+" again to take in the new one.", true)
		case release.Live:
			if r.Active() == want {
				continue // its pods are the active ones: a newer preview takes nothing away
			}
			i.say(TemplateChanged, fmt.Sprintf("its template changed to %s while %s is live with %s, whose pods Argo scales down after %s.", now, one.Name, want, i.scaleDownDelay(r)),
				"Put the template back; or roll "+one.Name+" back, or settle it, before then.", true)
		}
	}
}

// takenBack looks for releases that were rolled back and whose pods Argo is
// about to scale down: ordinary requests must not get those.
func (i *inspection) takenBack(r Rollout) {
	now := r.Status.CurrentPodHash
	for _, one := range i.releases() {
		want := i.value.Templates[one.Versions[i.service.Name]].Hash
		if !one.TakenBack() || want == "" || now == "" || want == now || want == r.Active() || !r.Observed() {
			continue
		}
		remedy := "Set its image again where it is kept (Git) and open " + one.Name + " again, so that Argo previews it."
		if i.applies(one) {
			if now == r.Active() {
				continue // its image is set again as soon as it is live
			}
			remedy = "Promote or abort the release that the Rollout previews now, then promote " + one.Name + "; or open " + one.Name + " again with another image."
		}
		i.found = append(i.found, Condition{Type: NotPreviewed, Object: i.object, Release: one.Name, Blocks: true, Remedy: remedy,
			Message: fmt.Sprintf("its template is %s since %s was rolled back, which brings %s: Argo would scale its pods down while it is live.", now, one.Name, want)})
	}
}

// applies reports whether the operator sets the service's image for a release.
func (i *inspection) applies(one release.Release) bool {
	at := slices.IndexFunc(i.objects, func(r *crd.Release) bool { return string(r.UID) == one.UID })
	if at < 0 || i.value.Opened[one.Name] != i.objects[at].Generation {
		return false
	}
	_, yes := applied(i.objects[at], i.service.Name)
	return yes
}

func (i *inspection) scaleDownDelay(r Rollout) time.Duration {
	if b := r.Spec.Strategy.BlueGreen; b != nil {
		return b.ScaleDownDelay()
	}
	return 0
}

// active compares what Argo calls active with what ordinary requests get.
func (i *inspection) active(r Rollout) {
	id := i.value.State.DefaultVersion(i.service.Name)
	serves, active := i.value.Templates[id].Hash, r.Active()
	if serves == "" || active == "" || serves == active {
		return
	}
	for _, one := range i.releases() {
		brings := i.value.Templates[one.Versions[i.service.Name]].Hash
		switch {
		case one.Phase == release.Live && brings == serves && active == i.value.Templates[one.Replaces[i.service.Name]].Hash:
			return // promoted at the edge; Argo follows
		case one.TakenBack() && brings == active:
			message := fmt.Sprintf("Argo still calls %s active, which %s was rolled back from; ordinary requests get %s already.", active, one.Name, serves)
			if !i.seen.Deadline.IsZero() {
				message += " Argo keeps those pods until " + i.seen.Deadline.UTC().Format(time.RFC3339) + "."
			}
			i.say(RollbackNeedsRevert, message, "Revert the image where it is kept (Git) before then, or promote "+one.Name+" again.", false)
			return
		case brings == active:
			i.say(PromotedByHand, fmt.Sprintf("somebody promoted %s of %s in Argo; ordinary requests still get %s.", active, one.Name, serves),
				"Promote "+one.Name+", or undo the Rollout.", false)
			return
		}
	}
	i.say(ActiveDiffers, fmt.Sprintf("Argo calls %s active, and ordinary requests get %s.", active, serves),
		"Adopt what it runs as a release, or undo the Rollout.", true)
}

// severalPreviews refuses what a Rollout cannot do: it has one preview.
func severalPreviews(s release.State) []Condition {
	by := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(s.Releases)) {
		r := s.Releases[name]
		if r.Phase != release.Preparing && r.Phase != release.Previewing && r.Phase != release.Canary || r.TakenBack() {
			continue
		}
		for service := range r.Versions {
			by[service] = append(by[service], name)
		}
	}
	var out []Condition
	for _, service := range slices.Sorted(maps.Keys(by)) {
		if len(by[service]) > 1 {
			out = append(out, Condition{Type: SeveralPreviews, Object: service, Blocks: true,
				Message: fmt.Sprintf("%s and %s both preview it, and a Rollout has one preview.", by[service][0], by[service][1]),
				Remedy:  "Abort one of them, or make them one release."})
		}
	}
	return out
}
