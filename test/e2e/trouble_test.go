//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
)

// unnoticed does something under load, of which no request may notice a thing.
func (st *story) unnoticed(t *testing.T, do func()) {
	t.Helper()
	tr := st.traffic(t, st.fleet, "/", released())
	tr.answered(t, st.stage, 100)
	do()
	tr.answered(t, st.stage, 100)
	r := tr.stop()
	t.Logf("meanwhile %s", r)
	if err := r.trouble(); err != nil {
		t.Error(err)
	}
}

// activeIs waits until Argo calls the pods active that a version's template has.
func (st *story) activeIs(t *testing.T, version string) {
	t.Helper()
	st.await(t, "Argo to call "+version+" active", podWait, func() error {
		for _, name := range released() {
			r, err := st.rollout(st.fleet.Namespace, name)
			if err != nil {
				return err
			}
			var list struct {
				Items []struct {
					Spec struct {
						Template struct {
							Spec struct{ Containers []struct{ Image string } }
						}
					}
				}
			}
			if err := st.Get(st.ctx, "/apis/apps/v1/namespaces/"+st.fleet.Namespace+"/replicasets?labelSelector="+
				kubernetes.HashLabel+"%3D"+r.Status.BlueGreen.ActiveSelector+",app%3D"+name, &list); err != nil {
				return err
			}
			if len(list.Items) != 1 || list.Items[0].Spec.Template.Spec.Containers[0].Image != imageOf(name, version) {
				return fmt.Errorf("%s: active is %s, of %v", name, r.Status.BlueGreen.ActiveSelector, list.Items)
			}
		}
		return nil
	})
}

// previewPodKilled takes a pod from the preview: testers wait, users don't.
func (st *story) previewPodKilled(t *testing.T) {
	p := st.mint(t, "r42")
	st.unnoticed(t, func() {
		r, err := st.rollout(st.fleet.Namespace, "chat")
		if err != nil {
			t.Fatal(err)
		}
		st.kubectl(t, "delete", "pod", "-n", st.fleet.Namespace, "-l", kubernetes.HashLabel+"="+r.Status.CurrentPodHash, "--grace-period=1")
		st.awaitReady(t, st.fleet, "chat")
		st.answers(t, "the preview, with another pod", "/", held(p.Token), "api=v2 chat=v2 gift=v2")
	})
}

// promotedByHand moves Argo's selectors of one service, on which no route hangs.
func (st *story) promotedByHand(t *testing.T) {
	p := st.mint(t, "r42")
	st.unnoticed(t, func() {
		st.promoteByHand(t, st.fleet.Namespace, "api")
		st.awaitCondition(t, st.fleet, "PromotedByHand", true)
		st.answers(t, "ordinary requests", "/", nil, "api=v1 chat=v1 gift=v1")
		st.answers(t, "the preview", "/", held(p.Token), "api=v2 chat=v2 gift=v2")
	})
}

// reverted brings the former images back where they are kept, after a rollback.
func (st *story) reverted(t *testing.T) {
	st.awaitCondition(t, st.fleet, "RollbackNeedsRevert", true)
	if said := st.condition(t, st.fleet, "RollbackNeedsRevert"); !strings.Contains(said, "keeps those pods until 2") {
		t.Errorf("it does not say until when: %s", said)
	}
	st.unnoticed(t, func() {
		st.setImages(t, st.fleet, "v1")
		st.activeIs(t, "v1")
		st.awaitCondition(t, st.fleet, "RollbackNeedsRevert", false)
		st.setImages(t, st.fleet, "v2") // and the release is tried again
		for _, name := range released() {
			st.awaitReady(t, st.fleet, name)
		}
	})
}

