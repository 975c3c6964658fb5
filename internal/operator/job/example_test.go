package job

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/internal/operator/operatortest"
)

// What the docs show is taken by the API server, and comes to what Argo takes.
func TestExample(t *testing.T) {
	text, err := os.ReadFile("../../../docs/examples/kubernetes/hooks.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cluster := operatortest.Start(t)
	c, err := client.New(cluster.Admin(), client.Options{FieldValidation: "Strict"})
	if err != nil {
		t.Fatal(err)
	}
	namespace := cluster.Namespace(t)
	made := map[string]*unstructured.Unstructured{}
	for d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		o := &unstructured.Unstructured{}
		if err := d.Decode(&o.Object); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if len(o.Object) == 0 {
			continue // the comment at the top
		}
		o.SetNamespace(namespace)
		if err := c.Create(t.Context(), o); err != nil {
			t.Errorf("%s: %v", o.GetKind(), err)
		}
		made[o.GetKind()] = o
	}
	if len(made) != 3 {
		t.Fatalf("the example has %d kinds of objects, want 3", len(made))
	}
	ask := task{id: "u.1.verify.2.1", release: "r42", uid: "u", moment: "verify", edgeURL: "https://live.example.com"}
	ask.hook.Name = "answers"
	run, err := ask.run(types.NamespacedName{Namespace: namespace, Name: "live"}, made[kindTemplate])
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Create(t.Context(), run); err != nil {
		t.Errorf("its AnalysisRun: %v", err)
	}
}
