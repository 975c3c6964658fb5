package main

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

// definition makes the CustomResourceDefinition of a kind. Its schema comes
// from the same tags and comments as the JSON Schema of the embedded engine's
// documents. Defaults are told, not filled in: what GitOps wrote stays as it
// was written.
func definition(comments map[string]comments, kind reflect.Type, names apiextensions.CustomResourceDefinitionNames, columns []apiextensions.CustomResourceColumnDefinition) *apiextensions.CustomResourceDefinition {
	s := structural{comments: comments}
	root := s.object(kind)
	root.Properties["apiVersion"] = apiextensions.JSONSchemaProps{Type: "string"}
	root.Properties["kind"] = apiextensions.JSONSchemaProps{Type: "string"}
	root.Properties["metadata"] = apiextensions.JSONSchemaProps{Type: "object"}
	root.Required = []string{"spec"}
	names.Categories = []string{"greenroom"}
	return &apiextensions.CustomResourceDefinition{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition"},
		ObjectMeta: metav1.ObjectMeta{Name: names.Plural + "." + crd.GroupVersion().Group},
		Spec: apiextensions.CustomResourceDefinitionSpec{
			Group: crd.GroupVersion().Group,
			Names: names,
			Scope: apiextensions.NamespaceScoped,
			Versions: []apiextensions.CustomResourceDefinitionVersion{{
				Name: crd.GroupVersion().Version, Served: true, Storage: true,
				Schema:                   &apiextensions.CustomResourceValidation{OpenAPIV3Schema: &root},
				Subresources:             &apiextensions.CustomResourceSubresources{Status: &apiextensions.CustomResourceSubresourceStatus{}},
				AdditionalPrinterColumns: columns,
			}},
		},
	}
}

func fleetDefinition(c map[string]comments) *apiextensions.CustomResourceDefinition {
	d := definition(c, reflect.TypeFor[crd.Fleet](),
		apiextensions.CustomResourceDefinitionNames{Plural: "fleets", Singular: "fleet", Kind: "Fleet", ListKind: "FleetList", ShortNames: []string{"gfl"}},
		[]apiextensions.CustomResourceColumnDefinition{
			{Name: "Serving", Type: "string", JSONPath: ".status.serving.release"},
			{Name: "Until", Type: "string", JSONPath: ".status.serving.until", Description: "It can be rolled back until then."},
			{Name: "Before", Type: "string", JSONPath: ".status.serving.before"},
			{Name: "Ready", Type: "string", JSONPath: `.status.conditions[?(@.type=="Ready")].status`},
			{Name: "Age", Type: "date", JSONPath: ".metadata.creationTimestamp"},
		})
	specAlone(d.Spec.Versions[0].Schema.OpenAPIV3Schema, ofFleets())
	return d
}

func releaseDefinition(c map[string]comments) *apiextensions.CustomResourceDefinition {
	return definition(c, reflect.TypeFor[crd.Release](),
		apiextensions.CustomResourceDefinitionNames{Plural: "releases", Singular: "release", Kind: "Release", ListKind: "ReleaseList", ShortNames: []string{"grel"}},
		[]apiextensions.CustomResourceColumnDefinition{
			{Name: "Phase", Type: "string", JSONPath: ".status.phase"},
			{Name: "Stamp", Type: "string", JSONPath: ".status.stamp"},
			{Name: "Until", Type: "string", JSONPath: ".status.until", Description: "It can be rolled back until then."},
			{Name: "Reason", Type: "string", JSONPath: ".status.reason"},
			{Name: "Description", Type: "string", JSONPath: ".spec.description", Priority: 1},
			{Name: "Age", Type: "date", JSONPath: ".metadata.creationTimestamp"},
		})
}

// encodeDefinition writes a definition as it is applied: without a status.
func encodeDefinition(d *apiextensions.CustomResourceDefinition) ([]byte, error) {
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(d)
	if err != nil {
		return nil, err
	}
	delete(object, "status")
	metadata, _ := object["metadata"].(map[string]any)
	delete(metadata, "creationTimestamp")
	data, err := yaml.Marshal(object)
	return append([]byte("# Generated from the types in api/v1alpha1 by go generate; change those instead.\n"), data...), err
}

// structural makes structural schemas: no references, a type everywhere.
type structural struct {
	comments map[string]comments // by package path
}

