package main

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

const preface = `<!-- Generated from the types in api/v1alpha1 by go generate; change their comments instead. -->
# Configuration

greenroom reads documents in YAML (or JSON). A file holds one Fleet, or Releases, or both, separated by lines of three dashes.

- Names of fields are checked: an unknown or repeated field is an error, with its line and a suggestion. ` + "`greenroom check -f FILE`" + ` finds all errors without changing anything.
- Relative paths are relative to the document's folder; standard input counts as a file in the working directory.
- A duration is a number with a unit, or several: ` + "`250ms`, `30s`, `1m30s`, `12h`, `2d`" + `.
- Texts that look like numbers or truth values need quotes: ` + "`version: \"2.4\"`, `env: {DEBUG: \"true\"}`" + `.
- Anchors, aliases and merge keys (` + "`&`, `*`, `<<`" + `) work within a document; tags do not.
- A file has at most 1 MiB.

Editors check and complete documents by the JSON Schema in ` + "[api/v1alpha1/schema](../api/v1alpha1/schema)" + `; with yaml-language-server, begin a file with

` + "```yaml" + `
# yaml-language-server: $schema=path/to/api/v1alpha1/schema/greenroom.json
` + "```" + `

A Fleet's versions are only the first. Afterwards the state decides: applying a file again changes routes, health, drain, replicas and the set of services, but a changed version of a known service is refused (open a release, or ` + "`--adopt`" + ` it), and a file that releases have overtaken says so and changes nothing.

`

// reference writes the configuration reference: a table for each type, in the
// order in which a reader meets them.
func reference(c comments) []byte {
	var b bytes.Buffer
	b.WriteString(preface)
	var done []reflect.Type
	for _, document := range []reflect.Type{fleetDocument, releaseDocument} {
		for queue := []reflect.Type{document}; len(queue) > 0; queue = queue[1:] {
			t := queue[0]
			if slices.Contains(done, t) {
				continue
			}
			done = append(done, t)
			section(&b, c, t)
			for i := range t.NumField() {
				if inner := structOf(t.Field(i).Type); inner != nil {
					queue = append(queue, inner)
				}
			}
		}
	}
	return append(bytes.TrimRight(b.Bytes(), "\n"), '\n')
}

func section(b *bytes.Buffer, c comments, t reflect.Type) {
	fmt.Fprintf(b, "## %s\n\n%s\n\n", t.Name(), strings.ReplaceAll(c.of(t, ""), "\n", "\n\n"))
	b.WriteString("| field | type | default | meaning |\n|-|-|-|-|\n")
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		standard := settings(f, "default")
		switch {
		case len(standard) > 0:
			standard[0] = "`" + standard[0] + "`"
		case !strings.Contains(options, "omit"):
			standard = []string{"*required*"}
		default:
			standard = []string{""}
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", name, kind(f), standard[0], cell(c.of(t, f.Name)))
	}
	b.WriteString("\n")
}

// cell keeps a text within its cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", "<br>", "*", `\*`).Replace(text)
}

// kind says what a field wants.
func kind(f reflect.StructField) string {
	if words := settings(f, "enum"); len(words) > 0 {
		return "`" + strings.Join(words, "` or `") + "`"
	}
	return kindOf(f.Type)
}

func kindOf(t reflect.Type) string {
	switch {
	case t == durationType:
		return "duration"
	case t == percentType:
		return "percentage"
	case t.Kind() == reflect.Pointer:
		return kindOf(t.Elem())
	case t.Kind() == reflect.Struct:
		return fmt.Sprintf("[%s](#%s)", t.Name(), strings.ToLower(t.Name()))
	case t.Kind() == reflect.Slice:
		return "list of " + kindOf(t.Elem())
	case t.Kind() == reflect.Map:
		return "map of " + kindOf(t.Elem())
	case t.Kind() == reflect.Int:
		return "whole number"
	case t.Kind() == reflect.Bool:
		return "`true` or `false`"
	}
	return "text"
}

// structOf is the document type that a field's type is made of, if any.
func structOf(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() == reflect.Struct {
		return t
	}
	return nil
}

// settings are the values of a key in a field's jsonschema tag.
func settings(f reflect.StructField, key string) []string {
	var out []string
	for part := range strings.SplitSeq(f.Tag.Get("jsonschema"), ",") {
		if value, ok := strings.CutPrefix(part, key+"="); ok {
			out = append(out, value)
		}
	}
	return out
}
