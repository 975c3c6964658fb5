// Package trail is how the demo fleet shows which versions a request met: every
// answer carries a list of service=version, one more per hop, and every hop can
// tell from it whether two releases were mixed.
//
// It owns that list, its header and the answer of a path; it calls nothing but
// the next hop of a path, and imports nothing of greenroom: this is the app
// looking at itself from outside. Start at Trail.
package trail

import (
	"net/http"
	"strings"
)

const (
	// Header holds a Trail, nearest service first: web=v1,api=v1,gift=v1,wallet=v1.
	// The wallet answers it as gRPC metadata, under the same name in lower case.
	Header = "X-Live-Path"
	// MixedHeader is "1" on the answer to a request that met two releases.
	MixedHeader = "X-Live-Mixed"
)

// Hop is one service that answered, in the version that did.
type Hop struct {
	Service string `json:"service"`
	Version string `json:"version"`
}

// Trail lists the hops of one request, nearest to the client first.
type Trail []Hop

// Parse reads what String wrote. What is not service=version is left out.
func Parse(s string) Trail {
	var t Trail
	for part := range strings.SplitSeq(s, ",") {
		service, version, ok := strings.Cut(strings.TrimSpace(part), "=")
		if ok && service != "" && version != "" {
			t = append(t, Hop{service, version})
		}
	}
	return t
}

// Of reads the trail of an answer.
func Of(h http.Header) Trail { return Parse(h.Get(Header)) }

// String is the form that Header has.
func (t Trail) String() string {
	var b strings.Builder
	for i, hop := range t {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(hop.Service)
		b.WriteByte('=')
		b.WriteString(hop.Version)
	}
	return b.String()
}

// Behind returns t with one more hop in front.
func (t Trail) Behind(h Hop) Trail {
	return append(Trail{h}, t...)
}

// Mixed reports whether services that are released together answered in
// different versions. The api stands apart: it speaks to either, and stays when
// the others go.
func (t Trail) Mixed() bool {
	version := ""
	for _, hop := range t {
		switch {
		case hop.Service == "api":
		case version == "":
			version = hop.Version
		case hop.Version != version:
			return true
		}
	}
	return false
}
