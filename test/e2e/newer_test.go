//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/client"
)

const guardBinding = "validatingadmissionpolicybinding/greenroom-guard"

// guarded syncs a newer image, as somebody does who does not know of r42: into
// a Rollout, and into the Deployment that another one refers to.
func (st *story) guarded(t *testing.T) {
	for _, name := range []string{"api", "chat"} {
		err := st.trySetImage(st.fleet, name, stray)
		if err == nil || !strings.Contains(err.Error(), "release r42 is under way") {
			t.Errorf("%s: got %v, want a refusal that names r42", name, err)
		}
	}
}

// unguarded does the same where the guard is not installed: Argo has a newer
// preview, which is told, r42 is not promoted, and ordinary requests notice
// nothing. With the image put back r42 is what it was. The guard stays away.
func (st *story) unguarded(t *testing.T) {
	st.kubectl(t, "delete", guardBinding)
	p := st.mint(t, "r42")
	st.unnoticed(t, func() {
		st.await(t, "the API server to let the image in", routeWait, func() error { return st.trySetImage(st.fleet, "gift", stray) })
		st.awaitCondition(t, st.fleet, "TemplateChanged", true)
		if got := st.greenroom(t, "", "promote", "r42", "--yes"); got.code != 3 || !strings.Contains(got.complaint, "template changed") {
			t.Errorf("promote ended with %d: %s%s", got.code, got.out, got.complaint)
		}
		st.answers(t, "the preview, whose pods Argo still has", "/", held(p.Token), "api=v2 chat=v2 gift=v2")
		st.setImage(t, st.fleet, "gift", "v2")
		st.awaitReady(t, st.fleet, "gift")
		st.awaitCondition(t, st.fleet, "TemplateChanged", false)
		st.answers(t, "the preview", "/", held(p.Token), "api=v2 chat=v2 gift=v2")
	})
}

// guardedAgain waits until the operator says that the guard is missing, which it
// looks for from time to time and as soon as it runs, and installs it again.
func (st *story) guardedAgain(t *testing.T) {
	t.Helper()
	st.awaitCondition(t, st.fleet, "GuardMissing", true)
	st.apply(t, st.manifests)
}

// newerWhileLive syncs a newer image while r42 is live and active in Argo, which
// nobody is against: Argo previews it, r42 serves on, and can be rolled back.
func (st *story) newerWhileLive(t *testing.T) {
	st.unnoticed(t, func() {
		st.setImage(t, st.fleet, "api", stray)
		st.awaitReady(t, st.fleet, "api")
		st.await(t, "a preview of the newer image", podWait, func() error {
			r, err := st.rollout(st.fleet.Namespace, "api")
			if err == nil && r.Status.CurrentPodHash == r.Status.BlueGreen.ActiveSelector {
				err = fmt.Errorf("%s is active", r.Status.CurrentPodHash)
			}
			return err
		})
		st.answers(t, "ordinary requests", "/", nil, "api=v2 chat=v2 gift=v2")
		if _, err := st.by.Rollback(st.ctx, "r42", client.Asked{Reason: "with a newer image behind it"}); err != nil {
			t.Fatal(err)
		}
		st.answers(t, "ordinary requests, rolled back", "/", nil, "api=v1 chat=v1 gift=v1")
		st.setImage(t, st.fleet, "api", "v2")
		st.awaitReady(t, st.fleet, "api")
		st.promoted(t, "r42")
		st.answers(t, "ordinary requests, promoted again", "/", nil, "api=v2 chat=v2 gift=v2")
	})
}

// promoted promotes a release as soon as nothing speaks against it.
func (st *story) promoted(t *testing.T, name string) {
	t.Helper()
	st.await(t, name+" to be promoted", podWait, func() error {
		_, err := st.by.Promote(st.ctx, name, client.Promote{})
		return err
	})
}
