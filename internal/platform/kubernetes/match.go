package kubernetes

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

// Match finds the pods that a release's service means: those that its Rollout
// previews, running the image that the release names. What is found is told by
// template hash and image digest; a tag alone never decides, since what it
// stands for changes. Without a match the condition says what is missing.
func Match(want crd.ReleaseService, seen Seen) (Template, *Condition) {
	r, pods := *seen.Rollout, seen.Pods
	object := "Rollout " + r.Metadata.Name
	if c := unusable(object, r); c != nil {
		return Template{}, c
	}
	hash, ok := r.Preview()
	if !ok {
		return Template{}, &Condition{Type: NoPreview, Object: object, Blocks: true,
			Message: "it has no preview: its template is what it runs already.", Remedy: previewRemedy(want)}
	}
	images, ok := pods[hash].theImages()
	if !ok {
		c := &Condition{Type: NoPreview, Object: object, Blocks: true, Message: "its preview has no running pods yet.", Remedy: "Wait, or look at them: kubectl -n " + r.Metadata.Namespace + " get pods -l " + HashLabel + "=" + hash}
		if trouble := pods[hash].Trouble; trouble.Reason != "" {
			c.Message = "its preview does not start: " + trouble.String() + "."
			c.Remedy = "kubectl -n " + r.Metadata.Namespace + " describe pod " + trouble.Pod + " says more."
		}
		for _, name := range slices.Sorted(maps.Keys(pods[hash].Images)) {
			if several := pods[hash].Images[name]; len(several) > 1 {
				c.Type = ImageDiffers
				c.Message = fmt.Sprintf("the pods of its preview run different images of %s: %s.", name, strings.Join(several, ", "))
				c.Remedy = "Name the image by digest in the Rollout, so that a tag that was moved cannot change it."
			}
		}
		return Template{}, c
	}
	found := Template{Hash: hash, Images: images}
	if want.Image == "" {
		return found, nil
	}
	container, c := theContainer(want, object, images)
	if c != nil {
		return Template{}, c
	}
	if runs := images[container]; !means(want.Image, runs, templateImage(seen.Template, container)) {
		return Template{}, &Condition{Type: ImageDiffers, Object: object, Blocks: true,
			Message: fmt.Sprintf("its preview runs %s, and the release names %s.", runs, want.Image), Remedy: previewRemedy(want)}
	}
	return found, nil
}

func previewRemedy(want crd.ReleaseService) string {
	if want.Apply {
		return "The operator sets the image; wait."
	}
	return "Change its image where it is kept (Git), or write apply: true in the release."
}

// theContainer is the one whose image a release names.
func theContainer(want crd.ReleaseService, object string, images map[string]string) (string, *Condition) {
	switch _, named := images[want.Name]; {
	case want.Container != "":
		if _, ok := images[want.Container]; ok {
			return want.Container, nil
		}
	case len(images) == 1:
		return slices.Sorted(maps.Keys(images))[0], nil
	case named:
		return want.Name, nil
	}
	return "", &Condition{Type: ImageDiffers, Object: object, Blocks: true,
		Message: "it is not clear which container runs the release's image.",
		Remedy:  "Write container: in the release, one of " + strings.Join(slices.Sorted(maps.Keys(images)), ", ") + "."}
}

// means reports whether a named image is the one that runs. By digest it is
// when the digests agree; by tag when the Rollout's template says the same,
// word for word: the pods of that template are then told by their digest.
func means(named, runs, template string) bool {
	if d := digestOf(named); d != "" {
		return d == digestOf(runs)
	}
	return named == template
}

// templateImage is what a template says.
func templateImage(t PodTemplate, container string) string {
	for _, c := range t.Spec.Containers {
		if c.Name == container {
			return c.Image
		}
	}
	return ""
}

// Same reports whether a version is what pods of a hash run now: the same
// template and, as far as both are known, the same digests.
func (t Template) Same(hash string, p Pods) bool {
	if t.Hash == "" || t.Hash != hash {
		return false
	}
	for container, image := range t.Images {
		for _, runs := range p.Images[container] {
			if digestOf(runs) != digestOf(image) {
				return false
			}
		}
	}
	return true
}
