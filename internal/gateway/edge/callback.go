package edge

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/field"
	"github.com/greenroom-dev/greenroom/internal/pass"
)

// callbackOf takes a path, as CanonicalPath returns it, apart into the token of
// a callback address and the path behind it.
func callbackOf(path string) (token, rest string, ok bool) {
	below, ok := strings.CutPrefix(path, pass.CallbackPath)
	if !ok {
		return "", "", false
	}
	token, rest, _ = strings.Cut(below, "/")
	return token, "/" + rest, true
}

// serveCallback forwards a request from an outside system to the release that
// its address was made for. Whatever is wrong with one, the answer is the same:
// who guesses learns nothing. The log says what it was.
func (h *Handler) serveCallback(w http.ResponseWriter, q *request, token, path string) {
	c, stamp, ok := q.snapshot.Callback(token, q.began)
	match, why := gateway.Match{}, "it is not known, is over, or its release leads nowhere"
	if ok {
		match, why = h.callable(q, c, path)
	}
	if why == "" {
		left, err := h.gateway.UseCallback(c)
		if err != nil {
			h.gateway.Log().Error("a call of a callback could not be counted", "callback", c.ID, "error", err)
			h.refuse(w, q, gateway.Problem{Code: gateway.CodeInternal, Detail: "The call could not be counted, and was not sent on. Try again."})
			return
		}
		if !left {
			why = "it has taken as many calls as it may"
		}
	}
	if why != "" {
		h.gateway.Log().Debug("a call of a callback was refused", "callback", c.ID, "reason", why, "request", q.id)
		forbidCaching(field.Map(w.Header()))
		h.refuse(w, q, gateway.Problem{Code: gateway.CodeNoCallback, Detail: "The callback address is not known, is over, or is called otherwise than it was made for. Ask whoever gave it to you."})
		return
	}
	if strings.HasSuffix(q.URL.Path, "/") && path != "/" {
		path += "/" // it means something to some services, and nothing to routes
	}
	q.URL = url.URL{Path: path, RawQuery: q.URL.RawQuery, ForceQuery: q.URL.ForceQuery}
	q.raw.URL = &q.URL
	q.match, q.who = match, audience{stamp: stamp, callback: true}
	h.forward(w, q)
}

// callable returns where a call goes, or why it goes nowhere. The path that a
// service gets is the one that was compared, so nothing in it may have two
// readings.
func (h *Handler) callable(q *request, c gateway.Callback, path string) (gateway.Match, string) {
	switch {
	case twoReadings(q.URL.EscapedPath()):
		return gateway.Match{}, "its path hides dots, slashes or per cent signs"
	case !c.Takes(q.Method, path):
		return gateway.Match{}, "it does not take this path or method"
	case q.Header.Values("Upgrade") != nil:
		return gateway.Match{}, "it is no way to another protocol"
	}
	match, ok := q.snapshot.Match(q.Host, path, q.Method)
	if !ok {
		return gateway.Match{}, "no route takes the path"
	}
	return match, ""
}

// twoReadings reports whether a path, as it was sent, has something encoded in
// it that decides where a path leads.
func twoReadings(raw string) bool {
	raw = strings.ToLower(raw)
	for _, code := range []string{"%2e", "%2f", "%5c", "%25", "%00", "%3b", "\\", ";"} {
		if strings.Contains(raw, code) {
			return true
		}
	}
	return false
}

// guardAddress keeps the address of a callback from going where it should not:
// into other sites' logs, caches and indexes.
func guardAddress(h field.Header) {
	forbidCaching(h)
	h.Set("Referrer-Policy", "strict-origin")
	h.Set("X-Robots-Tag", "noindex")
}
