package kubernetes

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

// ReleaseOf is a Release of that name, made of SERVICE=IMAGE pairs, whose images
// the operator is to set (apply: true). The error names the pair that is none.
func ReleaseOf(name string, sets []string) (*unstructured.Unstructured, error) {
	var services []any
	for _, set := range sets {
		service, image, ok := strings.Cut(set, "=")
		if !ok || service == "" || strings.TrimSpace(image) == "" {
			return nil, fmt.Errorf("--set %s: write --set api=registry.example.com/api:2.5.0", set)
		}
		services = append(services, map[string]any{"name": service, "image": image, "apply": true})
	}
	r := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"services": services}}}
	r.SetGroupVersionKind(crd.GroupVersion().WithKind("Release"))
	r.SetName(name)
	return r, nil
}

// ReadRelease reads a text that holds one Release, whose status does not count.
// What its fields must be the API server says. The error names the text.
func ReadRelease(name string, text []byte) (*unstructured.Unstructured, error) {
	r := &unstructured.Unstructured{}
	if err := yaml.UnmarshalStrict(text, &r.Object); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if r.GroupVersionKind() != crd.GroupVersion().WithKind("Release") || r.GetName() == "" {
		return nil, fmt.Errorf("%s must hold one Release of %s with a name, and nothing else", name, crd.GroupVersion())
	}
	unstructured.RemoveNestedField(r.Object, "status")
	return r, nil
}
