package kubernetes

import (
	"encoding/json"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"istio.io/api/networking/v1alpha3"
)

// What routes have in common is encoded once, and says the same of each.
func TestManifestSaysAllOfRoutes(t *testing.T) {
	w := newWorld(t, "web", "api", "wallet")
	w.open("r42", "api", "2")
	objects, _ := Translate(w.in)
	for i, plain := range objects.Mesh[1].Spec.Http { // a route of its own in many ways
		switch i {
		case 0:
			objects.Mesh[1].Spec.Http[i] = &v1alpha3.HTTPRoute{}
		case 1:
			objects.Mesh[1].Spec.Http[i] = &v1alpha3.HTTPRoute{Match: plain.Match}
		case 2:
			objects.Mesh[1].Spec.Http[i] = &v1alpha3.HTTPRoute{Headers: plain.Headers, Match: plain.Match[:0]}
		case 3:
			objects.Mesh[1].Spec.Http[i] = &v1alpha3.HTTPRoute{Headers: plain.Headers, Match: slices.Repeat([]*v1alpha3.HTTPMatchRequest{{Port: 1}}, len(plain.Match))}
		}
	}
	encoder, err := NewEncoder(objects)
	if err != nil {
		t.Fatal(err)
	}
	for _, vs := range append(objects.Mesh, objects.Edges...) {
		encoded, err := encoder.Encode(vs)
		if err != nil {
			t.Fatal(err)
		}
		data, err := encoded.Manifest("7")
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			APIVersion, Kind string
			Metadata         map[string]any
			Spec             json.RawMessage
		}
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatalf("%s: %v: %s", vs.Name, err, data)
		}
		if got.Kind != "VirtualService" || got.APIVersion != "networking.istio.io/v1" || got.Metadata["name"] != vs.Name || got.Metadata["resourceVersion"] != "7" {
			t.Errorf("it is %s %s %v", got.APIVersion, got.Kind, got.Metadata)
		}
		spec := &v1alpha3.VirtualService{}
		if err := protojson.Unmarshal(got.Spec, spec); err != nil || !proto.Equal(spec, &vs.Spec) {
			t.Errorf("%s says: %s (%v)", vs.Name, got.Spec, err)
		}
	}
}

// An object counts as changed when greenroom says anything else of it.
func TestDigestTellsObjectsApart(t *testing.T) {
	w := newWorld(t, "web", "api")
	digests := map[Digest]string{}
	objects, _ := Translate(w.in)
	encoder, err := NewEncoder(objects)
	if err != nil {
		t.Fatal(err)
	}
	note := func(what string, objects []Object) {
		t.Helper()
		for _, o := range objects {
			encoded, err := encoder.Encode(o)
			if err != nil {
				t.Fatal(err)
			}
			if other, known := digests[encoded.Digest]; known {
				t.Errorf("%s %s has the digest of %s", what, o.GetName(), other)
			}
			digests[encoded.Digest] = what + " " + o.GetName()
		}
	}
	note("as it is", objects.All())
	for _, vs := range objects.Mesh {
		vs.Labels = map[string]string{"other": "label"}
	}
	note("with another label", appendAll(nil, objects.Mesh))
	for _, vs := range objects.Mesh {
		last := vs.Spec.Http[len(vs.Spec.Http)-1]
		last.Route[0].Destination.Port.Number++
	}
	note("to another port", appendAll(nil, objects.Mesh))
	again, _ := Translate(w.in)
	for _, o := range again.All() {
		encoded, err := new(Encoder).Encode(o)
		if err != nil {
			t.Fatal(err)
		}
		if _, known := digests[encoded.Digest]; !known {
			t.Errorf("%s has another digest the second time", o.GetName())
		}
	}
}
