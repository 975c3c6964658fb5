//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/greenroom-dev/greenroom/client"
)

// gatewayPod is one pod of the fleet's gateway.
type gatewayPod struct{ Name, IP, Container string }

// ask sends it one request, past the Service that shares them out.
func (p gatewayPod) ask(host, path string) (reply, error) {
	a := asker{address: p.IP + ":8080"}
	defer a.close()
	return a.ask(host, path, nil)
}

// gatewayPods are those that take requests.
func (st *story) gatewayPods() ([]gatewayPod, error) {
	var list struct {
		Items []struct {
			Metadata struct{ Name, DeletionTimestamp string }
			Status   struct {
				PodIP             string
				ContainerStatuses []struct{ ContainerID string }
			}
		}
	}
	if err := st.Get(st.ctx, "/api/v1/namespaces/"+st.fleet.Namespace+"/pods?labelSelector=istio%3D"+st.fleet.Namespace, &list); err != nil {
		return nil, err
	}
	var out []gatewayPod
	for _, p := range list.Items {
		if p.Metadata.DeletionTimestamp == "" && len(p.Status.ContainerStatuses) == 1 {
			out = append(out, gatewayPod{p.Metadata.Name, p.Status.PodIP, p.Status.ContainerStatuses[0].ContainerID})
		}
	}
	if len(out) < st.fleet.Gateways {
		return nil, fmt.Errorf("%d of %d gateway pods are there", len(out), st.fleet.Gateways)
	}
	return out, nil
}

// oneGatewayBehind promotes while one of two gateway pods stands still. The
// other one gives ordinary requests the release at once, and the promotion is
// not done before both do.
func (st *story) oneGatewayBehind(t *testing.T) {
	pods, err := st.gatewayPods()
	if err != nil {
		t.Fatal(err)
	}
	held, free := pods[0], pods[1]
	envoy := st.below(t, st.processOf(t, held.Container), "envoy")
	if err := syscall.Kill(envoy, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	goOn := func() { _ = syscall.Kill(envoy, syscall.SIGCONT) }
	t.Cleanup(goOn)
	var again atomic.Bool
	done := make(chan error, 1)
	go func() {
		_, err := st.by.Promote(st.ctx, "r42", client.Promote{})
		if err == nil && !again.Load() {
			err = fmt.Errorf("it returned while %s stood still", held.Name)
		}
		done <- err
	}()
	inTurn := 0
	st.await(t, "the other gateway pod to serve r42 for a while", routeWait, func() error {
		r, err := free.ask(st.fleet.Host, "/.greenroom/default")
		if err != nil || r.body != "r42\n" {
			inTurn = 0
			return errors.Join(err, fmt.Errorf("it says %q", r.body))
		}
		if inTurn++; inTurn < 10 {
			return fmt.Errorf("%d times", inTurn)
		}
		return nil
	})
	again.Store(true)
	goOn()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := st.servesPath("api=v2 chat=v2 gift=v2"); err != nil {
		t.Errorf("when the promotion was done: %v", err)
	}
	if _, err := st.by.Rollback(st.ctx, "r42", client.Asked{}); err != nil {
		t.Fatal(err)
	}
	if err := st.servesPath("api=v1 chat=v1 gift=v1"); err != nil {
		t.Errorf("when the rollback was done: %v", err)
	}
}
