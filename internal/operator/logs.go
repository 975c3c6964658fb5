package operator

import (
	"context"
	"fmt"
	"slices"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	api "github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/operator/podlogs"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// Logs gives the lines that a service's pods printed.
func (e *Engine) Logs(ctx context.Context, q httpapi.LogQuery, each func(api.LogLine) error) error {
	v, w := e.controller.Record(), e.world.Load()
	if !slices.ContainsFunc(w.fleet.Spec.Services, func(s crd.Service) bool { return s.Name == q.Service }) {
		return &httpapi.InputError{Problem: fmt.Sprintf("the fleet has no service %q", q.Service), Remedy: "kubectl greenroom status lists them"}
	}
	versions := []string{}
	for id, one := range v.State.Versions {
		if one.Service == q.Service {
			versions = append(versions, id)
		}
	}
	if q.Release != "" && q.Release != release.Baseline {
		r, ok := v.State.Releases[q.Release]
		if !ok {
			return fmt.Errorf("%w: %s", release.ErrUnknown, q.Release)
		}
		id, brings := r.Versions[q.Service]
		if !brings {
			return &httpapi.InputError{Problem: fmt.Sprintf("%s brings no version of %s", q.Release, q.Service), Remedy: "leave --release out"}
		}
		versions = []string{id}
	}
	slices.Sort(versions)
	pods := func(context.Context) ([]podlogs.Pod, error) {
		var out []podlogs.Pod
		v, w := e.controller.Record(), e.world.Load()
		for _, id := range versions {
			for _, p := range podsOf(w, q.Service, v.Templates[id].Hash) {
				out = append(out, podlogs.Pod{Pod: p, Service: q.Service, Version: id})
			}
		}
		return out, nil
	}
	return podlogs.Logs(ctx, e.d.Pods, podlogs.Query{Tail: q.Tail, Follow: q.Follow}, pods, each)
}
