package kubernetes

import (
	"testing"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// What the API server adds is no difference; whatever somebody changes is.
func TestSame(t *testing.T) {
	w := newWorld(t, "chat", "web")
	w.open("r42", "chat", "2")
	objects, _ := Translate(w.in)
	for _, o := range objects.All() {
		there := o.DeepCopyObject().(Object)
		there.SetResourceVersion("7")
		there.GetLabels()["added.example.com"] = "by somebody"
		if s, ok := there.(*corev1.Service); ok {
			s.Spec.ClusterIP = "10.96.0.1"
		}
		if !Same(o, there) {
			t.Errorf("%T %s differs from itself in the cluster", o, o.GetName())
		}
		delete(there.GetLabels(), LabelManaged)
		if Same(o, there) {
			t.Errorf("%T %s lost a label, and that is no difference", o, o.GetName())
		}
	}
	for name, change := range map[string]func(runtime.Object){
		"a route": func(o runtime.Object) {
			if vs, ok := o.(*networkingv1.VirtualService); ok {
				vs.Spec.Http[0].Name = "another"
			}
		},
		"a selector": func(o runtime.Object) {
			if s, ok := o.(*corev1.Service); ok {
				s.Spec.Selector[HashLabel] = "another"
			}
		},
	} {
		changed := 0
		for _, o := range objects.All() {
			there := o.DeepCopyObject().(Object)
			change(there)
			if !Same(o, there) {
				changed++
			}
		}
		if changed == 0 {
			t.Errorf("%s was changed, and nobody saw it", name)
		}
	}
}
