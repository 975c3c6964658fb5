package edge

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/pass"
)

// audience is which view the sender of a request gets, and why.
type audience struct {
	stamp     string
	holder    bool   // of a pass that opens the view
	byHeader  bool   // the pass came in a header
	clearPass bool   // the pass cookie is of no use any more
	pin       string // what the session cookie is to say from now on; "" for no change
}

// verdict is what a pass opens.
type verdict struct {
	claims pass.Claims
	rule   gateway.PassRule
}

// audienceOf decides about a request. A problem means that it carries a pass
// that opens nothing: it is refused, never given what serves.
func (h *Handler) audienceOf(q *request) (audience, *gateway.Problem) {
	token, byHeader := passOf(q.Request)
	if token == "" {
		return h.ordinary(q), nil
	}
	v, problem := h.judge(q.snapshot, token)
	switch {
	case problem != nil:
		return audience{byHeader: byHeader}, problem
	case v.rule.Access == gateway.Ordinary:
		who := h.ordinary(q)
		who.clearPass = !byHeader
		return who, nil
	}
	return audience{stamp: v.rule.Stamp, holder: true, byHeader: byHeader}, nil
}

// passOf returns the pass that a request carries: the header's first value,
// else the cookie's.
func passOf(r *http.Request) (token string, byHeader bool) {
	if values, ok := r.Header[gateway.PassHeader]; ok && len(values) > 0 {
		return strings.TrimSpace(values[0]), true
	}
	return cookieOf(r.Header, passCookie), false
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
	if _, revoked := s.Revoked[claims.ID]; revoked {
		return v, &gateway.Problem{Code: gateway.CodePassRevoked, Detail: fmt.Sprintf("Somebody took the pass for %s back. ", claims.Release) + ask}
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
	named := cookieOf(q.Header, pinCookie)
	who := audience{stamp: s.Pinned(named, h.gateway.Now())}
	if who.stamp != named && isNavigation(q.Request) {
		who.pin = who.stamp
	}
	return who
}

// isNavigation reports whether a browser asks for a page.
func isNavigation(r *http.Request) bool {
	if r.Method != http.MethodGet {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return wantsHTML(r)
}

func wantsHTML(r *http.Request) bool {
	for _, accept := range r.Header["Accept"] {
		if strings.Contains(accept, "text/html") {
			return true
		}
	}
	return false
}

// until words how long a pass holds, for its holder.
func until(t, now time.Time) string {
	left := t.Sub(now).Round(time.Minute)
	if left < time.Minute {
		return "less than a minute"
	}
	d, rest := left/(24*time.Hour), left%(24*time.Hour)
	switch hours := rest / time.Hour; {
	case d > 0:
		return fmt.Sprintf("%d d %d h", d, hours)
	case hours > 0:
		return fmt.Sprintf("%d h %d min", hours, rest%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%d min", left/time.Minute)
}
