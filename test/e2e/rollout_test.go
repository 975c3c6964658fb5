//go:build e2e

package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// scaleDownDeadline is the annotation by which Argo says until when it keeps the
// pods of a former ReplicaSet.
const scaleDownDeadline = "scale-down-deadline"

// rollout is what the stories read of an Argo Rollout.
type rollout struct {
	Metadata struct {
		Name       string
		Generation int64
	}
	Status struct {
		ObservedGeneration         string
		WorkloadObservedGeneration string // of the Deployment that has the template
		Phase, Message             string
		CurrentPodHash             string
		Selector                   string // of the pods that autoscalers measure
		HPAReplicas                int
		Conditions                 []struct {
			Type, Status       string
			LastTransitionTime time.Time
		}
		BlueGreen struct{ ActiveSelector, PreviewSelector string }
	}
}

// current reports whether the status speaks of the present spec.
func (r rollout) current() bool {
	return r.Status.ObservedGeneration == strconv.FormatInt(r.Metadata.Generation, 10)
}

func (s *stage) rollout(namespace, name string) (rollout, error) {
	var r rollout
	return r, s.Get(s.ctx, "/apis/argoproj.io/v1alpha1/namespaces/"+namespace+"/rollouts/"+name, &r)
}

// setImage changes the template of a service, as a sync of manifests does.
func (s *stage) setImage(t *testing.T, f *fleet, name, version string) {
	t.Helper()
	if err := s.trySetImage(f, name, version); err != nil {
		t.Fatal(err)
	}
}

// trySetImage does so, unless somebody is against it.
func (s *stage) trySetImage(f *fleet, name, version string) error {
	_, err := s.Kubectl(s.ctx, "", "patch", strings.ToLower(f.service(name).Kind), name, "-n", f.Namespace, "--type=json", "-p",
		fmt.Sprintf(`[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":%q}]`, imageOf(name, version)))
	return err
}

// hasten lets scaleDownDelaySeconds be over for the pods that a fleet's Rollouts
// still keep: stories have no hour to wait. Argo writes how long it keeps pods a
// while after it calls others active, so whoever waits for pods to go hastens
// with every look.
func (s *stage) hasten(t *testing.T, f *fleet) {
	t.Helper()
	var list struct {
		Items []struct {
			Metadata struct {
				Name        string
				Annotations map[string]string
			}
		}
	}
	if err := s.Get(s.ctx, "/apis/apps/v1/namespaces/"+f.Namespace+"/replicasets", &list); err != nil {
		t.Fatal(err)
	}
	for _, rs := range list.Items {
		until, err := time.Parse(time.RFC3339, rs.Metadata.Annotations[scaleDownDeadline])
		if err == nil && until.After(time.Now()) {
			s.kubectl(t, "annotate", "replicaset", rs.Metadata.Name, "-n", f.Namespace, "--overwrite",
				scaleDownDeadline+"="+time.Now().UTC().Format(time.RFC3339))
		}
	}
}

// promoteByHand is `kubectl argo rollouts promote`.
func (s *stage) promoteByHand(t *testing.T, namespace, name string) {
	t.Helper()
	s.kubectl(t, "patch", "rollout", name, "-n", namespace, "--subresource=status", "--type=merge", "-p", `{"status":{"pauseConditions":null}}`)
}
