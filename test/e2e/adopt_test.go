//go:build e2e

package e2e

import (
	"fmt"
	"testing"
	"time"
)

// healthyFor is how long a Rollout that takes a Deployment's place has been
// healthy before the Deployment's pods go: kubectl greenroom adopt says "some
// seconds".
const healthyFor = 3 * time.Second

// adopted puts a Rollout in the place of the Deployment chat, step by step as
// kubectl greenroom adopt says. No request notices.
func (st *story) adopted(t *testing.T) {
	st.apply(t, render(t, "autoscaler.yaml", autoscalerManifest, st.fleet))
	tr := st.traffic(t, st.fleet, "/", released())
	tr.answered(t, st.stage, 100)
	st.apply(t, st.does(t, "", "adopt", "deployment/chat"))
	st.await(t, "the Rollout to be healthy for some seconds", podWait, func() error {
		r, err := st.rollout(st.fleet.Namespace, "chat")
		if err != nil {
			return err
		}
		for _, c := range r.Status.Conditions {
			if r.current() && r.Status.Phase == "Healthy" && c.Type == "Healthy" && c.Status == "True" && time.Since(c.LastTransitionTime) > healthyFor {
				return nil
			}
		}
		return fmt.Errorf("it is %s: %s", r.Status.Phase, r.Status.Message)
	})
	st.kubectl(t, "scale", "deployment/chat", "-n", st.fleet.Namespace, "--replicas=0")
	st.kubectl(t, "wait", "pods", "-n", st.fleet.Namespace, "-l", "app=chat,pod-template-hash", "--for=delete", "--timeout", podWait.String())
	st.kubectl(t, "delete", "service", "chat-former", "-n", st.fleet.Namespace)
	tr.answered(t, st.stage, 100)
	r := tr.stop()
	t.Logf("meanwhile %s", r)
	if err := r.trouble(); err != nil {
		t.Error(err)
	}
	st.fleet.service("chat").Adopted = true
	if target := st.kubectl(t, "get", "hpa", "chat", "-n", st.fleet.Namespace, "-o", "jsonpath={.spec.scaleTargetRef.kind}"); target != "Rollout" {
		t.Errorf("the autoscaler scales a %s", target)
	}
	st.awaitReady(t, st.fleet, "chat")
}
