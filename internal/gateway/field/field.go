// Package field is the header of a message as the gateway's decisions see it,
// whatever holds it: net/http's map, or the list of lines that http1 reads.
//
// It owns the words in which a decision reads and changes a header, so that
// each is written once for both paths. It is pure and imports nothing of ours.
//
// Start at Header.
package field

import "strings"

// Header is the header of one message. Names are given in canonical form
// (textproto.CanonicalMIMEHeaderKey) and compared without regard to case. It is
// not safe for concurrent use.
type Header interface {
	// Values returns the values of a name in their order, nil for none. The
	// slice must not be changed, and holds until the next call.
	Values(name string) []string
	// Set makes value the only one of name.
	Set(name, value string)
	// Add adds a value behind those that name has.
	Add(name, value string)
	// Delete takes out every field of a name.
	Delete(name string)
	// DeleteAll takes out every field whose name is among names.
	DeleteAll(names Names)
	// Any reports whether there is a field whose name is among names.
	Any(names Names) bool
}

// Names is a set of field names. They may come in any case.
type Names interface{ Has(name string) bool }

// Func is a set of names told by a function.
type Func func(name string) bool

// Has is f's word.
func (f Func) Has(name string) bool { return f(name) }

// First returns the first value of a name, "" for none.
func First(h Header, name string) string {
	if values := h.Values(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// Map is a header in the form of an http.Header, whose keys are canonical. Keys
// that are not, which HTTP/2 lets through with underscores, are names of their
// own.
type Map map[string][]string

// Values returns the values of a name.
func (m Map) Values(name string) []string { return m[name] }

// Set makes value the only one of name.
func (m Map) Set(name, value string) { m[name] = []string{value} }

// Add adds a value.
func (m Map) Add(name, value string) { m[name] = append(m[name], value) }

// Delete takes a name out.
func (m Map) Delete(name string) { delete(m, name) }

// DeleteAll takes out what is among names.
func (m Map) DeleteAll(names Names) {
	for key := range m {
		if names.Has(key) {
			delete(m, key)
		}
	}
}

// Any reports whether a key is among names.
func (m Map) Any(names Names) bool {
	for key := range m {
		if names.Has(key) {
			return true
		}
	}
	return false
}

// FoldsTo reports whether two names are equal but for case and for underscores
// in place of hyphens, since some servers make these equal.
func FoldsTo(key, name string) bool {
	if len(key) != len(name) {
		return false
	}
	for i := range len(key) {
		if fold(key[i]) != fold(name[i]) {
			return false
		}
	}
	return true
}

// FoldsToPrefix reports whether a name begins with prefix, in the sense of
// FoldsTo.
func FoldsToPrefix(key, prefix string) bool {
	return len(key) >= len(prefix) && FoldsTo(key[:len(prefix)], prefix)
}

// HasSuffix reports whether a name ends with suffix in any case.
func HasSuffix(key, suffix string) bool {
	return len(key) >= len(suffix) && strings.EqualFold(key[len(key)-len(suffix):], suffix)
}

func fold(c byte) byte {
	switch {
	case c == '_':
		return '-'
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	}
	return c
}
