package config

import (
	"slices"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// ExportRelease writes a Release document that asks for what r holds, with
// absolute paths and nothing left to what it replaces but one thing: a document
// cannot say which environment variables a version does not have, only which it
// removes, so those of a replaced version that r's has not would stay. It fails
// if the document would be too large to be read back.
func ExportRelease(r fleet.Release) ([]byte, error) {
	doc := v1alpha1.Release{
		APIVersion: v1alpha1.APIVersion,
		Kind:       v1alpha1.KindRelease,
		Metadata:   v1alpha1.Metadata{Name: r.Name},
		Spec: v1alpha1.ReleaseSpec{
			Description:    r.Description,
			RollbackWindow: v1alpha1.DurationOf(r.RollbackWindow),
			Keep:           v1alpha1.DurationOf(r.Keep),
			Checklist:      exportChecklist(r.Checklist),
			Hooks: v1alpha1.Hooks{
				Prepare:  exportHooks(r.Hooks.Prepare),
				Verify:   exportHooks(r.Hooks.Verify),
				Settle:   exportHooks(r.Hooks.Settle),
				Rollback: exportHooks(r.Hooks.Rollback),
				Abort:    exportHooks(r.Hooks.Abort),
			},
		},
	}
	for _, v := range r.Versions {
		one := v1alpha1.ReleaseService{
			Name:      v.Service,
			Source:    v1alpha1.Source(v.Source),
			Endpoints: slices.Clone(v.Endpoints),
		}
		if !unnamed(v) {
			one.Version = v.Name
		}
		if v.Run != nil {
			one.Run = exportRun(*v.Run)
		}
		doc.Spec.Services = append(doc.Spec.Services, one)
	}
	return document(doc, "the release "+r.Name)
}

func exportHooks(list []fleet.Hook) []v1alpha1.Hook {
	var out []v1alpha1.Hook
	for _, h := range list {
		one := v1alpha1.Hook{
			Name:    h.Name,
			Run:     slices.Clone(h.Run),
			Dir:     h.Dir,
			Env:     h.Env,
			Timeout: v1alpha1.DurationOf(h.Timeout),
		}
		if h.HTTP != nil {
			one.HTTP = &v1alpha1.HTTPCheck{Path: h.HTTP.Path, Method: h.HTTP.Method}
			if h.HTTP.Status != 0 {
				one.HTTP.Status = &h.HTTP.Status
			}
		}
		out = append(out, one)
	}
	return out
}
