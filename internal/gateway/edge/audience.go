package edge

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/field"
	"github.com/greenroom-dev/greenroom/internal/pass"
	"github.com/greenroom-dev/greenroom/internal/passpage"
)

// audience is which view the sender of a request gets, and why.
type audience struct {
	stamp     string
	release   string          // of the pass that was refused
	holder    bool            // of a pass, who is told which view it is
	callback  bool            // an outside system that calls a callback address
	byHeader  bool            // the pass came in a header
	clearPass bool            // the pass cookie is of no use any more
	badge     *passpage.Badge // for a page; nil: none
	pin       string          // what the session cookie is to say from now on; "" for no change
}

// verdict is what a pass opens.
type verdict struct {
	claims pass.Claims
	rule   gateway.PassRule
}

// audienceOf decides about a request. A problem means that it carries a pass
// that opens nothing: it is refused, never given what serves.
func (h *Handler) audienceOf(q *request) (audience, *gateway.Problem) {
	token, byHeader := passOf(q.Header)
	if token == "" {
		return h.switchedOff(q, h.ordinary(q)), nil
	}
	v, problem := h.judge(q.snapshot, token)
	switch {
	case problem != nil:
		return audience{byHeader: byHeader, release: v.claims.Release}, problem
	case v.rule.Access == gateway.Ordinary:
		who := h.ordinary(q)
		who.clearPass = !byHeader
		return who, nil
	case !q.below(v.claims.Paths):
		who := h.ordinary(q)
		who.holder, who.byHeader, who.badge = true, byHeader, q.badge(v, passpage.BadgeElsewhere)
		return who, nil
	}
	return audience{stamp: v.rule.Stamp, holder: true, byHeader: byHeader, badge: q.badge(v, passpage.BadgeOn)}, nil
}

// below reports whether a pass for these paths opens the path of a request. A
// service may take the path as it stands, so that has to be below them too.
func (q *request) below(paths []string) bool {
	return pass.Under(paths, q.path) && (q.path == q.URL.Path || pass.Under(paths, q.URL.Path))
}

// passOf returns the pass that a request carries: the header's first value,
// else the cookie's.
func passOf(h field.Header) (token string, byHeader bool) {
	if values := h.Values(gateway.PassHeader); len(values) > 0 {
		return strings.TrimSpace(values[0]), true
	}
	return passpage.CookieIn(h.Values("Cookie"), passpage.CookieName), false
}

// judge says what a token opens at present. With a problem, the verdict holds
// what is known of the pass.
func (h *Handler) judge(s *gateway.Snapshot, token string) (verdict, *gateway.Problem) {
	claims, err := h.gateway.Verify(token)
	v := verdict{claims: claims}
	const ask = "Ask for a new one, or leave the preview."
	switch {
	case errors.Is(err, pass.ErrExpired):
		return v, &gateway.Problem{Code: gateway.CodePassExpired, Detail: ask}
	case err != nil:
		return v, &gateway.Problem{Code: gateway.CodePassForged, Detail: "The pass was not made here, or was changed on its way. " + ask}
	}
	if claims.Live { // whatever serves; pages and problems name it
		v.claims.Release = gateway.ReleaseOf(s.Default())
	}
	if _, revoked := s.Revoked[claims.ID]; revoked {
		return v, &gateway.Problem{Code: gateway.CodePassRevoked, Detail: fmt.Sprintf("Somebody took the pass for %s back. ", v.claims.Release) + ask}
	}
	if claims.Live {
		v.rule = gateway.PassRule{Access: gateway.Preview, Stamp: s.Default()}
		return v, nil
	}
	rule, known := s.Passes[claims.Release]
	if !known || rule.UID != claims.UID {
		return v, &gateway.Problem{Code: gateway.CodePassUnknown, Detail: fmt.Sprintf("Release %s, for which the pass was made, does not exist any more. ", claims.Release) + ask}
	}
	v.rule = rule
	if rule.Access == gateway.Ordinary || rule.Access == gateway.Preview && s.Table.Known(rule.Stamp) {
		return v, nil
	}
	reason := rule.Reason
	if reason == "" {
		reason = fmt.Sprintf("Release %s has no view that could be looked at.", claims.Release)
	}
	return v, &gateway.Problem{Code: gateway.CodePassDenied, Detail: reason + " Leave the preview, or ask whoever gave you the pass."}
}

// ordinary decides about a request without a pass: the default's view, or the
// one that its browser session is pinned to.
func (h *Handler) ordinary(q *request) audience {
	s := q.snapshot
	if s.Edge.SessionPinning <= 0 {
		return audience{stamp: s.Default()}
	}
	named := passpage.CookieIn(q.Header.Values("Cookie"), pinCookie)
	who := audience{stamp: s.Pinned(named, q.began)}
	if who.stamp != named && q.isNavigation() {
		who.pin = who.stamp
	}
	return who
}

// isNavigation reports whether a browser asks for a page.
func (q *request) isNavigation() bool {
	if q.Method != http.MethodGet {
		return false
	}
	if mode := field.First(q.Header, "Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return q.wantsHTML()
}

// wantsHTML reports whether a page is wanted, rather than an answer for a
// program.
func (q *request) wantsHTML() bool { return passpage.AcceptsHTML(q.Header.Values("Accept")) }
