package kubernetes

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/calendar"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// fixedName is what fixedVersion is called.
const fixedName = "fixed"

// Begin returns the first state of a fleet: what its Rollouts' active Services
// select serves as the baseline. Nothing is assumed: a service whose active
// pods are not known stays outside, with a condition that says why, and joins
// when they are.
func Begin(f *crd.Fleet, seen map[string]Seen, by release.Actor, now time.Time) (Value, []Condition) {
	v := Value{Templates: map[string]Template{}}
	var first []release.Version
	var conditions []Condition
	for _, s := range f.Spec.Services {
		version, template, c := active(s, seen[s.Name])
		if c != nil {
			conditions = append(conditions, *c)
			continue
		}
		first = append(first, version)
		if template.Hash != "" {
			v.Templates[version.ID] = template
		}
	}
	v.State = release.New(Services(f, first), first, Settings(f), by, now)
	return v, sortConditions(conditions)
}

// active is the version of a service that Argo's active Service selects.
func active(s crd.Service, seen Seen) (release.Version, Template, *Condition) {
	if s.Fixed {
		return fixedVersion(s.Name), Template{}, nil
	}
	object := "Rollout " + cmp.Or(s.Rollout, s.Name)
	if seen.Rollout == nil {
		return release.Version{}, Template{}, &Condition{Type: RolloutMissing, Object: object, Blocks: true, Message: "it does not exist.",
			Remedy: "Create it, name another in the Fleet's spec.services[].rollout, or write fixed: true."}
	}
	hash := seen.Rollout.Active()
	images, agreed := seen.Pods[hash].theImages()
	if hash == "" || !agreed {
		return release.Version{}, Template{}, &Condition{Type: PodsUnknown, Object: object, Blocks: true,
			Message: "its active Service selects no running pods, or pods that run different images.",
			Remedy:  "Wait until it is healthy; name images by digest, so that a tag that was moved cannot change them."}
	}
	t := Template{Hash: hash, Images: images}
	return versionOf(s.Name, "", t, seen.Rollout.Replicas()), t, nil
}

// fixedVersion is the version of a service that no release can name.
func fixedVersion(service string) release.Version {
	return release.Version{ID: service + "@" + fixedName, Service: service, Name: fixedName, Digest: fixedName}
}

// versionOf is the version that a template makes of a service.
func versionOf(service, name string, t Template, replicas int) release.Version {
	name = cmp.Or(name, t.Hash)
	return release.Version{ID: service + "@" + name, Service: service, Name: name, Digest: t.digest(), Replicas: replicas}
}

// digest tells templates apart: their hash, and the digests of all images.
func (t Template) digest() string {
	parts := []string{t.Hash}
	for _, container := range slices.Sorted(maps.Keys(t.Images)) {
		parts = append(parts, container+"="+digestOf(t.Images[container]))
	}
	return strings.Join(parts, " ")
}

// Services are the fleet's services as the state machine needs them: those
// that a version is known of.
func Services(f *crd.Fleet, versions []release.Version) map[string]release.Service {
	out := map[string]release.Service{}
	for _, s := range f.Spec.Services {
		if slices.ContainsFunc(versions, func(v release.Version) bool { return v.Service == s.Name }) {
			out[s.Name] = release.Service{Drain: duration(cmp.Or(s.Drain, v1alpha1.Duration("30s")))}
		}
	}
	return out
}

// Settings are the fleet's rules for its releases.
func Settings(f *crd.Fleet) release.Settings {
	out := release.Settings{
		Quiet:   duration(cmp.Or(f.Spec.Quiet, v1alpha1.Duration("60s"))),
		Pinning: duration(cmp.Or(f.Spec.Edge.SessionPinning, v1alpha1.Duration("0s"))),
		History: 10,
	}
	if f.Spec.History != nil {
		out.History = *f.Spec.History
	}
	out.Rules, _ = calendar.Rules(f.Spec.Release) // of a Fleet without conditions
	return out
}

// Opening says what a Release asks of the state machine, and the templates of
// its versions. It is complete only without conditions: every service has its
// preview, and the preview is the one that the Release means.
func Opening(r *crd.Release, f *crd.Fleet, seen map[string]Seen) (release.Opening, map[string]Template, []Condition) {
	window := duration(cmp.Or(r.Spec.RollbackWindow, v1alpha1.Duration("1h")))
	o := release.Opening{Name: r.Name, UID: string(r.UID), Description: r.Spec.Description, Hooks: hookNames(r.Spec.Hooks), Checklist: calendar.Items(r.Spec.Checklist)}
	templates := map[string]Template{}
	conditions := CheckRelease(r, f)
	if len(conditions) > 0 {
		return o, nil, conditions
	}
	var services []string
	for _, want := range r.Spec.Services {
		s, _ := serviceOf(f, want.Name)
		services = append(services, want.Name)
		one := seen[want.Name]
		if one.Rollout == nil {
			_, _, c := active(s, one)
			conditions = append(conditions, *c)
			continue
		}
		t, c := Match(want, one)
		if c != nil {
			conditions = append(conditions, *c)
			continue
		}
		version := versionOf(want.Name, want.Version, t, one.Rollout.Replicas())
		o.Versions = append(o.Versions, version)
		templates[version.ID] = t
	}
	o.RollbackWindow = Window(f, window, services, seen)
	o.Keep = duration(cmp.Or(r.Spec.Keep, v1alpha1.DurationOf(max(window, time.Minute))))
	return o, templates, sortConditions(conditions)
}

func hookNames(h crd.Hooks) map[release.Moment][]string {
	out := map[release.Moment][]string{}
	for moment, list := range map[release.Moment][]crd.Hook{
		release.Prepare: h.Prepare, release.Verify: h.Verify, release.OnSettle: h.Settle, release.OnRollback: h.Rollback, release.OnAbort: h.Abort,
	} {
		for i, one := range list {
			out[moment] = append(out[moment], cmp.Or(one.Name, fmt.Sprint(i)))
		}
	}
	return out
}
