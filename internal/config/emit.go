package config

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// emitter writes document types as YAML: maps and lists in block style, texts
// plain where nothing can take them for anything else and in double quotes
// elsewhere, so that any parser reads back what was written.
type emitter struct {
	bytes.Buffer
}

// document writes a document, below a line that names it. It fails if what it
// wrote could not be read back.
func document(doc any, what string) ([]byte, error) {
	var e emitter
	e.WriteString("# " + strings.ToUpper(what[:1]) + what[1:] + ".")
	e.value(reflect.ValueOf(doc), 0)
	if _, err := Parse(what, e.Bytes(), "."); err != nil {
		return nil, fmt.Errorf("write %s as a document: %w", what, err)
	}
	return e.Bytes(), nil
}

// value writes what follows a key or a dash. Whatever takes lines of its own
// begins with a line break and is indented by depth steps.
func (e *emitter) value(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			e.WriteString(" null\n")
			return
		}
		e.value(v.Elem(), depth)
	case reflect.Struct, reflect.Map:
		keys, values := entries(v)
		if len(keys) == 0 {
			e.WriteString(" {}\n")
			return
		}
		e.WriteByte('\n')
		for i, key := range keys {
			e.indent(depth)
			e.WriteString(scalar(key) + ":")
			e.value(values[i], depth+1)
		}
	case reflect.Slice:
		if v.Len() == 0 {
			e.WriteString(" []\n")
			return
		}
		e.WriteByte('\n')
		for i := range v.Len() {
			e.item(v.Index(i), depth-1)
		}
	case reflect.String:
		e.WriteString(" " + scalar(v.String()) + "\n")
	case reflect.Bool:
		e.WriteString(" " + strconv.FormatBool(v.Bool()) + "\n")
	default:
		e.WriteString(" " + strconv.FormatInt(v.Int(), 10) + "\n")
	}
}

// item writes an entry of a list; a map's first key stands beside the dash.
func (e *emitter) item(v reflect.Value, depth int) {
	var inner emitter
	inner.value(v, depth+1)
	text := inner.String()
	e.indent(depth)
	e.WriteByte('-')
	if block, ok := strings.CutPrefix(text, "\n"); ok {
		text = " " + strings.TrimLeft(block, " ")
	}
	e.WriteString(text)
}

func (e *emitter) indent(depth int) { e.WriteString(strings.Repeat("  ", depth)) }

// entries lists what a struct or a map holds and a document shows.
func entries(v reflect.Value) (keys []string, values []reflect.Value) {
	if v.Kind() == reflect.Map {
		byKey := map[string]reflect.Value{}
		for k, one := range v.Seq2() {
			byKey[k.String()] = one
		}
		for _, key := range slices.Sorted(maps.Keys(byKey)) {
			keys, values = append(keys, key), append(values, byKey[key])
		}
		return keys, values
	}
	for _, f := range fieldsOf(v.Type()) {
		one := v.Field(f.index)
		empty := one.IsZero() || f.hidesEmpty && one.Kind() == reflect.Slice && one.Len() == 0
		if f.required || !empty {
			keys, values = append(keys, f.name), append(values, one)
		}
	}
	return keys, values
}

// scalar writes a text.
func scalar(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r > ' ' && r < 0x7f || r == ' ' || r > 0xa0 && r < 0x2000 || r >= 0x3000 && r < 0xd800:
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// plain tells whether a text needs no quotes: it begins with a letter, a slash
// or a dot before a slash, has nothing but harmless characters, and is no word
// of YAML's.
func plain(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if s == "" || strings.Trim(s, letters+"0123456789_./-") != "" {
		return false
	}
	if !strings.ContainsRune(letters+"/", rune(s[0])) && !strings.HasPrefix(s, "./") && !strings.HasPrefix(s, "../") {
		return false
	}
	switch strings.ToLower(s) {
	case "null", "true", "false", "yes", "no", "on", "off", "y", "n":
		return false
	}
	return true
}