// killedOnceWritten asks for something and kills the operator's process at the
// very moment when the state of the fleet says it: written down, and hardly
// begun. Its answer, if there was one, and a new connection are the caller's.
func (st *story) killedOnceWritten(t *testing.T, says string, do func() error) {
	t.Helper()
	pid := st.operatorPID(t)
	asked := make(chan error, 1)
	go func() { asked <- do() }()
	var state json.RawMessage
	for !strings.Contains(string(state), says) { // the test's deadline bounds it
		var one struct {
			Status struct{ State json.RawMessage }
		}
		if err := st.Get(st.ctx, "/apis/greenroom.dev/v1alpha1/namespaces/"+st.fleet.Namespace+"/fleets/live", &one); err != nil {
			t.Fatal(err)
		}
		state = one.Status.State
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	t.Logf("who asked got: %v", <-asked)
	st.by = st.person(st.whole, st.fleet)
}

// operatorPID is the operator's process, which runs on this machine.
func (st *story) operatorPID(t *testing.T) int {
	t.Helper()
	id := st.kubectl(t, "get", "pods", "-n", operatorNamespace, "-l", "app.kubernetes.io/name=greenroom-operator",
		"-o", "jsonpath={.items[0].status.containerStatuses[0].containerID}")
	return st.processOf(t, id)
}

// operatorKilled kills the operator while it promotes r42; the next one has to
// finish what is written down.
func (st *story) operatorKilled(t *testing.T) {
	st.unnoticed(t, func() {
		st.killedOnceWritten(t, `"default":"r42"`, func() error {
			_, err := st.by.Promote(st.ctx, "r42", client.Promote{})
			return err
		})
		st.awaitServing(t, "r42")
		st.activeIs(t, "v2")
		st.guardedAgain(t)
	})
}

// istiodRestarted asks for a rollback while istiod is away: it arrives late,
// and whole.
func (st *story) istiodRestarted(t *testing.T) {
	st.unnoticed(t, func() {
		st.kubectl(t, "delete", "pod", "-n", "istio-system", "-l", "app=istiod", "--grace-period=1", "--wait=false")
		_, err := st.by.Rollback(st.ctx, "r42", client.Asked{Reason: "istiod is away"})
		t.Logf("the rollback meanwhile: %v", err)
		st.awaitServing(t, "baseline")
		st.answers(t, "ordinary requests", "/", nil, "api=v1 chat=v1 gift=v1")
		st.kubectl(t, "rollout", "status", "deployment/istiod", "-n", "istio-system", "--timeout", podWait.String())
	})
}

// settle makes r42 final, while the operator is killed: the former pods go.
func (st *story) settle(t *testing.T) {
	st.unnoticed(t, func() {
		if _, err := st.by.Promote(st.ctx, "r42", client.Promote{}); err != nil {
			t.Fatal(err)
		}
		st.activeIs(t, "v2")
		st.killedOnceWritten(t, `"phase":"Settling"`, func() error {
			_, err := st.by.Settle(st.ctx, "r42", client.Asked{})
			return err
		})
		st.settled(t, "r42")
	})
}

// settled waits until a release has settled, and hastens that.
func (st *story) settled(t *testing.T, name string) {
	t.Helper()
	st.await(t, name+" to settle", podWait, func() error {
		st.hasten(t, st.fleet)
		return st.inPhase(st.fleet, name, "Settled")
	})
}

// stacked promotes r44, and over it, still live, r45: r44 settles by that, and
// r45 rolls back to it.
func (st *story) stacked(t *testing.T) {
	st.unnoticed(t, func() {
		st.setImages(t, st.fleet, "v3")
		st.open(t, "r44", "v3", released()...)
		if _, err := st.by.Promote(st.ctx, "r44", client.Promote{}); err != nil {
			t.Fatal(err)
		}
		st.activeIs(t, "v3")
		st.setImage(t, st.fleet, "feed", "v3")
		st.open(t, "r45", "v3", "feed")
		if _, err := st.by.Promote(st.ctx, "r45", client.Promote{}); err != nil {
			t.Fatal(err)
		}
		st.answers(t, "ordinary requests", "/feed", nil, "feed=v3 gift=v3")
		if _, err := st.by.Rollback(st.ctx, "r45", client.Asked{}); err != nil {
			t.Fatal(err)
		}
		st.answers(t, "ordinary requests", "/feed", nil, "feed=v1 gift=v3")
	})
}

// lingering is how long the operator keeps a Service after the last route to it
// is gone.
const lingering = time.Minute

// cleared looks for what the releases that are over have left.
func (st *story) cleared(t *testing.T) {
	st.await(t, "the Services of versions that are gone to go", lingering+podWait, func() error {
		st.hasten(t, st.fleet)
		left, err := st.Kubectl(st.ctx, "", "get", "services", "-n", st.fleet.Namespace, "-l", "app.kubernetes.io/managed-by=greenroom,greenroom.dev/service!=feed", "-o", "name")
		if err == nil && strings.TrimSpace(left) != "" {
			err = errors.New("there are " + strings.Join(strings.Fields(left), ", "))
		}
		return err
	})
}
