package main

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// statusWritten holds where an object is written by its status. The API server
// takes from such a write nothing but the status, and from any other nothing of
// it; and the operator writes no state without another revision. Numbers are
// compared, not optional values: for what those cost an API server before 1.33
// knows no bound, and takes no definition with such a rule.
const statusWritten = "oldSelf.hasValue() && self.?status.?revision.orValue(0) != oldSelf.?status.?revision.orValue(0)"

// specKept holds where a write leaves the spec as it is. What stands there is
// then nobody's to answer for: a definition with a stricter rule must not keep a
// Fleet from its labels, its conditions or its deletion. The API server sees to
// that by itself (ratcheting), but not with rules that name the old object.
const specKept = "oldSelf.hasValue() && self.spec == oldSelf.value().spec"

// many is a list of a spec with hundreds of members at most.
type many struct {
	path []string // below spec
	name string   // what a member is called, as an expression about self
}

// ofFleets are the lists of a Fleet's spec that may be long.
func ofFleets() []many {
	return []many{
		{[]string{"services"}, "self.name"},
		{[]string{"edge", "routes"}, "'a route to ' + self.service"},
	}
}

// specAlone has the rules about a spec as a whole, and about the members of its
// long lists, asked by the root instead, and not when the status is written. The
// API server asks every rule of every member with each write, a switch waits for
// a write of the status, and that cannot change the spec.
func specAlone(root *apiextensions.JSONSchemaProps, lists []many) {
	spec := root.Properties["spec"]
	for _, r := range spec.XValidations {
		root.XValidations = append(root.XValidations, asked(r, "self.spec", ".spec"))
	}
	spec.XValidations = nil
	root.Properties["spec"] = spec
	for _, list := range lists {
		items := at(spec, list.path).Items.Schema
		place := ".spec." + strings.Join(list.path, ".")
		for _, r := range drawn(items, nil, list.name) {
			r = ofAll("self"+place, r)
			if len(list.path) > 1 { // what is at the top of a spec is always there
				r.Rule = "!has(self" + place + ") || " + r.Rule
			}
			root.XValidations = append(root.XValidations, asked(r, "self", place))
		}
	}
}

// at is the schema of a field below another.
func at(p apiextensions.JSONSchemaProps, path []string) apiextensions.JSONSchemaProps {
	for _, name := range path {
		p = p.Properties[name]
	}
	return p
}

// drawn takes the rules out of a member's schema, field by field, and returns
// them as rules about the member. What a field's rule says names the member.
func drawn(p *apiextensions.JSONSchemaProps, path []string, name string) apiextensions.ValidationRules {
	var out apiextensions.ValidationRules
	field := strings.Join(append([]string{"self"}, path...), ".")
	for _, r := range p.XValidations {
		if len(path) > 0 {
			r.MessageExpression = "'" + strings.Join(path, ".") + " of ' + " + name + " + ' is ' + " + field + " + '; " + r.Message + "'"
			r.Rule = unless(path) + "(" + about(r.Rule, field) + ")"
		}
		out = append(out, r)
	}
	p.XValidations = nil
	for _, key := range slices.Sorted(maps.Keys(p.Properties)) {
		one := p.Properties[key]
		out = append(out, drawn(&one, append(slices.Clone(path), key), name)...)
		p.Properties[key] = one
	}
	return out
}

// unless is that a field of a member is not there, or.
func unless(path []string) string {
	var out strings.Builder
	for i := range path {
		out.WriteString("!has(self." + strings.Join(path[:i+1], ".") + ") || ")
	}
	return out.String()
}

// ofAll is a rule about a member as one about all of a list. It names the first
// that it refuses.
func ofAll(list string, r apiextensions.ValidationRule) apiextensions.ValidationRule {
	one := about(r.Rule, "one")
	r.Rule = list + ".all(one, " + one + ")"
	r.MessageExpression = list + ".map(one, !(" + one + "), " + about(r.MessageExpression, "one") + ")[0]"
	return r
}

// asked is a rule about a part of an object as one of its root.
func asked(r apiextensions.ValidationRule, part, path string) apiextensions.ValidationRule {
	r.Rule = statusWritten + " || (" + about(r.Rule, part) + ") || " + specKept // which costs as much as the rule, so last
	r.MessageExpression = about(r.MessageExpression, part)
	r.OptionalOldSelf = new(true)
	r.FieldPath = path
	return r
}

// about is an expression about something else than self.
func about(expression, other string) string {
	return itself.ReplaceAllString(expression, other)
}

var itself = regexp.MustCompile(`\bself\b`)
