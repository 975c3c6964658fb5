//go:build e2e

package operator_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/greenroom-dev/greenroom/internal/operator/operatortest"
	"github.com/greenroom-dev/greenroom/test/browser/harness"
)

// TestBrowser is the operator's dashboard in a real browser: a link by a token,
// the fleet without numbers, a promotion by the page, and the list of fleets.
func TestBrowser(t *testing.T) {
	cluster := operatortest.Start(t, operatortest.User{Name: "alice", Groups: []string{"system:masters"}})
	install(t, cluster)
	r := newRig(t, cluster, "web", "chat", "gift")
	r.fleet("web", "chat", "gift")
	r.serves("baseline")
	r.release("r42", "2", "web", "chat")
	r.until("r42 is shown as previewing", func() error {
		one, err := r.api.Release(t.Context(), "r42")
		if err == nil && one.Phase != "Previewing" {
			err = errors.New(one.Phase)
		}
		return err
	})
	token := r.account("oncall", "greenroom-operator")
	link := r.link(token)
	b := harness.Open(t, harness.Profile{})
	b.Visit(r.url + link)
	b.Shows("Serving baseline", "r42", "the numbers are in your Prometheus", "oncall")
	b.Accessible("fleet")
	b.Shot("operator-fleet")
	b.Click("r42 Previewing")
	b.Shows("Go / no-go", "What a promotion changes")
	b.Accessible("release")
	b.Shot("operator-release")
	b.Click("Promote")
	b.Shows("Ordinary requests get r42 instead of baseline")
	b.Fill("Type r42 to confirm", "r42")
	b.Shot("operator-promote")
	b.Click("Promote r42")
	b.Shows("Serving r42", "Roll back r42") // told by the stream
	b.Click("Fleet")
	b.Click("Open a release")
	b.Shows("A version is an image")
	b.Accessible("open")
	b.Fill("Name of the release", "r43")
	b.Fill("gift", image("gift", "2"))
	b.Shot("operator-open")
	b.Click("Open the release")
	b.Shows("r43 Previewing")
	b.Click("Settings")
	b.Shows("greenroom-viewer", "greenroom makes no tokens here")
	b.Accessible("settings")
	b.Shot("operator-settings")
	b.Click("Fleets")
	b.Shows(r.ns+"/live", "Serving r42")
	b.Accessible("fleets")
	b.Shot("operator-fleets")
	b.Click("Log out")
	b.Shows("Token of the cluster", "kubectl create token")
	b.Accessible("login")
	b.Shot("operator-login")
	if resp, _ := r.browser().get(r.home()); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("a stranger gets %s", resp.Status)
	}
}
