package gateway

import (
	"net/http"
	"strings"
)

// Reserved is what the names of greenroom's own header fields begin with. The
// edge takes every such field out of what comes from outside, and the gateway
// out of what services answer.
const Reserved = "X-Greenroom-"

// The header fields of answers.
const (
	ReleaseHeader = "X-Greenroom-Release"
	TrailHeader   = "X-Greenroom-Trail"
	ErrorHeader   = "X-Greenroom-Error"
)

// ReadStamp returns what a call between services carries: the first value of
// the header of that name, else the baggage's; "" for neither.
func ReadStamp(h http.Header, name string) string {
	if values := h[name]; len(values) > 0 && values[0] != "" {
		return values[0]
	}
	return baggageStamp(h)
}

// setStamp makes stamp the only one that a call carries, in both forms. A trail
// that the call carries is kept by giving it.
func setStamp(h http.Header, name, stamp, trail string) {
	h[name] = []string{stamp}
	setBaggage(h, stamp, trail)
}

// restoreStamp does what setStamp does for a call between services, and leaves
// baggage alone that is right already.
func restoreStamp(h http.Header, name, stamp string) {
	for key := range h {
		if key != name && foldsTo(key, name) {
			delete(h, key)
		}
	}
	h[name] = []string{stamp}
	if lines := h[baggageHeader]; len(lines) == 1 && strings.Count(lines[0], stampMember) == 1 && baggageStamp(h) == stamp {
		return
	}
	trail := baggageMember(h, trailMember)
	if !trailID(trail) {
		trail = ""
	}
	setBaggage(h, stamp, trail)
}

// StripReserved takes out every header field of greenroom's own, in any case
// and with underscores for hyphens too, since some servers make them equal:
// the stamp's, whatever its name, and the pass's.
func (s *Snapshot) StripReserved(h http.Header) {
	for key := range h {
		if reserved(key) || foldsTo(key, s.StampHeader) || foldsTo(key, PassHeader) {
			delete(h, key)
		}
	}
}

// PassHeader carries a pass to the edge.
const PassHeader = "Greenroom-Pass"

func reserved(key string) bool {
	return len(key) >= len(Reserved) && foldsTo(key[:len(Reserved)], Reserved)
}

// foldsTo reports whether two field names are equal but for case and for
// underscores in place of hyphens.
func foldsTo(key, name string) bool {
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

func fold(c byte) byte {
	switch {
	case c == '_':
		return '-'
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	}
	return c
}

// stripAnswer takes greenroom's names out of a service's answer, so that
// nothing can be taken for ours that is not, and no client learns a stamp.
func stripAnswer(h http.Header, stampHeader string) {
	for key := range h {
		if reserved(key) || key == stampHeader {
			delete(h, key)
		}
	}
}

// stripTrailers does what stripAnswer does for trailers: what stands in a
// ResponseWriter's header once the answer is written.
func stripTrailers(h http.Header, stampHeader string) {
	for key := range h {
		if name := strings.TrimPrefix(key, http.TrailerPrefix); reserved(name) || name == stampHeader {
			delete(h, key)
		}
	}
}
