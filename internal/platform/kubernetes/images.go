package kubernetes

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// FormerImageAnnotation stands on what has a template whose image the operator
// has set for a release. It is Formers, as text.
const FormerImageAnnotation = "greenroom.dev/former-image"

// Former is an image to put back when the release is taken back for which
// another one was set.
type Former struct {
	UID       string // of the release
	Container string
	Image     string
	Set       string // in its place; "": it was not noted
}

// String is UID/container=image, and >set if that is known.
func (f Former) String() string {
	text := f.UID + "/" + f.Container + "=" + f.Image
	if f.Set != "" {
		text += ">" + f.Set
	}
	return text
}

// FormerImage reads what Former.String wrote; false if it is none or names no
// release.
func FormerImage(text string) (Former, bool) {
	uid, rest, _ := strings.Cut(text, "/")
	container, image, _ := strings.Cut(rest, "=")
	image, set, _ := strings.Cut(image, ">")
	ok := uid != "" && !strings.Contains(uid, "=") && container != "" && image != ""
	return Former{UID: uid, Container: container, Image: image, Set: set}, ok
}

// Formers are those of one template, the first that was set first. Each
// release has at most one.
type Formers []Former

// FormerImages reads FormerImageAnnotation. What is no Former is left out.
func FormerImages(annotation string) Formers {
	var out Formers
	for _, text := range strings.Fields(annotation) {
		if f, ok := FormerImage(text); ok {
			out = append(out, f)
		}
	}
	return out
}

// String joins them by spaces.
func (l Formers) String() string {
	texts := make([]string, len(l))
	for i, f := range l {
		texts[i] = f.String()
	}
	return strings.Join(texts, " ")
}

func (l Formers) find(uid string) int {
	return slices.IndexFunc(l, func(f Former) bool { return f.UID == uid })
}

// with has a release's note, in the place of the one that it had.
func (l Formers) with(f Former) Formers {
	out := slices.Clone(l)
	if at := out.find(f.UID); at >= 0 {
		out[at] = f
		return out
	}
	return append(out, f)
}

func (l Formers) without(uid string) Formers {
	return slices.DeleteFunc(slices.Clone(l), func(f Former) bool { return f.UID == uid })
}

// passOn is without a release whose image nobody is to have again: what was set
// over it goes back to what it replaced.
func (l Formers) passOn(uid string) Formers {
	out := slices.Clone(l)
	if at := out.find(uid); at >= 0 && at+1 < len(out) && out[at+1].Container == out[at].Container {
		out[at+1].Image = out[at].Image
	}
	return out.without(uid)
}

// undo puts a former image back, or forgets it where it is there already or its
// container is gone.
func (s Seen) undo(f Former) Deed {
	left := FormerImages(s.FormerImage).without(f.UID)
	was := templateImage(s.Template, f.Container)
	if was == "" || was == f.Image {
		return s.forget(left)
	}
	return SetImage{Rollout: s.Rollout.Metadata.Name, Container: f.Container, Image: f.Image, Was: was, Noted: s.FormerImage, Notes: left.String()}
}

func (s Seen) forget(left Formers) Deed {
	return ForgetImage{Rollout: s.Rollout.Metadata.Name, Noted: s.FormerImage, Notes: left.String()}
}

// PutBack says what takes back the images that were set for a Release that was
// never opened: only its UID, in the annotation, tells of it. What somebody
// else's release brings, or serves, stays.
func PutBack(uid string, v Value, seen map[string]Seen) []Deed {
	var out []Deed
	for _, service := range slices.Sorted(maps.Keys(seen)) {
		one := seen[service]
		notes := FormerImages(one.FormerImage)
		if at := notes.find(uid); at >= 0 && one.Rollout != nil {
			out = append(out, images{value: v, service: service, seen: one}.orphan(notes[at]))
		}
	}
	return out
}

