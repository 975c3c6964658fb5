package gateway

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"

	"github.com/greenroom-dev/greenroom/internal/gateway/field"
)

// The members of W3C baggage that are greenroom's own.
const (
	stampMember = "greenroom.release"
	trailMember = "greenroom.trail"
)

const baggageHeader = "Baggage"

// Services drop baggage as a whole when it is malformed or exceeds the limits
// of the specification (64 members, 8,192 bytes), and the stamp with it. So
// what others put there is kept within these, with room for members that
// services add.
const (
	maxForeignMembers = 56
	maxForeignBytes   = 7168
)

// baggageStamp returns what the first greenroom.release member says, "" for
// none.
func baggageStamp(h field.Header) string { return baggageMember(h, stampMember) }

func baggageMember(h field.Header, key string) string {
	for _, line := range h.Values(baggageHeader) {
		if !strings.Contains(line, key) {
			continue
		}
		for member := range strings.SplitSeq(line, ",") {
			if k, value, ok := splitMember(member); ok && k == key {
				return value
			}
		}
	}
	return ""
}

// splitMember returns the key and the value of a member, without its
// properties.
func splitMember(member string) (key, value string, ok bool) {
	pair, _, _ := strings.Cut(member, ";")
	key, value, ok = strings.Cut(pair, "=")
	return strings.Trim(key, " \t"), strings.Trim(value, " \t"), ok
}

// setBaggage makes stamp, and trail unless empty, the only members of their
// names, and puts them first. Other members keep their bytes and order. What
// is malformed, or beyond what services accept, is left out.
func setBaggage(h field.Header, stamp, trail string) {
	setMembers(h, stampMember+"="+url.PathEscape(stamp), trail)
}

// setMembers is setBaggage with the member that carries the stamp.
func setMembers(h field.Header, own, trail string) {
	lines := h.Values(baggageHeader)
	if len(lines) == 0 && trail == "" {
		h.Set(baggageHeader, own)
		return
	}
	var b strings.Builder
	b.WriteString(own)
	if trail != "" {
		b.WriteString("," + trailMember + "=" + trail)
	}
	members, size := 0, 0
	for _, line := range lines {
		for member := range strings.SplitSeq(line, ",") {
			member = strings.Trim(member, " \t")
			if members == maxForeignMembers || size+len(member) > maxForeignBytes || !foreignMember(member) {
				continue
			}
			b.WriteByte(',')
			b.WriteString(member)
			members++
			size += len(member) + 1
		}
	}
	h.Set(baggageHeader, b.String())
}

// foreignMember reports whether a member is well-formed and not one of ours.
func foreignMember(member string) bool {
	key, value, ok := splitMember(member)
	if !ok || !httpguts.ValidHeaderFieldName(key) || !baggageValue(value) {
		return false
	}
	if readsAsOurs(key) {
		return false
	}
	_, properties, _ := strings.Cut(member, ";")
	for property := range strings.SplitSeq(properties, ";") {
		if property == "" {
			continue
		}
		key, value, _ := strings.Cut(property, "=")
		if !httpguts.ValidHeaderFieldName(strings.Trim(key, " \t")) || !baggageValue(strings.Trim(value, " \t")) {
			return false
		}
	}
	return true
}

// readsAsOurs reports whether some service could read a key as one of ours, or
// could not read it at all. The specification lets nobody decode a key, but
// OpenTelemetry does in several languages, some of them as forms are decoded
// and with a trim afterwards, and then passes it on decoded: to the next hop it
// is a stamp. Each hop may do it once more.
func readsAsOurs(key string) bool {
	for {
		name := strings.TrimFunc(key, blank)
		if strings.EqualFold(name, stampMember) || strings.EqualFold(name, trailMember) {
			return true
		}
		decoded, err := url.QueryUnescape(key)
		if err != nil {
			return true
		}
		if decoded == key {
			return false
		}
		key = decoded
	}
}

// blank reports whether r is trimmed off by one language or another.
func blank(r rune) bool { return r <= ' ' || unicode.IsSpace(r) || r == '\uFEFF' }

// baggageValue reports whether s is a value by the grammar of W3C baggage,
// with complete percent escapes of valid UTF-8.
func baggageValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == ',' || c == ';' || c == '\\' {
			return false
		}
	}
	decoded, err := url.PathUnescape(s)
	return err == nil && utf8.ValidString(decoded)
}
