package operator

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	api "github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
	"github.com/greenroom-dev/greenroom/internal/release"
	"github.com/greenroom-dev/greenroom/internal/verbs"
)

// Changed tells when the persisted state changes.
func (e *Engine) Changed() <-chan struct{} { return e.controller.Changed() }

// Status shows everything at once.
func (e *Engine) Status(ctx context.Context) (api.Status, error) {
	v, o, w := e.controller.Record(), e.controller.Observe(), e.world.Load()
	out := api.Status{
		Fleet: e.key.Name, Version: e.d.Version, Revision: v.State.Revision, Now: e.d.Now(),
		EdgeURL: e.edgeURL(), Public: w.fleet.Spec.Edge.PublicURL, Serving: verbs.Serving(v.State),
		Services: showServices(v, o, w), Releases: e.Verbs.Releases(v, o), Dropped: []api.Drop{}, Warnings: []string{},
	}
	verbs.Rules(v.State, out.Now, &out)
	out.Notifications, _ = e.Notifications(ctx)
	for _, s := range out.Services {
		for _, one := range s.Versions {
			if one.Serving && one.Ready < one.Wanted {
				out.Warnings = append(out.Warnings, fmt.Sprintf("%s serves with %d of %d pods ready: %s", one.ID, one.Ready, one.Wanted, cmp.Or(one.Message, one.State)))
			}
		}
	}
	for _, c := range e.status.told() {
		out.Warnings = append(out.Warnings, strings.TrimSpace(c.Type+": "+c.Object+": "+c.Message+" "+c.Remedy))
	}
	for _, r := range unopened(v, w) {
		out.Unopened = append(out.Unopened, showUnopened(r))
		for _, c := range keeping(r) {
			out.Warnings = append(out.Warnings, fmt.Sprintf("Release %s is not open yet: %s: %s", r.Name, c.Type, c.Message))
		}
	}
	return out, nil
}

// unopened are the Releases that exist and that the state does not know, but for
// those that have ended.
func unopened(v kubernetes.Value, w *world) []*crd.Release {
	var out []*crd.Release
	for _, r := range w.releases {
		standing, _ := kubernetes.StandingOf(r, v)
		if v.State.Releases[r.Name].UID != string(r.UID) && standing != kubernetes.Over && r.DeletionTimestamp == nil {
			out = append(out, r)
		}
	}
	return out
}

func showUnopened(r *crd.Release) api.Unopened {
	out := api.Unopened{Name: r.Name, UID: string(r.UID), Description: r.Spec.Description, Since: r.CreationTimestamp.UTC(), Services: []string{}, Reason: notLookedAt}
	for _, s := range r.Spec.Services {
		out.Services = append(out.Services, s.Name)
	}
	if why := keeping(r); len(why) > 0 {
		out.Rule, out.Reason = why[0].Type, why[0].Message
	}
	return out
}

// notLookedAt is why a Release is not open of which nothing was told yet.
const notLookedAt = "it has not been looked at yet"

// keeping are the conditions that keep a Release from being opened, as they were
// told in its status.
func keeping(r *crd.Release) []metav1.Condition {
	var out []metav1.Condition
	for _, c := range r.Status.Conditions {
		if c.Type != "Ready" && c.Status == metav1.ConditionTrue {
			out = append(out, c)
		}
	}
	return out
}

func showServices(v kubernetes.Value, o release.Observation, w *world) []api.Service {
	out := make([]api.Service, 0, len(w.fleet.Spec.Services))
	for _, s := range w.fleet.Spec.Services {
		shown := api.Service{Name: s.Name, Protocol: cmp.Or(s.Protocol, "http"), Versions: []api.Version{}}
		for _, id := range slices.Sorted(maps.Keys(v.State.Versions)) {
			status := o.Versions[id]
			serving := v.State.DefaultVersion(s.Name) == id
			if v.State.Versions[id].Service == s.Name && (serving || !status.Gone) {
				shown.Versions = append(shown.Versions, showVersion(v, id, status, w))
			}
		}
		slices.SortStableFunc(shown.Versions, func(x, y api.Version) int {
			return cmp.Compare(fmt.Sprint(y.Serving), fmt.Sprint(x.Serving))
		})
		out = append(out, shown)
	}
	return out
}

func showVersion(v kubernetes.Value, id string, status release.VersionStatus, w *world) api.Version {
	version, template := v.State.Versions[id], v.Templates[id]
	out := api.Version{
		ID: id, Name: version.Name, Service: version.Service, Digest: version.Digest, Runs: kubernetes.MainImage(version.Service, template),
		Serving: v.State.DefaultVersion(version.Service) == id, Releases: []string{},
		Ready: status.Ready, Wanted: max(version.Replicas, 1), Message: status.Failed, Instances: []api.Instance{},
	}
	for _, name := range slices.Sorted(maps.Keys(v.State.Releases)) {
		if r := v.State.Releases[name]; r.Versions[version.Service] == id && !r.Phase.Ended() {
			out.Releases = append(out.Releases, name)
			out.Commit, out.URL = sourceOf(w, name, version.Service)
		}
	}
	for _, p := range podsOf(w, version.Service, template.Hash) {
		out.Instances = append(out.Instances, showPod(p))
	}
	if out.Message == "" {
		out.Message = w.seen[version.Service].Pods[template.Hash].Trouble.String()
	}
	switch {
	case status.Failed != "":
		out.State = "failed"
	case status.Gone:
		out.State = "stopped"
	case status.Stopping:
		out.State = "stopping"
	case status.Ready >= out.Wanted:
		out.State = "ready"
	case status.Ready > 0:
		out.State = "unready"
	default:
		out.State = "starting"
	}
	return out
}

