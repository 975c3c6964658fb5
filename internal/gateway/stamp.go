package gateway

import (
	"net/http"
	"strings"

	"github.com/greenroom-dev/greenroom/internal/gateway/field"
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
func ReadStamp(h field.Header, name string) string {
	if stamp := field.First(h, name); stamp != "" {
		return stamp
	}
	return baggageStamp(h)
}

// setStamp makes the stamp of v the only one that a call carries, in both
// forms. A trail that the call carries is kept by giving it.
func (s *Snapshot) setStamp(h field.Header, v *viewFlow, trail string) {
	h.Set(s.StampHeader, v.stamp)
	setMembers(h, v.member, trail)
}

// restoreStamp does what setStamp does for a call between services, and leaves
// baggage alone that is right already.
func (s *Snapshot) restoreStamp(h field.Header, v *viewFlow) {
	h.DeleteAll((*stampNames)(s))
	h.Set(s.StampHeader, v.stamp)
	if lines := h.Values(baggageHeader); len(lines) == 1 && strings.Count(lines[0], stampMember) == 1 && baggageStamp(h) == v.stamp {
		return
	}
	trail := baggageMember(h, trailMember)
	if !trailID(trail) {
		trail = ""
	}
	setMembers(h, v.member, trail)
}

// StripReserved takes out every header field of greenroom's own, in any case
// and with underscores for hyphens too, since some servers make them equal:
// the stamp's, whatever its name, and the pass's.
func (s *Snapshot) StripReserved(h field.Header) { h.DeleteAll((*reservedNames)(s)) }

// PassHeader carries a pass to the edge.
const PassHeader = "Greenroom-Pass"

// stampNames are the names that read as the stamp's.
type stampNames Snapshot

// Has reports whether key is one.
func (s *stampNames) Has(key string) bool { return field.FoldsTo(key, s.StampHeader) }

// reservedNames are those of a request that StripReserved takes out.
type reservedNames Snapshot

// Has reports whether key is one.
func (s *reservedNames) Has(key string) bool {
	return reserved(key) || field.FoldsTo(key, s.StampHeader) || field.FoldsTo(key, PassHeader)
}

// answerNames are greenroom's own names in a service's answer.
type answerNames Snapshot

// Has reports whether key is one.
func (s *answerNames) Has(key string) bool {
	return reserved(key) || strings.EqualFold(key, s.StampHeader)
}

func reserved(key string) bool { return field.FoldsToPrefix(key, Reserved) }

// stripAnswer takes greenroom's names out of a service's answer, so that
// nothing can be taken for ours that is not, and no client learns a stamp. It
// is for trailers too.
func (s *Snapshot) stripAnswer(h field.Header) { h.DeleteAll((*answerNames)(s)) }

// stripTrailers does what stripAnswer does for trailers: what stands in a
// ResponseWriter's header once the answer is written.
func (s *Snapshot) stripTrailers(h http.Header) {
	own := (*answerNames)(s)
	for key := range h {
		if own.Has(strings.TrimPrefix(key, http.TrailerPrefix)) {
			delete(h, key)
		}
	}
}
