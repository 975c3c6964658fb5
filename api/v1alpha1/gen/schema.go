package main

import (
	"bytes"
	"encoding/json"
	"reflect"

	"github.com/invopop/jsonschema"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
)

var (
	fleetDocument   = reflect.TypeFor[v1alpha1.Fleet]()
	releaseDocument = reflect.TypeFor[v1alpha1.Release]()
	durationType    = reflect.TypeFor[v1alpha1.Duration]()
	percentType     = reflect.TypeFor[v1alpha1.Percent]()
	removableType   = reflect.TypeFor[map[string]*string]()
)

// What durations and percentages look like.
const (
	durationPattern = `^\+?(0|([0-9]*\.?[0-9]+\.?d)?([0-9]*\.?[0-9]*(ns|us|µs|μs|ms|s|m|h))*)$`
	percentPattern  = `^[0-9.]+%$`
)

// schemaOf makes the JSON Schema of a document. It says less than the checks
// of package config, and never refuses what they accept.
func schemaOf(c comments, document reflect.Type) *jsonschema.Schema {
	r := &jsonschema.Reflector{
		Anonymous:     true,
		LookupComment: c.of,
		Mapper:        mapped,
	}
	s := r.ReflectFromType(document)
	oneOf(s.Definitions["Service"], "run", "endpoints", "image")
	oneOf(s.Definitions["Hook"], "run", "http")
	return s
}

// mapped is the schema of a type that Go's kinds do not tell all about.
func mapped(t reflect.Type) *jsonschema.Schema {
	switch t {
	case durationType:
		return &jsonschema.Schema{
			Type:    "string",
			Pattern: durationPattern,
		}
	case percentType:
		return &jsonschema.Schema{Type: "string", Pattern: percentPattern}
	case removableType:
		return &jsonschema.Schema{
			Type: "object",
			AdditionalProperties: &jsonschema.Schema{
				AnyOf: []*jsonschema.Schema{{Type: "string"}, {Type: "null"}},
			},
		}
	}
	return nil
}

// oneOf demands exactly one of some fields.
func oneOf(s *jsonschema.Schema, fields ...string) {
	if s == nil {
		return
	}
	for _, f := range fields {
		s.OneOf = append(s.OneOf, &jsonschema.Schema{Required: []string{f}})
	}
}

// either is the schema of a file whose documents are of several kinds.
func either(files ...string) *jsonschema.Schema {
	s := &jsonschema.Schema{Version: jsonschema.Version}
	for _, f := range files {
		s.OneOf = append(s.OneOf, &jsonschema.Schema{Ref: f})
	}
	return s
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}
