package propagate

import (
	"net/url"
	"strings"
)

// W3C baggage (https://www.w3.org/TR/baggage/):
//
//	baggage-string = list-member 0*179( OWS "," OWS list-member )
//	list-member    = key OWS "=" OWS value *( OWS ";" OWS property )
//
// Neither key, value nor property may hold a comma, quoted or not, so that
// members are told apart by commas alone and the others need not be understood
// to be left alone.
const (
	maxBaggageBytes   = 8192
	maxBaggageMembers = 180
)

// joinBaggage makes one list of several header lines (RFC 9110, section 5.3).
func joinBaggage(lines []string) string {
	switch len(lines) {
	case 0:
		return ""
	case 1:
		return lines[0]
	}
	return strings.Join(lines, ",")
}

// stampInBaggage returns the stamp that the baggage names, or "". Keys need not
// be unique on the wire; the last that is a stamp counts, as in OpenTelemetry.
func stampInBaggage(baggage string) string {
	if !strings.Contains(baggage, Member) {
		return ""
	}
	stamp := ""
	for member := range strings.SplitSeq(baggage, ",") {
		if value, own := ownMember(member); own && value != "" {
			stamp = value
		}
	}
	return stamp
}

// rewriteBaggage returns the baggage with stamp as the value of our member, or
// without that member when stamp is empty. All other members stay as they are,
// byte for byte and in their order, but for two kinds: those with bytes that no
// header may hold, which a message can have brought along and which would make
// every call fail, and, from the end on, those beyond the limits of size and
// number. Ours goes first, so that a hop which cuts the end cuts another's.
func rewriteBaggage(baggage, stamp string) string {
	if baggage == "" && stamp == "" || baggageIsReady(baggage, stamp) {
		return baggage
	}
	var b strings.Builder
	b.Grow(min(len(Member)+1+len(stamp)+1+len(baggage), maxBaggageBytes))
	members := 0
	if stamp != "" {
		b.WriteString(Member)
		b.WriteByte('=')
		b.WriteString(stamp)
		members++
	}
	for member := range strings.SplitSeq(baggage, ",") {
		if _, own := ownMember(member); own || trimOWS(member) == "" || !sendable(member) {
			continue
		}
		if members == maxBaggageMembers || b.Len()+1+len(member) > maxBaggageBytes {
			break
		}
		if members > 0 {
			b.WriteByte(',')
		}
		b.WriteString(member)
		members++
	}
	return b.String()
}

// baggageIsReady reports whether rewriteBaggage would have nothing to do, which
// is so at every hop behind the first.
func baggageIsReady(baggage, stamp string) bool {
	if len(baggage) > maxBaggageBytes || !sendable(baggage) {
		return false
	}
	if strings.Count(baggage, ",") >= maxBaggageMembers {
		return false
	}
	if !strings.Contains(baggage, Member) {
		return stamp == ""
	}
	found := 0
	for member := range strings.SplitSeq(baggage, ",") {
		value, own := ownMember(member)
		if !own {
			continue
		}
		if found++; value != stamp || found > 1 {
			return false
		}
	}
	return found == 1 && stamp != "" || found == 0 && stamp == ""
}

// hasOwnMember reports whether a member of the baggage is ours, with a stamp in
// it or not.
func hasOwnMember(baggage string) bool {
	if !strings.Contains(baggage, Member) {
		return false
	}
	for member := range strings.SplitSeq(baggage, ",") {
		if _, own := ownMember(member); own {
			return true
		}
	}
	return false
}

// ownMember reports whether a list-member is ours, and the stamp in it: "" where
// its value is none.
func ownMember(member string) (stamp string, own bool) {
	rest, ok := strings.CutPrefix(trimOWS(member), Member)
	if !ok {
		return "", false
	}
	rest = trimOWS(rest)
	if rest == "" || rest[0] == ';' {
		return "", true // ours by its key, without a value
	}
	if rest[0] != '=' {
		return "", false // a longer key
	}
	value, _, _ := strings.Cut(rest[1:], ";")
	value = trimOWS(value)
	if strings.IndexByte(value, '%') >= 0 {
		decoded, err := url.PathUnescape(value)
		if err != nil {
			return "", true
		}
		value = decoded
	}
	if !validStamp(value) {
		return "", true
	}
	return value, true
}

// sendable reports whether a header's value may hold all bytes of s: visible
// ASCII and OWS.
func sendable(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != '\t' && (c < ' ' || c > '~') {
			return false
		}
	}
	return true
}

// trimOWS trims what HTTP calls optional whitespace.
func trimOWS(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}
