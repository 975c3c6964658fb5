package config

import (
	"bytes"
	"fmt"

	"github.com/goccy/go-yaml"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// ExportRelease writes a Release document that opens the same versions again,
// whatever serves then. Hooks are left out: they belong to the release that
// brought them.
func ExportRelease(r fleet.Release) ([]byte, error) {
	doc := v1alpha1.Release{
		APIVersion: v1alpha1.APIVersion,
		Kind:       v1alpha1.KindRelease,
		Metadata:   v1alpha1.Metadata{Name: r.Name},
		Spec: v1alpha1.ReleaseSpec{
			Description:    r.Description,
			RollbackWindow: v1alpha1.DurationOf(r.RollbackWindow),
			Keep:           v1alpha1.DurationOf(r.Keep),
		},
	}
	for _, v := range r.Versions {
		one := v1alpha1.ReleaseService{
			Name: v.Service, Version: v.Name, Endpoints: v.Endpoints,
			Source: v1alpha1.Source{Commit: v.Source.Commit, URL: v.Source.URL},
		}
		if v.Run != nil {
			one.Run = exportRun(*v.Run)
		}
		doc.Spec.Services = append(doc.Spec.Services, one)
	}
	var b bytes.Buffer
	if err := yaml.NewEncoder(&b, yaml.UseLiteralStyleIfMultiline(false)).Encode(doc); err != nil {
		return nil, fmt.Errorf("write the release %s as a document: %w", r.Name, err)
	}
	return b.Bytes(), nil
}

// Differences lists what differs between two versions of a service, by field.
// It never shows what environment variables hold.
func Differences(before, after fleet.Version) []Difference { return versionFields(before, after) }
