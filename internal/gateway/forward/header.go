package forward

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// hopByHop are the fields that end at each hop (RFC 9110, section 7.6.1, and
// what implementations send besides). Te, Trailer and Upgrade are put back where
// they have a meaning for the next hop.
var hopByHop = [...]string{
	"Connection",
	"Http2-Settings",
	"Keep-Alive",
	"Proxy-Authenticate",
	"Proxy-Authentication-Info",
	"Proxy-Authorization",
	"Proxy-Connection",
	"Te",
	"Trailer",
	"Transfer-Encoding",
	"Upgrade",
}

// stripHopByHop removes the fields that end here: the known ones and those that
// Connection names.
func stripHopByHop(h http.Header) {
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = textproto.TrimString(name); name != "" {
				delete(h, textproto.CanonicalMIMEHeaderKey(name))
			}
		}
	}
	for _, name := range hopByHop {
		delete(h, name)
	}
}

// upgradeOf returns the protocols that a message wants to change to, or "".
func upgradeOf(h http.Header) string {
	if !httpguts.HeaderValuesContainsToken(h["Connection"], "upgrade") {
		return ""
	}
	return strings.Join(h["Upgrade"], ", ")
}

// trailerAllowed reports whether a trailer of that name is passed on: not one
// that frames or routes a message (RFC 9110, section 6.5.1).
func trailerAllowed(name string) bool {
	return httpguts.ValidTrailerHeader(name) && !slices.Contains(hopByHop[:], name)
}
