package kubernetes

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	telemetryv1 "istio.io/client-go/pkg/apis/telemetry/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Digest tells apart what one program says of objects: another build may write
// the same in another way.
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

func (m manifest) encode() ([]byte, error) {
	out, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %s %s/%s: %w", m.Kind, m.Metadata.Namespace, m.Metadata.Name, err)
	}
	return out, nil
}

// Encoded is a desired object as it is applied.
type Encoded struct {
	// Digest is the same for two objects that are the same, as far as greenroom
	// says anything of them.
	Digest Digest
	head   manifest
	spec   []byte
}

// Manifest is the object as JSON, for a server-side apply: all that greenroom
// says of it. With a resourceVersion it is refused where the object is another
// one by now.
func (e Encoded) Manifest(resourceVersion string) ([]byte, error) {
	e.head.Metadata.ResourceVersion = resourceVersion
	head, err := e.head.encode()
	if err != nil {
		return nil, err
	}
	// A json.RawMessage would be taken apart again, and routes are long.
	return slices.Concat(head[:len(head)-1], []byte(`,"spec":`), e.spec, []byte("}")), nil
}

// Encoder encodes desired objects. Routes have most in common, which one that
// NewEncoder made for them has encoded already. It is not changed any more, and
// safe for concurrent use. The zero value knows of nothing in common.
type Encoder struct{ known map[commonKey][]byte }

// NewEncoder makes an Encoder for the objects of one translation.
func NewEncoder(objects Objects) (*Encoder, error) {
	e := &Encoder{known: map[commonKey][]byte{}}
	for _, vs := range objects.Mesh {
		for _, r := range vs.Spec.Http {
			common, err := e.common(r)
			if err != nil {
				return nil, fmt.Errorf("encode %s/%s: %w", vs.Namespace, vs.Name, err)
			}
			e.known[keyOf(r)] = common
		}
	}
	return e, nil
}

// commonKey tells apart what routes have in common: it is the same in memory.
type commonKey struct {
	headers *v1alpha3.Headers
	first   *v1alpha3.HTTPMatchRequest // of so many
	matches int
}

// Encode encodes a desired object.
func (e *Encoder) Encode(o Object) (Encoded, error) {
	gvk := o.GetObjectKind().GroupVersionKind()
	out := Encoded{head: manifest{
		TypeMeta: metav1.TypeMeta{APIVersion: gvk.GroupVersion().String(), Kind: gvk.Kind},
		Metadata: manifestMeta{Name: o.GetName(), Namespace: o.GetNamespace(), Labels: o.GetLabels(), Annotations: o.GetAnnotations()},
	}}
	var err error
	if out.spec, err = e.spec(o); err != nil {
		return out, fmt.Errorf("encode %T %s/%s: %w", o, o.GetNamespace(), o.GetName(), err)
	}
	head, err := out.head.encode()
	if err != nil {
		return out, err
	}
	digest := sha256.New()
	digest.Write(head) // a hash takes everything
	digest.Write(out.spec)
	digest.Sum(out.Digest[:0])
	return out, nil
}

func (e *Encoder) spec(o Object) ([]byte, error) {
	switch o := o.(type) {
	case *networkingv1.VirtualService:
		return e.routes(&o.Spec)
	case *networkingv1.DestinationRule:
		return protojson.Marshal(&o.Spec)
	case *securityv1.RequestAuthentication:
		return protojson.Marshal(&o.Spec)
	case *securityv1.AuthorizationPolicy:
		return protojson.Marshal(&o.Spec)
	case *telemetryv1.Telemetry:
		return protojson.Marshal(&o.Spec)
	case *corev1.Service:
		return json.Marshal(o.Spec)
	}
	return nil, fmt.Errorf("greenroom makes no such objects")
}

// routeSize is about how many bytes a route takes.
const routeSize = 5 << 8

func (e *Encoder) routes(vs *v1alpha3.VirtualService) ([]byte, error) {
	out, err := protojson.Marshal(without(vs, "http"))
	if err != nil || len(vs.Http) == 0 {
		return out, err
	}
	out = slices.Grow(out, routeSize*len(vs.Http))
	out = append(out[:len(out)-1], `,"http":[`...) // it has hosts, always
	for i, r := range vs.Http {
		if i > 0 {
			out = append(out, ',')
		}
		own, err := protojson.Marshal(without(r, "match", "headers"))
		if err != nil {
			return nil, err
		}
		common, err := e.common(r)
		if err != nil {
			return nil, err
		}
		out = appendJoined(out, own, common)
	}
	return append(out, "]}"...), nil
}

func keyOf(r *v1alpha3.HTTPRoute) commonKey {
	key := commonKey{headers: r.Headers, matches: len(r.Match)}
	if key.matches > 0 {
		key.first = r.Match[0]
	}
	return key
}

// common is what a route may have in common with others: whom it is for, and
// what is set for them.
func (e *Encoder) common(r *v1alpha3.HTTPRoute) ([]byte, error) {
	if known, ok := e.known[keyOf(r)]; ok {
		return known, nil
	}
	return protojson.Marshal(&v1alpha3.HTTPRoute{Match: r.Match, Headers: r.Headers})
}

// without is a message without some fields. It shares the others.
func without(m proto.Message, fields ...protoreflect.Name) proto.Message {
	from := m.ProtoReflect()
	out := from.New()
	from.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if !slices.Contains(fields, f.Name()) {
			out.Set(f, v)
		}
		return true
	})
	return out.Interface()
}

// appendJoined appends one JSON object that has the fields of two.
func appendJoined(out, a, b []byte) []byte {
	out = append(out, a[:len(a)-1]...)
	if len(a) > 2 && len(b) > 2 { // neither is {}
		out = append(out, ',')
	}
	return append(out, b[1:]...)
}
