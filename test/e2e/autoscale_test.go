//go:build e2e

package e2e

import (
	_ "embed"
	"fmt"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
)

//go:embed manifests/autoscaler.yaml
var autoscalerManifest string

// readyPods is how many pods of a service are ready, by their template's hash.
func (s *stage) readyPods(f *fleet, name string) (map[string]int, error) {
	var list struct {
		Items []struct {
			Metadata struct{ Labels map[string]string }
			Status   struct{ ReadyReplicas int }
		}
	}
	err := s.Get(s.ctx, "/apis/apps/v1/namespaces/"+f.Namespace+"/replicasets?labelSelector=app%3D"+name, &list)
	out := map[string]int{}
	for _, rs := range list.Items {
		if hash := rs.Metadata.Labels[kubernetes.HashLabel]; hash != "" {
			out[hash] = rs.Status.ReadyReplicas
		}
	}
	return out, err
}

// autoscaled lets the autoscaler of chat want two pods while nobody but testers
// sees the preview: it has as many before it serves, and the pods that serve are
// those that the autoscaler measures.
func (st *story) autoscaled(t *testing.T) {
	const both = 2
	before, err := st.rollout(st.fleet.Namespace, "chat")
	if err != nil {
		t.Fatal(err)
	}
	former, candidate := before.Status.BlueGreen.ActiveSelector, before.Status.CurrentPodHash
	measures := func(hash string) error {
		r, err := st.rollout(st.fleet.Namespace, "chat")
		if err == nil && (!strings.Contains(r.Status.Selector, hash) || r.Status.HPAReplicas != both) {
			err = fmt.Errorf("it measures %d pods of %s, want %d of %s", r.Status.HPAReplicas, r.Status.Selector, both, hash)
		}
		return err
	}
	has := func(hash string) error {
		ready, err := st.readyPods(st.fleet, "chat")
		if err == nil && ready[hash] != both {
			err = fmt.Errorf("%s: %v", hash, ready)
		}
		return err
	}
	st.unnoticed(t, func() {
		st.kubectl(t, "patch", "hpa", "chat", "-n", st.fleet.Namespace, "--type=merge", "-p", fmt.Sprintf(`{"spec":{"minReplicas":%d}}`, both))
		st.await(t, "the autoscaler to want more pods", podWait, func() error { return measures(former) })
		st.await(t, "as many that serve", podWait, func() error { return has(former) }) // those that start are measured too
		st.await(t, "as many of the preview, which nobody measures", podWait, func() error { return has(candidate) })
		// The operator hears of pods a moment after whoever asks the API server.
		st.await(t, "the promotion to be allowed", routeWait, func() error {
			_, err := st.by.Promote(st.ctx, "r42", client.Promote{})
			return err
		})
		st.await(t, "the autoscaler to measure what serves", podWait, func() error { return measures(candidate) })
		if err := has(former); err != nil {
			t.Errorf("pods that a rollback would go back to: %v", err)
		}
		if _, err := st.by.Rollback(st.ctx, "r42", client.Asked{Reason: "only to see"}); err != nil {
			t.Fatal(err)
		}
		if err := has(former); err != nil {
			t.Errorf("pods that serve again: %v", err)
		}
	})
	st.kubectl(t, "patch", "hpa", "chat", "-n", st.fleet.Namespace, "--type=merge", "-p", `{"spec":{"minReplicas":1}}`)
	st.kubectl(t, "scale", "rollout/chat", "-n", st.fleet.Namespace, "--replicas=1") // there is nothing here that measures
}