func (s structural) of(t reflect.Type) apiextensions.JSONSchemaProps {
	switch t {
	case durationType:
		return apiextensions.JSONSchemaProps{Type: "string", Pattern: durationPattern, MaxLength: new(int64(64))}
	case percentType:
		return apiextensions.JSONSchemaProps{Type: "string", Pattern: percentPattern, MaxLength: new(int64(32)),
			XValidations: apiextensions.ValidationRules{{Rule: "double(self.split('%')[0]) <= 100.0", Message: "it must be from 0% to 100%"}}}
	case reflect.TypeFor[metav1.Time]():
		return apiextensions.JSONSchemaProps{Type: "string", Format: "date-time"}
	case reflect.TypeFor[runtime.RawExtension]():
		return apiextensions.JSONSchemaProps{Type: "object", XPreserveUnknownFields: new(true)}
	case reflect.TypeFor[metav1.Condition]():
		return condition()
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.Struct:
		return s.object(t)
	case reflect.Slice:
		items := s.of(t.Elem())
		return apiextensions.JSONSchemaProps{Type: "array", Items: &apiextensions.JSONSchemaPropsOrArray{Schema: &items}}
	case reflect.Map:
		values := s.of(t.Elem())
		return apiextensions.JSONSchemaProps{Type: "object", AdditionalProperties: &apiextensions.JSONSchemaPropsOrBool{Allows: true, Schema: &values}}
	case reflect.Bool:
		return apiextensions.JSONSchemaProps{Type: "boolean"}
	case reflect.Int, reflect.Int64:
		return apiextensions.JSONSchemaProps{Type: "integer", Format: "int64"}
	case reflect.String:
		return apiextensions.JSONSchemaProps{Type: "string"}
	}
	panic(fmt.Sprintf("gen: no schema for %s", t)) // a new kind of field; the tests run into it
}

func (s structural) object(t reflect.Type) apiextensions.JSONSchemaProps {
	out := apiextensions.JSONSchemaProps{
		Type: "object", Description: s.comments[t.PkgPath()].of(t, ""),
		Properties: map[string]apiextensions.JSONSchemaProps{}, XValidations: rules(t),
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "" && f.Type.PkgPath() == reflect.TypeFor[metav1.TypeMeta]().PkgPath():
			continue
		case name == "":
			inlined := s.object(f.Type)
			maps.Copy(out.Properties, inlined.Properties)
			out.Required = append(out.Required, inlined.Required...)
			continue
		case name == "metadata":
			continue
		}
		one := s.of(f.Type)
		settle(&one, f)
		one.Description = s.comments[t.PkgPath()].of(t, f.Name)
		if d := settings(f, "default"); len(d) > 0 {
			one.Description += " Default: " + d[0] + "."
		}
		out.Properties[name] = one
		if !strings.Contains(options, "omit") {
			out.Required = append(out.Required, name)
		}
	}
	slices.Sort(out.Required)
	return out
}

// settle puts what a field's tags say into its schema.
func settle(p *apiextensions.JSONSchemaProps, f reflect.StructField) {
	one := p // what bounds of a value speak of: in a list, of each
	if p.Type == "array" {
		one = p.Items.Schema
	}
	for part := range strings.SplitSeq(f.Tag.Get("jsonschema"), ",") {
		key, value, _ := strings.Cut(part, "=")
		n, err := strconv.ParseInt(value, 10, 64)
		switch key {
		case "pattern":
			one.Pattern = value
		case "enum":
			one.Enum = append(one.Enum, apiextensions.JSON{Raw: []byte(strconv.Quote(value))})
		case "maxLength":
			one.MaxLength = &n
		case "minimum":
			one.Minimum = new(float64(n))
		case "maximum":
			one.Maximum = new(float64(n))
		case "minItems":
			p.MinItems = &n
		case "maxItems":
			p.MaxItems = &n
		default:
			continue
		}
		if key != "pattern" && key != "enum" && err != nil {
			panic(fmt.Sprintf("gen: %s of %s: %v", key, f.Name, err))
		}
	}
	if bounds := f.Tag.Get("between"); bounds != "" {
		p.XValidations = between(bounds)
	}
	if key := f.Tag.Get("listMapKey"); key != "" {
		p.XListType = new("map")
		p.XListMapKeys = []string{key}
	}
	if f.Tag.Get("mapType") == "atomic" {
		p.XMapType = new("atomic")
	}
	if f.Tag.Get("listType") == "set" {
		p.XListType = new("set")
		p.Items.Schema.MaxLength = new(int64(253))
	}
}

// condition is what every kind of object has for metav1.Condition.
func condition() apiextensions.JSONSchemaProps {
	text := func(most int64) apiextensions.JSONSchemaProps {
		return apiextensions.JSONSchemaProps{Type: "string", MaxLength: &most}
	}
	status := apiextensions.JSONSchemaProps{Type: "string"}
	for _, word := range []string{"True", "False", "Unknown"} {
		status.Enum = append(status.Enum, apiextensions.JSON{Raw: []byte(strconv.Quote(word))})
	}
	return apiextensions.JSONSchemaProps{
		Type: "object", Required: []string{"lastTransitionTime", "message", "reason", "status", "type"},
		Properties: map[string]apiextensions.JSONSchemaProps{
			"type": text(316), "status": status, "reason": text(1024), "message": text(32768),
			"observedGeneration": {Type: "integer", Format: "int64"},
			"lastTransitionTime": {Type: "string", Format: "date-time"},
		},
	}
}
