//go:build e2e

package e2e

import (
	"strings"
	"testing"
)

// uninstalled takes greenroom away as its users do: everything is settled or
// aborted, then the operator goes, with its kinds and with the Fleet. Requests
// go on. Then the fleet's own VirtualService is put back, and what greenroom
// made is deleted behind it.
func (st *story) uninstalled(t *testing.T) {
	st.unnoticed(t, func() {
		st.does(t, "", "release", "abort", "r45", "--yes")
		st.settled(t, "r44")
		st.kubectl(t, "delete", "releases.greenroom.dev", "--all", "-n", st.fleet.Namespace, "--timeout", podWait.String())
		before, err := st.ask(st.fleet, "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		st.uninstallOperator(t, st.manifests)
		st.gone = true
		if left, err := st.Kubectl(st.ctx, "", "get", "fleets.greenroom.dev", "-A"); err == nil {
			t.Errorf("there are still Fleets: %s", left)
		}
		if err := st.servesPath(before.Answer.String()); err != nil {
			t.Errorf("without greenroom: %v", err)
		}
		st.answers(t, "what serves, which the gateway still says", "/.greenroom/default", nil, "200")

		st.apply(t, render(t, "virtualservice.yaml", virtualServiceManifest, st.fleet))
		const ours = "app.kubernetes.io/managed-by=greenroom"
		st.kubectl(t, "delete", "virtualservices", "-A", "-l", ours)
		st.answers(t, "a page of greenroom's, which is a service's now", "/.greenroom/default", nil, before.Answer.String())
		st.kubectl(t, "delete", "destinationrules,services,requestauthentications,authorizationpolicies,telemetries", "-A", "-l", ours)
		st.kubectl(t, "delete", "secrets,configmaps", "-n", st.fleet.Namespace, "-l", "greenroom.dev/fleet=live")
		if err := st.servesPath(before.Answer.String()); err != nil {
			t.Errorf("with nothing of greenroom left: %v", err)
		}
	})
	kinds := "virtualservices,destinationrules,services,requestauthentications,authorizationpolicies,telemetries,secrets,configmaps"
	if left := strings.TrimSpace(st.kubectl(t, "get", kinds, "-A", "-l", "greenroom.dev/fleet", "-o", "name")); left != "" {
		t.Errorf("what is left of greenroom: %s", left)
	}
}
