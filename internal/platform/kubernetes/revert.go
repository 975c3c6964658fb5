package kubernetes

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// Revert is a Release of the versions that r replaced, named by the images
// that their pods ran. Services that have them again are left out. Of r's own
// object, where it is still there, it takes whether images are to be set.
func Revert(r release.Release, v Value, object *crd.Release) *crd.Release {
	out := &crd.Release{
		TypeMeta:   metav1.TypeMeta{APIVersion: crd.GroupVersion().String(), Kind: "Release"},
		ObjectMeta: metav1.ObjectMeta{Name: "revert-" + r.Name},
		Spec:       crd.ReleaseSpec{Description: "Back to what " + r.Name + " replaced"},
	}
	if object != nil {
		out.Spec.RollbackWindow, out.Spec.Keep = object.Spec.RollbackWindow, object.Spec.Keep
	}
	for _, service := range slices.Sorted(maps.Keys(r.Replaces)) {
		former := v.Templates[r.Replaces[service]]
		if former.Hash == "" || r.Replaces[service] == v.State.DefaultVersion(service) {
			continue
		}
		one := crd.ReleaseService{Name: service, Image: MainImage(service, former)}
		if object != nil {
			if i := slices.IndexFunc(object.Spec.Services, func(s crd.ReleaseService) bool { return s.Name == service }); i >= 0 {
				one.Container, one.Apply = object.Spec.Services[i].Container, object.Spec.Services[i].Apply
			}
		}
		if image, named := former.Images[one.Container]; named {
			one.Image = image
		}
		out.Spec.Services = append(out.Spec.Services, one)
	}
	return out
}
