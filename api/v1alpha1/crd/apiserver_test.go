package crd_test

import (
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// apiserver decides about objects as the API server does, by its own code:
// unknown fields, the structural schema, lists keyed by name, and CEL.
type apiserver map[string]*kind // by kind

type kind struct {
	definition apiextensions.CustomResourceDefinition
	structural *schema.Structural
	fields     validation.SchemaValidator
	rules      *cel.Validator
}

// newAPIServer installs the definitions that are checked in.
func newAPIServer(t testing.TB) apiserver {
	t.Helper()
	files, err := filepath.Glob("../../../deploy/kustomize/crd/*s.yaml")
	if err != nil || len(files) != 2 {
		t.Fatalf("found the definitions %v (%v)", files, err)
	}
	out := apiserver{}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var d apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(data, &d); err != nil {
			t.Fatal(err)
		}
		apiextensionsv1.SetDefaults_CustomResourceDefinition(&d)
		apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&d.Spec)
		k := &kind{}
		if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(&d, &k.definition, nil); err != nil {
			t.Fatal(err)
		}
		props := k.definition.Spec.Validation.OpenAPIV3Schema
		if k.structural, err = schema.NewStructural(props); err != nil {
			t.Fatal(err)
		}
		if k.fields, _, err = validation.NewSchemaValidator(props); err != nil {
			t.Fatal(err)
		}
		k.rules = cel.NewValidator(k.structural, true, celconfig.PerCallLimit)
		out[d.Spec.Names.Kind] = k
	}
	return out
}

// refuses says why an object is not taken; nothing if it is. old is nil for a
// new object.
func (a apiserver) refuses(t testing.TB, object, old map[string]any) []string {
	t.Helper()
	name, _ := object["kind"].(string)
	k, ok := a[name]
	if !ok {
		return []string{"no such kind: " + name}
	}
	if v, _ := object["apiVersion"].(string); v != "greenroom.dev/v1alpha1" {
		return []string{"no such version: " + v}
	}
	var out []string
	for _, unknown := range pruning.PruneWithOptions(object, k.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}) {
		out = append(out, "unknown field "+unknown)
	}
	var found field.ErrorList
	found = append(found, validation.ValidateCustomResource(nil, object, k.fields)...)
	found = append(found, listtype.ValidateListSetsAndMaps(nil, k.structural, object)...)
	if len(found) == 0 {
		var before any
		if old != nil {
			before = old
		}
		more, _ := k.rules.Validate(t.Context(), nil, k.structural, object, before, celconfig.RuntimeCELCostBudget)
		found = append(found, more...)
	}
	for _, e := range found {
		out = append(out, e.Error())
	}
	return out
}

// The API server takes the definitions themselves: their schemas are
// structural, and no rule may cost more than it allows.
func TestTheAPIServerTakesTheDefinitions(t *testing.T) {
	for name, k := range newAPIServer(t) {
		k.definition.Status.StoredVersions = []string{"v1alpha1"}
		if errs := crdvalidation.ValidateCustomResourceDefinition(t.Context(), &k.definition); len(errs) > 0 {
			t.Errorf("%s: %v", name, errs.ToAggregate())
		}
	}
}
