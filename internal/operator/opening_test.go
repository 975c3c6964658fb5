package operator

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
)

// What somebody pastes opens in the name of who asks, and brings no more of an
// object than people may write.
func TestPastedReleaseIsNobodyElses(t *testing.T) {
	r, err := kubernetes.ReadRelease("r.yaml", []byte(`
apiVersion: greenroom.dev/v1alpha1
kind: Release
metadata:
  name: r42
  uid: forged
  finalizers: [forged.example.com/stays]
  ownerReferences: [{apiVersion: v1, kind: Pod, name: p, uid: u}]
  labels: {team: shop}
  annotations: {greenroom.dev/opened-by: eve, greenroom.dev/reason: forged, about: gifts}
spec:
  services: [{name: chat, image: "chat:2", apply: true}]
`))
	if err != nil {
		t.Fatal(err)
	}
	e := &Engine{key: types.NamespacedName{Namespace: "shop", Name: "live"}}
	got, err := e.place(r, "ann", "")
	if err != nil {
		t.Fatal(err)
	}
	if by := got.Annotations[kubernetes.OpenedByAnnotation]; by != "ann" {
		t.Errorf("opened by %q", by)
	}
	if why, is := got.Annotations[reasonAnnotation]; is {
		t.Errorf("for the reason %q", why)
	}
	if got.UID != "" || len(got.Finalizers) > 0 || len(got.OwnerReferences) > 0 {
		t.Errorf("brings %+v", got.ObjectMeta)
	}
	if got.Namespace != "shop" || got.Spec.Fleet != "live" || got.Labels["team"] != "shop" || got.Annotations["about"] != "gifts" {
		t.Errorf("%+v", got)
	}
	r.SetNamespace("other")
	if _, err := e.place(r, "ann", ""); err == nil {
		t.Error("it is made in another namespace")
	}
}
