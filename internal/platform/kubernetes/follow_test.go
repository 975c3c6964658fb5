package kubernetes

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/release"
)

func TestFollow(t *testing.T) {
	previewing, live, back, aborted := released(t), released(t), released(t), released(t)
	live.promote("r42")
	back.promote("r42")
	back.must(back.in.Value.State.Rollback("r42", back.alice, back.now))
	aborted.must(aborted.in.Value.State.Abort("r42", aborted.alice, aborted.now))
	const guarded = "metadata: {name: chat, annotations: {greenroom.dev/guarded: r42}, "
	promoted := []string{"activeSelector: aaa", "activeSelector: bbb", "phase: Paused", "phase: Healthy", "BlueGreenPause", "None"}
	updated, again, shared, settled := released(t), released(t), released(t), released(t)
	updated.promote("r42")
	updated.must(updated.in.Value.State.Rollback("r42", updated.alice, updated.now))
	updated.must(updated.in.Value.State.Rebase(release.Opening{Name: "r42", Description: "mended", Versions: []release.Version{updated.in.Value.State.Versions["chat@2"]}}, updated.alice, updated.now))
	again.promote("r42")
	again.must(again.in.Value.State.Rollback("r42", again.alice, again.now))
	again.promote("r42")
	shared.promote("r42")
	shared.must(shared.in.Value.State.Rollback("r42", shared.alice, shared.now))
	shared.must(shared.in.Value.State.Open(release.Opening{Name: "r43", UID: "uid-r43", RollbackWindow: time.Hour, Keep: time.Hour,
		Versions: []release.Version{shared.in.Value.State.Versions["chat@2"]}}, shared.alice, shared.now))
	settled.promote("r42")
	settled.later(time.Hour)
	settled.later(time.Hour)
	const set = "uid-r42/chat=registry.example.com:5000/chat:1"
	putBack := SetImage{Rollout: "chat", Container: "chat", Image: "registry.example.com:5000/chat:1", Was: "registry.example.com:5000/chat:2", Noted: set}
	const orphaned = "uid-r41/chat=registry.example.com:5000/chat:1>registry.example.com:5000/chat:2"
	const two = set + " " + orphaned
	orphan := SetImage{Rollout: "chat", Container: "chat", Image: putBack.Image, Was: putBack.Was, Noted: orphaned}
	under := SetImage{Rollout: "chat", Container: "chat", Image: putBack.Image, Was: putBack.Was, Noted: two, Notes: set}
	empty := newWorld(t, "chat")
	back2 := []string{"currentPodHash: bbb", "currentPodHash: aaa", "chat:2", "chat:1", "phase: Paused", "phase: Healthy", "BlueGreenPause", "None"}
	setAgain := SetImage{Rollout: "chat", Container: "chat", Image: "registry.example.com:5000/chat:2", Was: "registry.example.com:5000/chat:1", Notes: "uid-r42/chat=registry.example.com:5000/chat:1>registry.example.com:5000/chat:2"}
	guardedAlready := []string{"metadata: {name: chat, ", guarded}
	object := &crd.Release{Spec: crd.ReleaseSpec{Services: []crd.ReleaseService{{Name: "chat", Image: "registry.example.com:5000/chat:2", Apply: true}}}}
	object.Name, object.UID, object.Generation = "r42", "uid-r42", 1
	changed := object.DeepCopy()
	changed.Generation = 2
	gitOps := object.DeepCopy()
	gitOps.Spec.Services[0].Apply = false
	namesake := object.DeepCopy()
	namesake.UID = "uid-other"
	for name, c := range map[string]struct {
		w      *world
		r      *Rollout
		former string
		want   []Deed
		object *crd.Release
	}{
		"a preview is guarded":              {previewing, rollout(t), "", []Deed{Guard{"chat", "r42"}}, nil},
		"once":                              {previewing, rollout(t, "metadata: {name: chat, ", guarded), "", nil, nil},
		"not what another one previews":     {previewing, rollout(t, "currentPodHash: bbb", "currentPodHash: ccc"), "", nil, nil},
		"what serves is promoted in Argo":   {live, rollout(t, "metadata: {name: chat, ", guarded), "", []Deed{PromoteRollout{"chat", "77"}}, nil},
		"not before Argo waits":             {live, rollout(t, "metadata: {name: chat, ", guarded, "BlueGreenPause", "None"), "", nil, nil},
		"not by what it was before":         {live, rollout(t, "metadata: {name: chat, ", guarded, "generation: 7", "generation: 8"), "", nil, nil},
		"then newer revisions may come":     {live, rollout(t, append([]string{"metadata: {name: chat, ", guarded}, promoted...)...), "", []Deed{Guard{"chat", ""}}, nil},
		"rolled back, it may be reverted":   {back, rollout(t, "metadata: {name: chat, ", guarded), "", []Deed{Guard{"chat", ""}}, nil},
		"rolled back, our image goes back":  {back, rollout(t, promoted...), set, []Deed{putBack}, nil},
		"aborted, our image goes back":      {aborted, rollout(t), set, []Deed{putBack}, nil},
		"aborted, somebody else's does not": {aborted, rollout(t), "", nil, nil},
		"live, our image stays":             {live, rollout(t, promoted...), set, nil, nil},

		"another release's image stays":      {back, rollout(t, promoted...), "uid-r41/chat=registry.example.com:5000/chat:1", []Deed{ForgetImage{"chat", "uid-r41/chat=registry.example.com:5000/chat:1", ""}}, nil},
		"nobody's, and nobody brings it":     {empty, rollout(t), orphaned, []Deed{orphan}, nil},
		"nobody's, unseen by Argo yet":       {empty, rollout(t, "generation: 7", "generation: 8"), orphaned, nil, nil},
		"nobody's, somebody else's is there": {empty, rollout(t, "chat:2", "chat:3"), orphaned, []Deed{ForgetImage{"chat", orphaned, ""}}, nil},
		"nobody's, promoted by hand":         {empty, rollout(t, promoted...), orphaned, []Deed{ForgetImage{"chat", orphaned, ""}}, nil},
		"nobody's over one that is live":     {live, rollout(t, append([]string{"metadata: {name: chat, ", guarded, "currentPodHash: bbb", "currentPodHash: ccc"}, "activeSelector: aaa", "activeSelector: bbb")...), two, []Deed{Guard{"chat", ""}, under}, nil},
		"settled under another's":            {settled, rollout(t, promoted...), set + " uid-r42x/a=b:1", []Deed{ForgetImage{"chat", set + " uid-r42x/a=b:1", set}}, nil},
		"a release that is not opened yet":   {back, rollout(t, promoted...), "uid-other/chat=registry.example.com:5000/chat:1", nil, namesake},
		"a note of another form":             {back, rollout(t, promoted...), "chat=registry.example.com:5000/chat:1", nil, nil},
		"another release brings it as well":  {shared, rollout(t, promoted...), set, nil, nil},
		"rolled back, and being changed":     {back, rollout(t, promoted...), set, nil, changed},
		"rolled back, and not changed":       {back, rollout(t, promoted...), set, []Deed{putBack}, object},
		"rolled back, somebody else's there": {back, rollout(t, append([]string{"currentPodHash: bbb", "currentPodHash: ccc"}, promoted...)...), set, nil, nil},
		"put back by somebody else":          {back, rollout(t, append([]string{"chat:2", "chat:1"}, promoted...)...), set, []Deed{ForgetImage{"chat", set, ""}}, nil},
		"changed after a rollback":           {updated, rollout(t, guardedAlready...), set, nil, nil},
		"settled, there is no way back":      {settled, rollout(t, promoted...), set, []Deed{ForgetImage{"chat", set, ""}}, nil},
		"aborted, its image is gone":         {aborted, rollout(t, back2...), set, []Deed{ForgetImage{"chat", set, ""}}, nil},
		"aborted while it was corrected":     {aborted, rollout(t, "currentPodHash: bbb", "currentPodHash: ccc"), set, []Deed{putBack}, object},
		"live again, its image is set again": {again, rollout(t, back2...), "", []Deed{setAgain}, object},
		"not for GitOps":                     {again, rollout(t, back2...), "", nil, gitOps},
		"not for a namesake":                 {again, rollout(t, back2...), "", nil, namesake},
		"not before the change is taken in":  {again, rollout(t, back2...), "", nil, changed},
		"not where something is previewed":   {again, rollout(t, append([]string{"currentPodHash: bbb", "currentPodHash: ccc"}, back2[2:]...)...), "", nil, object},
		"rolled back, it is not set again":   {back, rollout(t, back2...), "", nil, object},
	} {
		var objects []*crd.Release
		if c.object != nil {
			objects = append(objects, c.object)
		}
		c.w.in.Value.Opened = map[string]int64{"r42": 1}
		got := Follow(c.w.in.Fleet, c.w.in.Value, objects, map[string]Seen{"chat": {Rollout: c.r, Template: c.r.Spec.Template, FormerImage: c.former}})
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestApply(t *testing.T) {
	const next = "registry.example.com:5000/chat:3"
	idle := []string{"currentPodHash: bbb", "currentPodHash: aaa"}
	set := []SetImage{{Rollout: "chat", Container: "chat", Image: next, Was: "registry.example.com:5000/chat:2", Notes: "uid-r43/chat=registry.example.com:5000/chat:2>" + next}}
	for name, c := range map[string]struct {
		want crd.ReleaseService
		r    *Rollout
		set  []SetImage
	}{
		"an image to set":               {crd.ReleaseService{Name: "chat", Image: next, Apply: true}, rollout(t, idle...), set},
		"of GitOps":                     {crd.ReleaseService{Name: "chat", Image: next}, rollout(t, idle...), nil},
		"set already":                   {crd.ReleaseService{Name: "chat", Image: "registry.example.com:5000/chat:2", Apply: true}, rollout(t, idle...), nil},
		"it previews something":         {crd.ReleaseService{Name: "chat", Image: next, Apply: true}, rollout(t), nil},
		"it promotes by itself":         {crd.ReleaseService{Name: "chat", Image: next, Apply: true}, rollout(t, append(idle, "autoPromotionEnabled: false", "autoPromotionEnabled: true")...), nil},
		"no such container":             {crd.ReleaseService{Name: "chat", Container: "main", Image: next, Apply: true}, rollout(t, idle...), nil},
		"a service the fleet lacks":     {crd.ReleaseService{Name: "gift", Image: next, Apply: true}, rollout(t, idle...), nil},
		"Argo has not seen it as it is": {crd.ReleaseService{Name: "chat", Image: next, Apply: true}, rollout(t, append(idle, "generation: 7", "generation: 8")...), nil},
	} {
		w := newWorld(t, "chat")
		r := &crd.Release{Spec: crd.ReleaseSpec{Services: []crd.ReleaseService{c.want}}}
		r.Name, r.UID = "r43", "uid-r43"
		got := Apply(r, w.in.Fleet, w.in.Value, map[string]Seen{"chat": {Rollout: c.r, Template: c.r.Spec.Template}})
		if diff := cmp.Diff(c.set, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// A release whose image the operator set can name another one, and what is put
// back in the end is what was there before the first.
func TestApplyAgain(t *testing.T) {
	const at = "registry.example.com:5000/chat:"
	set := func(image, noted, notes string) []SetImage {
		return []SetImage{{Rollout: "chat", Container: "chat", Image: at + image, Was: at + "2", Noted: noted, Notes: notes}}
	}
	open, live := released(t), released(t)
	live.promote("r42")
	const note = "uid-r42/chat=" + at + "1"
	for name, c := range map[string]struct {
		w     *world
		uid   string
		want  crd.ReleaseService
		r     *Rollout
		noted string
		set   []SetImage
	}{
		"its own, before it was opened":     {newWorld(t, "chat"), "uid-r42", crd.ReleaseService{Image: at + "3"}, rollout(t), note, set("3", note, note+">"+at+"3")},
		"its own candidate":                 {open, "uid-r42", crd.ReleaseService{Image: at + "3"}, rollout(t), note, set("3", note, note+">"+at+"3")},
		"its own, that Git brought":         {open, "uid-r42", crd.ReleaseService{Image: at + "3"}, rollout(t), "", set("3", "", "uid-r42/chat="+at+"2>"+at+"3")},
		"back to the first":                 {open, "uid-r42", crd.ReleaseService{Image: at + "1"}, rollout(t), note, set("1", note, "")},
		"another release's":                 {open, "uid-r43", crd.ReleaseService{Image: at + "3"}, rollout(t), note, nil},
		"nobody's":                          {newWorld(t, "chat"), "uid-r42", crd.ReleaseService{Image: at + "3"}, rollout(t), "", nil},
		"a newer one in place of its own":   {open, "uid-r42", crd.ReleaseService{Image: at + "3"}, rollout(t, "currentPodHash: bbb", "currentPodHash: ccc"), "", nil},
		"over one that is live":             {live, "uid-r43", crd.ReleaseService{Image: at + "3"}, rollout(t, "currentPodHash: bbb", "currentPodHash: aaa"), note, set("3", note, note+" uid-r43/chat="+at+"2>"+at+"3")},
		"live, it does not change any more": {live, "uid-r42", crd.ReleaseService{Image: at + "3"}, rollout(t, "currentPodHash: bbb", "currentPodHash: aaa"), note, nil},
		"another container, one by one":     {open, "uid-r42", crd.ReleaseService{Image: at + "3", Container: "side"}, rollout(t, `chat:2"}`, `chat:2"}`+"\n      - {name: side, image: s}"), note, set("1", note, "")},
	} {
		c.want.Name, c.want.Apply = "chat", true
		r := &crd.Release{Spec: crd.ReleaseSpec{Services: []crd.ReleaseService{c.want}}}
		r.Name, r.UID = "r42", types.UID(c.uid)
		if c.uid != "uid-r42" {
			r.Name = "r43"
		}
		got := Apply(r, c.w.in.Fleet, c.w.in.Value, map[string]Seen{"chat": {Rollout: c.r, Template: c.r.Spec.Template, FormerImage: c.noted}})
		if diff := cmp.Diff(c.set, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// What was set for a Release that was deleted before it was opened is put back.
func TestPutBack(t *testing.T) {
	const at = "registry.example.com:5000/chat:"
	r := rollout(t)
	seen := map[string]Seen{
		"chat": {Rollout: r, Template: r.Spec.Template, FormerImage: "uid-r42/chat=" + at + "1"},
		"gift": {Rollout: r, Template: r.Spec.Template, FormerImage: "uid-r41/chat=" + at + "1"},
		"mail": {Rollout: r, Template: r.Spec.Template},
		"web":  {Rollout: r, Template: r.Spec.Template, FormerImage: "uid-r42/chat=" + at + "2"},
	}
	want := []Deed{
		SetImage{Rollout: "chat", Container: "chat", Image: at + "1", Was: at + "2", Noted: "uid-r42/chat=" + at + "1"},
		ForgetImage{Rollout: "chat", Noted: "uid-r42/chat=" + at + "2"},
	}
	if diff := cmp.Diff(want, PutBack("uid-r42", newWorld(t, "chat").in.Value, seen)); diff != "" {
		t.Error(diff)
	}
	want[0] = ForgetImage{Rollout: "chat", Noted: "uid-r42/chat=" + at + "1"}
	others := newWorld(t, "chat")
	others.open("r43", "chat", "2")
	others.in.Value.Templates["chat@2"] = Template{Hash: "bbb"}
	if diff := cmp.Diff(want, PutBack("uid-r42", others.in.Value, seen)); diff != "" {
		t.Error(diff)
	}
}

func TestFormerImage(t *testing.T) {
	f := Former{UID: "0d6e", Container: "chat", Image: "registry.example.com:5000/chat:1@sha256:11"}
	set := Former{UID: "0d6f", Container: "chat", Image: f.Image, Set: "registry.example.com:5000/chat:2"}
	for _, one := range []Former{f, set} {
		if got, ok := FormerImage(one.String()); !ok || got != one {
			t.Errorf("%s was read as %+v, %t", one, got, ok)
		}
	}
	both := Formers{f, set}
	if got := FormerImages(both.String() + " chat=web:1"); !slices.Equal(got, both) {
		t.Errorf("%s was read as %v", both, got)
	}
	set.Image, set.Set = set.Set, "registry.example.com:5000/chat:3"
	if got := (Formers{f, set}).passOn(f.UID); len(got) != 1 || got[0].Image != f.Image || got[0].Set != set.Set {
		t.Errorf("what is to be put back is passed on as %v", got)
	}
	for _, text := range []string{"", "chat", "chat=web:1", "chat=registry.example.com/chat:1", "0d6e/chat", "0d6e/=web:1", "0d6e/chat=", "/chat=web:1"} {
		if got, ok := FormerImage(text); ok {
			t.Errorf("%q was read as %+v", text, got)
		}
	}
}
