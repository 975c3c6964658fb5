package config

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/internal/spelling"
)

// maxValues bounds how many values one text may stand for once its aliases
// are followed, so that a short text cannot fill the memory.
const maxValues = 200_000

// decoder fills a document type from a parsed text, notes where everything
// stands, and complains about all that does not fit rather than the first.
type decoder struct {
	*problems
	anchors  map[string]ast.Node
	values   int
	tooLarge bool
}

// value decodes n into v, which is settable.
func (d *decoder) value(n ast.Node, v reflect.Value, p path) {
	if d.values++; d.values > maxValues {
		if !d.tooLarge {
			d.tooLarge = true
			d.add(start(n), p, "write it out with fewer aliases, or split the fleet",
				fmt.Sprintf("the document stands for more than %d values", maxValues))
		}
		return
	}
	if _, ok := d.src.values[p]; !ok {
		d.src.values[p] = start(n)
	}
	if n = d.node(n, p); n == nil {
		return
	}
	if _, null := n.(*ast.NullNode); null {
		if v.Kind() == reflect.Pointer && v.Type().Elem().Kind() == reflect.String {
			return
		}
		d.atKey(p, "give it a value, or remove it", "%s has no value", shown(p))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.values--
		d.value(n, v.Elem(), p)
	case reflect.Struct:
		d.object(n, v, p)
	case reflect.Map:
		d.textMap(n, v, p)
	case reflect.Slice:
		d.list(n, v, p)
	default:
		d.scalar(n, v, p)
	}
}

// object decodes a map into a struct by its json names.
func (d *decoder) object(n ast.Node, v reflect.Value, p path) {
	pairs, ok := d.pairs(n, p, 0)
	if !ok {
		return
	}
	known := fieldsOf(v.Type())
	given := map[string]bool{} // or meant, by the looks of it
	for _, e := range pairs {
		where := p.field(e.key)
		i := slices.IndexFunc(known, func(f field) bool { return f.name == e.key })
		if i < 0 {
			d.add(e.at, where, did(e.key, names(known)), fmt.Sprintf("unknown field `%s`", cut(e.key)))
			given[spelling.Nearest(e.key, names(known))] = true
			continue
		}
		given[e.key] = true
		d.src.keys[where] = e.at
		d.value(e.value, v.Field(known[i].index), where)
	}
	for _, f := range known {
		if f.required && !given[f.name] {
			d.at(p, "", "%s lacks the field `%s`", shown(p), f.name)
		}
	}
}

// textMap decodes a map of texts: environment variables.
func (d *decoder) textMap(n ast.Node, v reflect.Value, p path) {
	pairs, ok := d.pairs(n, p, 0)
	if !ok {
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, e := range pairs {
		where := p.field(e.key)
		d.src.keys[where] = e.at
		d.hide(e.value)
		one := reflect.New(v.Type().Elem()).Elem()
		d.value(e.value, one, where)
		v.SetMapIndex(reflect.ValueOf(e.key), one)
	}
}

// hide keeps a value out of excerpts: a text itself, of anything else the rest
// of its line.
func (d *decoder) hide(n ast.Node) {
	if a, ok := n.(*ast.AnchorNode); ok && a.Value != nil {
		n = a.Value
	}
	at := start(n)
	hidden := span{at.column, math.MaxInt}
	if _, ok := n.(ast.ScalarNode); ok && n.GetToken() != nil {
		hidden.to = at.column + len([]rune(strings.TrimSpace(n.GetToken().Origin)))
	}
	d.src.secrets[at.line] = append(d.src.secrets[at.line], hidden)
}

func (d *decoder) list(n ast.Node, v reflect.Value, p path) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.mismatch(n, p, "a list")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values)))
	for i, one := range seq.Values {
		d.value(one, v.Index(i), p.index(i))
	}
}

func (d *decoder) scalar(n ast.Node, v reflect.Value, p path) {
	switch v.Kind() {
	case reflect.String:
		switch t := n.(type) {
		case *ast.StringNode:
			v.SetString(t.Value)
		case *ast.LiteralNode:
			v.SetString(t.Value.Value)
		case *ast.MappingNode, *ast.MappingValueNode:
			whole, ok := d.plain(n)
			if !ok {
				d.notText(n, v.Type(), p)
				return
			}
			v.SetString(whole)
		default:
			d.notText(n, v.Type(), p)
		}
	case reflect.Bool:
		if t, ok := n.(*ast.BoolNode); ok {
			v.SetBool(t.Value)
			return
		}
		d.mismatch(n, p, "true or false")
	case reflect.Int:
		if t, ok := n.(*ast.IntegerNode); ok {
			switch i := t.Value.(type) {
			case int64:
				v.SetInt(i)
				return
			case uint64:
				if i <= 1<<53 {
					v.SetInt(int64(i))
					return
				}
			}
		}
		d.mismatch(n, p, "a whole number")
	default:
		// A new kind of field needs a case here; the tests that decode every
		// field of every type find it.
		d.mismatch(n, p, "nothing known")
	}
}

// notText complains about a number or a truth value where a text belongs.
func (d *decoder) notText(n ast.Node, t reflect.Type, p path) {
	number := n.Type() == ast.IntegerType || n.Type() == ast.FloatType
	text := n.GetToken().Value
	switch {
	case number && t == reflect.TypeFor[v1alpha1.Duration]():
		d.at(p, fmt.Sprintf("units are ms, s, m, h and d; did you mean `%ss`?", text), "%s is a duration without a unit", shown(p))
	case number && t == reflect.TypeFor[v1alpha1.Percent]():
		d.at(p, fmt.Sprintf("did you mean `%s%%`?", text), "%s is a percentage without its sign", shown(p))
	case number || n.Type() == ast.BoolType:
		hint := "put it in quotes"
		if !d.secret(p) {
			hint = fmt.Sprintf("put it in quotes: \"%s\"", text)
		}
		d.at(p, hint, "%s wants a text, this is %s", shown(p), kindOf(n))
	default:
		d.mismatch(n, p, "a text")
	}
}

// secret tells whether p lies in a map of environment variables.
func (d *decoder) secret(p path) bool { return strings.Contains(string(p), ".env.") }

func (d *decoder) mismatch(n ast.Node, p path, want string) {
	hint := ""
	switch n.(type) {
	case *ast.StringNode, *ast.LiteralNode:
		if want == "a whole number" || want == "true or false" {
			hint = "write it without quotes"
		}
		if want == "a list" && !d.secret(p) {
			hint = "write it as a list: [" + strings.Join(strings.Fields(n.GetToken().Value), ", ") + "]"
		}
	}
	d.at(p, hint, "%s wants %s, this is %s", shown(p), want, kindOf(n))
}

// shown names a place for people: the last field of the path in backticks,
// "this entry" for the entry of a list.
func shown(p path) string {
	s := string(p)
	if s == "" {
		return "the document"
	}
	if strings.HasSuffix(s, "]") {
		up, _ := p.parent()
		return "an entry of " + shown(up)
	}
	if i := strings.Index(s, ".env."); i >= 0 {
		return "`" + s[i+len(".env."):] + "`"
	}
	return "`" + s[strings.LastIndexByte(s, '.')+1:] + "`"
}

// field is one field of a document type.
type field struct {
	name       string
	index      int
	required   bool
	hidesEmpty bool // an empty list is left out
}

func fieldsOf(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		out = append(out, field{
			name:       name,
			index:      i,
			required:   !strings.Contains(options, "omit"),
			hidesEmpty: strings.Contains(options, "omitempty"),
		})
	}
	return out
}

func names(fields []field) []string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = f.name
	}
	return out
}
