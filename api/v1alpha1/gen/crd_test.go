package main

import (
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

// A field of a custom resource that the embedded document has too means the
// same: it has the same form and the same bounds.
func TestFieldsOfOneNameHaveOneSchema(t *testing.T) {
	s := structural{}
	compared := 0
	for _, pair := range [][2]reflect.Type{
		{reflect.TypeFor[v1alpha1.FleetSpec](), reflect.TypeFor[crd.FleetSpec]()},
		{reflect.TypeFor[v1alpha1.Edge](), reflect.TypeFor[crd.Edge]()},
		{reflect.TypeFor[v1alpha1.Route](), reflect.TypeFor[crd.Route]()},
		{reflect.TypeFor[v1alpha1.AccessLog](), reflect.TypeFor[crd.AccessLog]()},
		{reflect.TypeFor[v1alpha1.Service](), reflect.TypeFor[crd.Service]()},
		{reflect.TypeFor[v1alpha1.ReleaseSpec](), reflect.TypeFor[crd.ReleaseSpec]()},
		{reflect.TypeFor[v1alpha1.ReleaseService](), reflect.TypeFor[crd.ReleaseService]()},
		{reflect.TypeFor[v1alpha1.Hook](), reflect.TypeFor[crd.Hook]()},
	} {
		ours, theirs := s.object(pair[0]), s.object(pair[1])
		for name, one := range theirs.Properties {
			other, both := ours.Properties[name]
			if !both || one.Type == "object" || one.Type == "array" {
				continue
			}
			compared++
			if diff := cmp.Diff(plain(other), plain(one)); diff != "" {
				t.Errorf("%s.%s differs from the embedded one: %s", pair[1].Name(), name, diff)
			}
		}
	}
	if compared < 20 {
		t.Errorf("only %d fields are the same; the types have come apart", compared)
	}
}

func plain(p apiextensions.JSONSchemaProps) apiextensions.JSONSchemaProps {
	p.Description = ""
	return p
}

func TestEveryFieldOfACustomResourceIsExplained(t *testing.T) {
	shared, err := readComments("..")
	if err != nil {
		t.Fatal(err)
	}
	own, err := readComments("../crd")
	if err != nil {
		t.Fatal(err)
	}
	c := map[string]comments{reflect.TypeFor[v1alpha1.Fleet]().PkgPath(): shared, reflect.TypeFor[crd.Fleet]().PkgPath(): own}
	for _, d := range []*apiextensions.CustomResourceDefinition{fleetDefinition(c), releaseDefinition(c)} {
		root := d.Spec.Versions[0].Schema.OpenAPIV3Schema
		for _, part := range []string{"spec", "status"} {
			p := root.Properties[part]
			explained(t, d.Spec.Names.Kind+"."+part, p)
		}
	}
}

func explained(t *testing.T, at string, p apiextensions.JSONSchemaProps) {
	if strings.TrimSpace(p.Description) == "" {
		t.Errorf("%s has no description", at)
	}
	for name, one := range p.Properties {
		explained(t, at+"."+name, one)
	}
	if p.Items != nil && p.Items.Schema.Type == "object" && !strings.HasSuffix(at, ".conditions") {
		explained(t, at+"[]", *p.Items.Schema)
	}
}

// TestColumnsOfTimesToCome: kubectl shows a column of type date as how long ago
// that was, and for a time to come <invalid>.
func TestColumnsOfTimesToCome(t *testing.T) {
	for _, d := range []*apiextensions.CustomResourceDefinition{fleetDefinition(nil), releaseDefinition(nil)} {
		for _, c := range d.Spec.Versions[0].AdditionalPrinterColumns {
			if c.Type == "date" && c.JSONPath != ".metadata.creationTimestamp" {
				t.Errorf("%s: %s may be a time to come", d.Spec.Names.Kind, c.Name)
			}
		}
	}
}

// TestNothingIsAskedOfEachServiceOrRoute: every rule of what there may be
// hundreds of is asked at the root, where a write of the status is seen to be one.
func TestNothingIsAskedOfEachServiceOrRoute(t *testing.T) {
	root := fleetDefinition(nil).Spec.Versions[0].Schema.OpenAPIV3Schema
	spec := root.Properties["spec"]
	if len(spec.XValidations) > 0 {
		t.Errorf("a spec is asked %v", spec.XValidations)
	}
	for _, list := range ofFleets() {
		if left := rulesIn(*at(spec, list.path).Items.Schema); len(left) > 0 {
			t.Errorf("each of %v is asked %v", list.path, left)
		}
	}
	for _, r := range root.XValidations {
		if strings.Contains(r.Rule, "self.spec") && !strings.HasPrefix(r.Rule, statusWritten+" || (") {
			t.Errorf("asked with each write of the status: %s", r.Rule)
		}
	}
}

// An API server before 1.33 takes no definition with a rule that compares
// optional values: it knows no bound for what that costs.
func TestNoRuleComparesOptionalValues(t *testing.T) {
	compared := regexp.MustCompile(`(\S+) [!=]= (\S+)`)
	for _, d := range []*apiextensions.CustomResourceDefinition{fleetDefinition(nil), releaseDefinition(nil)} {
		for _, r := range rulesIn(*d.Spec.Versions[0].Schema.OpenAPIV3Schema) {
			for _, sides := range compared.FindAllStringSubmatch(r.Rule, -1) {
				for _, side := range sides[1:] {
					if strings.Contains(side, ".?") && !strings.Contains(side, ".orValue(") {
						t.Errorf("%s is compared in %s", side, r.Rule)
					}
				}
			}
		}
	}
}

func rulesIn(p apiextensions.JSONSchemaProps) apiextensions.ValidationRules {
	out := p.XValidations
	for _, one := range p.Properties {
		out = append(out, rulesIn(one)...)
	}
	if p.Items != nil {
		out = append(out, rulesIn(*p.Items.Schema)...)
	}
	if p.AdditionalProperties != nil {
		out = append(out, rulesIn(*p.AdditionalProperties.Schema)...)
	}
	return out
}
