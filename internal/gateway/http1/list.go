package http1

import (
	"strings"

	"github.com/greenroom-dev/greenroom/internal/gateway/field"
)

// List is a header as its lines, in the order in which they came. Lines that
// nobody changes keep their bytes. It is a field.Header. The zero value is an
// empty one; a List is used again after Reset.
type List struct {
	lines  []line
	values []string // what Values returned last
	names  uint64   // a bit for each kind of name there may be
}

// line is one field. The strings are parts of the head that they came in, or
// somebody's.
type line struct {
	name, value string
	raw         string // with its CRLF; "" for one that was added
	gone        bool
}

var _ field.Header = (*List)(nil)

// Reset empties l.
func (l *List) Reset() {
	clear(l.lines) // they hold a head
	l.lines = l.lines[:0]
	clear(l.values)
	l.values = l.values[:0]
	l.names = 0
}

// kind tells names apart roughly: equal names have the same bit.
func kind(name string) uint64 {
	if name == "" {
		return 0
	}
	return 1 << ((uint(len(name))*5 + uint(name[0]|0x20)) & 63)
}

func (l *List) add(name, value, raw string) {
	l.names |= kind(name)
	l.lines = append(l.lines, line{name: name, value: value, raw: raw})
}

// Len returns how many fields there are.
func (l *List) Len() int {
	n := 0
	for i := range l.lines {
		if !l.lines[i].gone {
			n++
		}
	}
	return n
}

// Values returns the values of a name.
func (l *List) Values(name string) []string {
	if l.names&kind(name) == 0 {
		return nil
	}
	l.values = l.values[:0]
	for i := range l.lines {
		if at := &l.lines[i]; !at.gone && equal(at.name, name) {
			l.values = append(l.values, at.value)
		}
	}
	if len(l.values) == 0 {
		return nil
	}
	return l.values
}

// Set makes value the only one of name.
func (l *List) Set(name, value string) {
	l.Delete(name)
	l.add(name, value, "")
}

// Add adds a value.
func (l *List) Add(name, value string) { l.add(name, value, "") }

// Delete takes a name out.
func (l *List) Delete(name string) {
	if l.names&kind(name) == 0 {
		return
	}
	for i := range l.lines {
		if at := &l.lines[i]; equal(at.name, name) {
			at.gone = true
		}
	}
}

// DeleteAll takes out what is among names.
func (l *List) DeleteAll(names field.Names) {
	for i := range l.lines {
		if at := &l.lines[i]; !at.gone && names.Has(at.name) {
			at.gone = true
		}
	}
}

// Any reports whether a field is among names.
func (l *List) Any(names field.Names) bool {
	for i := range l.lines {
		if at := &l.lines[i]; !at.gone && names.Has(at.name) {
			return true
		}
	}
	return false
}

// All calls f with each field, until it returns false.
func (l *List) All(f func(name, value string) bool) {
	for i := range l.lines {
		if at := &l.lines[i]; !at.gone && !f(at.name, at.value) {
			return
		}
	}
}

// Append appends the lines as they are sent.
func (l *List) Append(b []byte) []byte {
	for i := range l.lines {
		at := &l.lines[i]
		switch {
		case at.gone:
		case at.raw != "":
			b = append(b, at.raw...)
		default:
			b = append(b, at.name...)
			b = append(b, ": "...)
			b = append(b, at.value...)
			b = append(b, '\r', '\n')
		}
	}
	return b
}

func equal(a, b string) bool { return len(a) == len(b) && (a == b || strings.EqualFold(a, b)) }

// hopByHop is what ends at each hop (RFC 9110, section 7.6.1, and what
// implementations send besides).
type hopByHop struct{}

// Has reports whether a name is one of these.
func (hopByHop) Has(name string) bool {
	switch len(name) {
	case 2:
		return equal(name, "TE")
	case 7:
		return equal(name, "Trailer") || equal(name, "Upgrade")
	case 10:
		return equal(name, "Connection") || equal(name, "Keep-Alive")
	case 14:
		return equal(name, "HTTP2-Settings")
	case 16:
		return equal(name, "Proxy-Connection")
	case 17:
		return equal(name, "Transfer-Encoding")
	case 18:
		return equal(name, "Proxy-Authenticate")
	case 19:
		return equal(name, "Proxy-Authorization")
	case 25:
		return equal(name, "Proxy-Authentication-Info")
	}
	return false
}

// IsHopByHop reports whether fields of a name end at each hop.
func IsHopByHop(name string) bool { return hopByHop{}.Has(name) }

// StripHopByHop takes out the fields that end here: the known ones and those
// that Connection names.
func (l *List) StripHopByHop() {
	if l.names&kind("Connection") != 0 {
		for i := range l.lines {
			if !equal(l.lines[i].name, "Connection") || l.lines[i].gone {
				continue
			}
			for name := range strings.SplitSeq(l.lines[i].value, ",") {
				if name = strings.Trim(name, " \t"); name != "" && !equal(name, "Connection") {
					l.Delete(name)
				}
			}
		}
	}
	l.DeleteAll(hopByHop{})
}