func sourceOf(w *world, name, service string) (commit, url string) {
	for _, r := range w.releases {
		for _, s := range r.Spec.Services {
			if r.Name == name && s.Name == service {
				return s.Source.Commit, s.Source.URL
			}
		}
	}
	return "", ""
}

// podsOf are the pods of a service's version, by name.
func podsOf(w *world, service, hash string) []*corev1.Pod {
	r := w.seen[service].Rollout
	if r == nil || hash == "" {
		return nil
	}
	var out []*corev1.Pod
	for _, p := range w.pods[r.Metadata.Name] {
		if p.Labels[kubernetes.HashLabel] == hash {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b *corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func showPod(p *corev1.Pod) api.Instance {
	out := api.Instance{ID: p.Name, Addr: p.Status.PodIP, State: "starting"}
	if p.Status.StartTime != nil {
		out.Started = p.Status.StartTime.Time
	}
	ready := slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
	for _, c := range p.Status.ContainerStatuses {
		out.Restarts += int(c.RestartCount)
		if t := c.LastTerminationState.Terminated; t != nil && out.LastExit == "" {
			out.LastExit = fmt.Sprintf("%s: %s, exit code %d", c.Name, t.Reason, t.ExitCode)
		}
		if waits := c.State.Waiting; waits != nil && out.Health == "" {
			out.Health = strings.TrimSuffix(waits.Reason+": "+waits.Message, ": ")
		}
	}
	switch {
	case p.DeletionTimestamp != nil:
		out.State = "stopping"
	case ready:
		out.State = "ready"
	case p.Status.Phase == corev1.PodRunning:
		out.State = "unready"
	case p.Status.Phase == corev1.PodFailed:
		out.State = "failed"
	}
	return out
}

// Releases shows every release that is kept, the latest first.
func (e *Engine) Releases(context.Context) ([]api.Release, error) {
	return e.Verbs.Releases(e.controller.Record(), e.controller.Observe()), nil
}

// Release shows one release.
func (e *Engine) Release(_ context.Context, name string) (api.Release, error) {
	v := e.controller.Record()
	r, ok := v.State.Releases[name]
	if ok {
		return e.showRelease(v, r, e.controller.Observe()), nil
	}
	if object, there := e.releaseObject(name); there {
		return api.Release{}, e.notOpen(object)
	}
	return api.Release{}, fmt.Errorf("%w: %s", release.ErrUnknown, name)
}

// notOpen says why a Release that exists has not been opened.
func (e *Engine) notOpen(r *crd.Release) error {
	if why := keeping(r); len(why) > 0 {
		return &release.Refused{Rule: why[0].Type, Reason: fmt.Sprintf("Release %s is not open yet: %s", r.Name, strings.TrimSuffix(why[0].Message, ".")),
			Remedy: "kubectl -n " + r.Namespace + " describe release " + r.Name + " says more"}
	}
	return &release.Refused{Rule: "phase", Reason: fmt.Sprintf("Release %s is not open yet: %s", r.Name, notLookedAt), Remedy: "ask again in a moment"}
}

func (e *Engine) showRelease(v kubernetes.Value, r release.Release, o release.Observation) api.Release {
	out := verbs.Release(v.State, r, o, e.d.Now())
	if r.Phase == release.Previewing && e.unseasoned(r.View) > 0 {
		out.Phase, out.Reason = string(release.Preparing), "its routes are on their way to the proxies"
	}
	out.Reason = tellingReason(r, v, e.world.Load(), out.Reason)
	for _, service := range slices.Sorted(maps.Keys(r.Versions)) {
		from, to := r.Replaces[service], r.Versions[service]
		out.Changes = append(out.Changes, api.ReleaseChange{
			Service: service, From: v.State.Versions[from].Name, To: v.State.Versions[to].Name,
			Serving: v.State.Versions[v.State.DefaultVersion(service)].Name, Fields: images(v.Templates[from], v.Templates[to]),
		})
	}
	for _, m := range release.Moments() {
		for i, name := range r.Hooks[m] {
			shown := verbs.Hook(r, m, i, name)
			shown.Output = e.jobs.Output(r.HookID(m, i))
			out.Hooks = append(out.Hooks, shown)
		}
	}
	if r.Phase == release.Previewing || r.Phase == release.Canary {
		out.Checks = append(out.Checks, e.conditionCheck(r.Name))
	}
	return out
}

// conditionCheck is whether a condition of the fleet speaks against promoting a
// release.
func (e *Engine) conditionCheck(name string) api.Check {
	blocking := kubernetes.Against(name, e.status.blocking())
	if len(blocking) == 0 {
		return api.Check{Rule: "condition", OK: true, Detail: "no condition of the fleet speaks against it"}
	}
	c := blocking[0]
	return api.Check{Rule: "condition", Detail: c.Type + ": " + c.Object + ": " + c.Message, Remedy: c.Remedy}
}

// images says which images differ between two templates.
func images(from, to kubernetes.Template) []api.FieldDiff {
	out := []api.FieldDiff{}
	containers := maps.Clone(from.Images)
	if containers == nil {
		containers = map[string]string{}
	}
	maps.Copy(containers, to.Images)
	for _, c := range slices.Sorted(maps.Keys(containers)) {
		if from.Images[c] != to.Images[c] {
			out = append(out, api.FieldDiff{Field: "image of " + c, From: from.Images[c], To: to.Images[c]})
		}
	}
	if len(out) == 0 && from.Hash != to.Hash {
		out = append(out, api.FieldDiff{Field: "pod template", From: from.Hash, To: to.Hash})
	}
	return out
}