// orphan is what is done about a note whose release is known to nobody: the
// image goes back while the Rollout previews the one that was set, or is about
// to, and no release brings the same.
func (i images) orphan(f Former) Deed {
	r, notes := *i.seen.Rollout, FormerImages(i.seen.FormerImage)
	last := notes.find(f.UID) == len(notes)-1
	theirs := f.Set != "" && f.Set == templateImage(i.seen.Template, f.Container)
	hash, previews := r.Preview()
	switch {
	case last && theirs && !r.Observed():
		return i.seen.undo(f)
	case last && (theirs || f.Set == "") && previews && !i.brought(hash) && i.hash(i.value.State.DefaultVersion(i.service)) != hash:
		return i.seen.undo(f)
	}
	return i.seen.forget(notes.passOn(f.UID))
}

// brought reports whether any release that is not over brings a hash, be it
// taken back.
func (i images) brought(hash string) bool {
	for _, one := range i.value.State.Releases {
		if !one.Phase.Ended() && one.Phase != release.Failed && i.hash(one.Versions[i.service]) == hash {
			return true
		}
	}
	return false
}

// images decides on the image that one service's Rollout has for a release.
type images struct {
	value    Value
	releases []*crd.Release
	service  string
	seen     Seen
}

// back puts back the image that was set for a release that was taken back or
// aborted, and forgets it when it is not needed any more. What was set last is
// looked at first.
func (i images) back() (Deed, bool) {
	for _, f := range slices.Backward(FormerImages(i.seen.FormerImage)) {
		if d, ok := i.backTo(f); ok {
			return d, true
		}
	}
	return nil, false
}

func (i images) backTo(f Former) (Deed, bool) {
	notes := FormerImages(i.seen.FormerImage)
	r, known := i.release(f.UID)
	object := i.object(f.UID)
	switch {
	case !known && object != nil:
		return nil, false // it is about to be opened, or let go
	case !known:
		return i.orphan(f), true // it went before it was known what was set for it
	}
	now := i.seen.Rollout.Status.CurrentPodHash
	brings := now != "" && i.hash(r.Versions[i.service]) == now
	switch {
	case r.Phase == release.Settling || r.Phase == release.Settled: // past the point of no return
		return i.seen.forget(notes.without(f.UID)), true
	case r.Phase == release.Aborted:
		if !brings && !i.names(object, f.Container) {
			return i.seen.forget(notes.passOn(f.UID)), true // somebody else's is there
		}
	case !r.TakenBack() || !brings:
		return nil, false
	case object != nil && i.value.Opened[r.Name] != object.Generation:
		return nil, false // it is being changed
	}
	if i.hash(i.value.State.DefaultVersion(i.service)) == now {
		return i.seen.forget(notes.passOn(f.UID)), r.Phase == release.Aborted
	}
	if i.anothers(r, now) {
		return nil, false
	}
	return i.seen.undo(f), true
}

// again sets the image once more for a release that is Live again after it was
// put back: else Argo would scale down the pods that serve.
func (i images) again() (Deed, bool) {
	r := *i.seen.Rollout
	now := r.Status.CurrentPodHash
	if now == "" || now != r.Active() || unusable("", r) != nil {
		return nil, false // what it previews has to be decided on first
	}
	for _, object := range i.releases {
		one := i.value.State.Releases[object.Name]
		hash := i.hash(one.Versions[i.service])
		if one.UID != string(object.UID) || one.Phase != release.Live || i.value.Opened[one.Name] != object.Generation || hash == "" || hash == now {
			continue
		}
		want, applies := applied(object, i.service)
		container, there := i.seen.container(want)
		if !applies || !there || container.Image == want.Image {
			continue
		}
		f := Former{UID: one.UID, Container: container.Name, Image: container.Image, Set: want.Image}
		return SetImage{Rollout: r.Metadata.Name, Container: container.Name, Image: want.Image, Was: container.Image,
			Noted: i.seen.FormerImage, Notes: FormerImages(i.seen.FormerImage).with(f).String()}, true
	}
	return nil, false
}

func (i images) hash(version string) string { return i.value.Templates[version].Hash }

// release is the one that the state knows by a UID.
func (i images) release(uid string) (release.Release, bool) {
	for _, r := range i.value.State.Releases {
		if r.UID == uid {
			return r, true
		}
	}
	return release.Release{}, false
}

