package deploy_test

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/kustomize/api/krusty"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/golden"
	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
)

const example = "kustomize/example"

func TestExample(t *testing.T) { golden.Check(t, "testdata/example.yaml", build(t, example)) }

// What the component makes is what the operator wants: nothing shortens the
// rollback window, and every pod can find the stage.
func TestExampleFits(t *testing.T) {
	var fleet crd.Fleet
	seen := map[string]kubernetes.Seen{}
	stages := map[string]string{}
	for _, o := range objects(t, build(t, example)) {
		switch o.GetKind() {
		case "Fleet":
			into(t, o, &fleet)
		case "Rollout":
			r, err := kubernetes.ReadRollout(o)
			if err != nil {
				t.Fatal(err)
			}
			seen[o.GetName()] = kubernetes.Seen{Rollout: &r}
		case "Deployment":
			stages[o.GetName()] = environment(t, o)["GREENROOM_STATUS_URL"]
		}
	}
	var services []string
	for _, s := range fleet.Spec.Services {
		services = append(services, s.Name)
		want := "http://greenroom-operator.greenroom-system.svc:8084/stage/$(GREENROOM_NAMESPACE)/" + fleet.Name + "/" + s.Name + "/$(GREENROOM_HASH)"
		if stages[s.Name] != want {
			t.Errorf("%s asks for the stage at %q, want %q", s.Name, stages[s.Name], want)
		}
	}
	if len(services) != 3 || len(seen) != 3 {
		t.Fatalf("the example has services %v and Rollouts %v", services, seen)
	}
	if window := kubernetes.Window(&fleet, time.Hour, services, seen); window != time.Hour {
		t.Errorf("the Rollouts leave a rollback window of %s", window)
	}
	for _, c := range kubernetes.Inspect(&fleet, kubernetes.Value{}, nil, seen) {
		t.Errorf("%+v", c)
	}
}

func into(t *testing.T, o *unstructured.Unstructured, out any) {
	t.Helper()
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, out); err != nil {
		t.Fatal(err)
	}
}

// environment is what the first container of a Deployment has as plain values.
func environment(t *testing.T, deployment *unstructured.Unstructured) map[string]string {
	t.Helper()
	containers, _, err := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	if err != nil || len(containers) == 0 {
		t.Fatalf("%s has no containers: %v", deployment.GetName(), err)
	}
	list, _, err := unstructured.NestedSlice(containers[0].(map[string]any), "env")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, one := range list {
		variable := one.(map[string]any)
		value, _ := variable["value"].(string)
		out[variable["name"].(string)] = value
	}
	return out
}

// Who renames a whole fleet gets references that still hold.
func TestServiceWithPrefix(t *testing.T) {
	files := copied(t, "kustomize")
	if err := files.WriteFile("/kustomize/eu/kustomization.yaml", []byte("namePrefix: eu-\nresources: [../example/web]\n")); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "testdata/prefixed.yaml", buildIn(t, files, "/kustomize/eu"))
}

// A service that does not have what the component fills in is refused, not
// built with holes.
func TestServiceRefuses(t *testing.T) {
	const web = "/kustomize/example/web/"
	for name, c := range map[string]struct{ file, content, complaint string }{
		"no values":  {"greenroom.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n", "nothing selected by"},
		"no fleet":   {"greenroom.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: greenroom}\ndata: {service: web, replicas: \"1\"}\n", "`data.fleet` is missing"},
		"no Service": {"service.yaml", "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: web}\n", "nothing selected by Service"},
		"two Services": {"service.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: web2}\nspec: {}\n",
			"multiple matches for selector Service"},
	} {
		t.Run(name, func(t *testing.T) {
			files := copied(t, "kustomize")
			if err := files.WriteFile(web+c.file, []byte(c.content)); err != nil {
				t.Fatal(err)
			}
			_, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, web)
			if err == nil || !strings.Contains(err.Error(), c.complaint) {
				t.Errorf("built with %v, want a complaint about %q", err, c.complaint)
			}
		})
	}
}
