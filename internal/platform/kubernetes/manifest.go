package kubernetes

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	telemetryv1 "istio.io/client-go/pkg/apis/telemetry/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Digest tells apart what Manifest says of objects.
type Digest [sha256.Size]byte

// manifest is an object as it is applied, but for its spec.
type manifest struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        manifestMeta `json:"metadata"`
}

// manifestMeta is what greenroom says in an object's metadata.
type manifestMeta struct {
	Name            string            `json:"name"`
	Namespace       string            `json:"namespace"`
	ResourceVersion string            `json:"resourceVersion,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`
	Annotations     map[string]string `json:"annotations,omitempty"`
}

// Manifest is a desired object as JSON, for a server-side apply: all that
// greenroom says of it. With a resourceVersion it is refused where the object
// is another one by now.
func Manifest(o Object, resourceVersion string) ([]byte, error) {
	spec, err := specJSON(o)
	if err != nil {
		return nil, fmt.Errorf("encode %T %s/%s: %w", o, o.GetNamespace(), o.GetName(), err)
	}
	gvk := o.GetObjectKind().GroupVersionKind()
	head, err := json.Marshal(manifest{
		TypeMeta: metav1.TypeMeta{APIVersion: gvk.GroupVersion().String(), Kind: gvk.Kind},
		Metadata: manifestMeta{Name: o.GetName(), Namespace: o.GetNamespace(), ResourceVersion: resourceVersion, Labels: o.GetLabels(), Annotations: o.GetAnnotations()},
	})
	if err != nil {
		return nil, fmt.Errorf("encode %T %s/%s: %w", o, o.GetNamespace(), o.GetName(), err)
	}
	// A json.RawMessage would be taken apart again, and routes are long.
	return slices.Concat(head[:len(head)-1], []byte(`,"spec":`), spec, []byte("}")), nil
}

// DigestOf is the digest of a desired object. Two with the same one are the
// same, as far as greenroom says anything of them.
func DigestOf(o Object) (Digest, error) {
	head, err := json.Marshal(manifestMeta{Name: o.GetName(), Namespace: o.GetNamespace(), Labels: o.GetLabels(), Annotations: o.GetAnnotations()})
	if err != nil {
		return Digest{}, fmt.Errorf("encode %T: %w", o, err)
	}
	text := append(head, 0)
	if m := specOf(o); m != nil {
		text, err = proto.MarshalOptions{Deterministic: true}.MarshalAppend(text, m)
	} else {
		var spec []byte
		spec, err = specJSON(o)
		text = append(text, spec...)
	}
	if err != nil {
		return Digest{}, fmt.Errorf("encode %T %s/%s: %w", o, o.GetNamespace(), o.GetName(), err)
	}
	return sha256.Sum256(text), nil
}

func specJSON(o Object) ([]byte, error) {
	if m := specOf(o); m != nil {
		return protojson.Marshal(m)
	}
	if s, ok := o.(*corev1.Service); ok {
		return json.Marshal(s.Spec)
	}
	return nil, fmt.Errorf("greenroom makes no such objects")
}

// specOf is the spec of an object of Istio's, nil for others.
func specOf(o Object) proto.Message {
	switch o := o.(type) {
	case *networkingv1.VirtualService:
		return &o.Spec
	case *networkingv1.DestinationRule:
		return &o.Spec
	case *securityv1.RequestAuthentication:
		return &o.Spec
	case *securityv1.AuthorizationPolicy:
		return &o.Spec
	case *telemetryv1.Telemetry:
		return &o.Spec
	}
	return nil
}