func (i images) object(uid string) *crd.Release {
	at := slices.IndexFunc(i.releases, func(r *crd.Release) bool { return string(r.UID) == uid })
	if at < 0 {
		return nil
	}
	return i.releases[at]
}

// names reports whether the template has the very image that a Release asks to
// be set.
func (i images) names(object *crd.Release, container string) bool {
	if object == nil {
		return false
	}
	want, applies := applied(object, i.service)
	return applies && want.Image == templateImage(i.seen.Template, container)
}

// anothers reports whether a release that is not over brings a hash as well.
func (i images) anothers(than release.Release, hash string) bool {
	for _, one := range i.value.State.Releases {
		if one.UID != than.UID && !one.Phase.Ended() && one.Phase != release.Failed && !one.TakenBack() && i.hash(one.Versions[i.service]) == hash {
			return true
		}
	}
	return false
}

// applied is what a Release says of a service whose image it asks to be set.
func applied(r *crd.Release, service string) (crd.ReleaseService, bool) {
	for _, want := range r.Spec.Services {
		if want.Name == service && want.Apply {
			return want, true
		}
	}
	return crd.ReleaseService{}, false
}

// container is the one of the template whose image a Release names.
func (s Seen) container(want crd.ReleaseService) (Container, bool) {
	name := want.Container
	if name == "" && len(s.Template.Spec.Containers) == 1 {
		name = s.Template.Spec.Containers[0].Name
	}
	name = cmp.Or(name, want.Name)
	at := slices.IndexFunc(s.Template.Spec.Containers, func(c Container) bool { return c.Name == name })
	if at < 0 {
		return Container{}, false
	}
	return s.Template.Spec.Containers[at], true
}

// Apply says which images to set for a Release that says so, while its
// Rollouts do not preview them: only where the Rollout can be released with
// and previews nothing but what the Release itself has brought before.
func Apply(r *crd.Release, f *crd.Fleet, v Value, seen map[string]Seen) []SetImage {
	known, there := v.State.Releases[r.Name]
	there = there && known.UID == string(r.UID)
	if len(CheckRelease(r, f)) > 0 || there && !changeable(known) {
		return nil
	}
	var out []SetImage
	for _, want := range r.Spec.Services {
		one := seen[want.Name]
		if !want.Apply || one.Rollout == nil || !one.Rollout.Observed() || unusable("", *one.Rollout) != nil {
			continue
		}
		noted := FormerImages(one.FormerImage).find(string(r.UID)) >= 0
		hash, previews := one.Rollout.Preview()
		if ours := there && hash == v.Templates[known.Versions[want.Name]].Hash; previews && !noted && !ours {
			continue // what it previews has to be decided on first
		}
		if by := guarding(v, want.Name, *one.Rollout); by != "" && by != r.Name {
			continue
		}
		if d, ok := one.apply(want, string(r.UID)); ok {
			out = append(out, d)
		}
	}
	return out
}

// changeable reports whether what a release brings may still be another image.
func changeable(r release.Release) bool {
	return r.Phase == release.Preparing || r.Phase == release.Previewing || r.Phase == release.Failed
}

// apply sets the image that a Release names. What to put back stays the image
// from before the first that was set for it.
func (s Seen) apply(want crd.ReleaseService, uid string) (SetImage, bool) {
	container, there := s.container(want)
	if !there || container.Image == want.Image {
		return SetImage{}, false
	}
	notes := FormerImages(s.FormerImage)
	f := Former{UID: uid, Container: container.Name, Image: container.Image, Set: want.Image}
	if at := notes.find(uid); at >= 0 {
		if notes[at].Container != container.Name {
			if back, sets := s.undo(notes[at]).(SetImage); sets {
				return back, true // one image at a time
			}
		} else {
			f.Image = notes[at].Image
		}
	}
	out := SetImage{Rollout: s.Rollout.Metadata.Name, Container: container.Name, Image: want.Image, Was: container.Image, Noted: s.FormerImage}
	if f.Image == out.Image {
		out.Notes = notes.without(uid).String()
		return out, true
	}
	out.Notes = notes.with(f).String()
	return out, true
}
