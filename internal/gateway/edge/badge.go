package edge

import (
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/field"
	"github.com/greenroom-dev/greenroom/internal/passpage"
)

// mayHaveBadge reports whether the answer to a request is a page on which its
// sender wants to see the badge: what a browser's tab asks for, whole, in a fleet
// that allows it.
func (q *request) mayHaveBadge() bool {
	if !q.snapshot.Edge.Badge || q.Method != http.MethodGet || q.Header.Values("Range") != nil {
		return false
	}
	switch dest := field.First(q.Header, "Sec-Fetch-Dest"); dest {
	case "document":
	case "":
		if !q.wantsHTML() || q.Header.Values("X-Requested-With") != nil {
			return false
		}
	default:
		return false
	}
	return passpage.CookieIn(q.Header.Values("Cookie"), passpage.BadgeCookie) != "off"
}

// badge is what the badge of a verdict says.
func (q *request) badge(v verdict, state passpage.BadgeState) *passpage.Badge {
	if !q.mayHaveBadge() {
		return nil
	}
	release := v.claims.Release
	if v.claims.Live && q.snapshot.Serving != "" {
		release = q.snapshot.Serving
	}
	return &passpage.Badge{Release: release, State: state, Until: v.claims.ExpiresAt, Lang: passpage.PreferredLanguage(q.Header.Values("Accept-Language"))}
}

// switchedOff decides about a request without a pass in use, whose browser had
// one until its holder switched it off: the badge stays, to switch it on again.
func (h *Handler) switchedOff(q *request, who audience) audience {
	if !q.mayHaveBadge() {
		return who
	}
	token := passpage.CookieIn(q.Header.Values("Cookie"), passpage.OffCookie)
	if token == "" {
		return who
	}
	if v, problem := h.judge(q.snapshot, token); problem == nil && v.rule.Access == gateway.Preview {
		who.holder, who.badge = true, q.badge(v, passpage.BadgeOff)
	}
	return who
}

// badgeWriter puts the badge into a page on its way to the client. It keeps
// nothing back: the first piece of the body that the service sends takes the
// badge, or the page has none.
type badgeWriter struct {
	http.ResponseWriter
	q   *request
	due bool // the next piece is the first
}

// Unwrap is for http.ResponseController.
func (b *badgeWriter) Unwrap() http.ResponseWriter { return b.ResponseWriter }

// WriteHeader looks whether the badge would break the answer.
func (b *badgeWriter) WriteHeader(status int) {
	if h := b.Header(); status >= 200 && !b.q.untouched && takesBadge(status, h) {
		b.due = true
		for _, name := range []string{"Content-Length", "Etag", "Accept-Ranges"} { // of the page as it was
			delete(h, name)
		}
	}
	b.ResponseWriter.WriteHeader(status)
}

// Write returns how much of p was written.
func (b *badgeWriter) Write(p []byte) (int, error) {
	if !b.due || len(p) == 0 {
		return b.ResponseWriter.Write(p)
	}
	b.due = false
	at := passpage.BadgePlace(p)
	if at < 0 {
		return b.ResponseWriter.Write(p)
	}
	tag := b.q.who.badge.Tag()
	n, err := b.ResponseWriter.Write(slices.Concat(p[:at], []byte(tag), p[at:]))
	switch {
	case n >= at+len(tag):
		n -= len(tag)
	case n > at:
		n = at
	}
	return n, err
}

// takesBadge reports whether an answer is a page in plain text that nobody has
// signed, measured or closed to us.
func takesBadge(status int, h http.Header) bool {
	if status != http.StatusOK && status < http.StatusBadRequest {
		return false
	}
	for _, name := range []string{
		"Content-Encoding", "Content-Range", "Trailer", "Content-Disposition", "Integrity-Policy", "Integrity-Policy-Report-Only",
		"Digest", "Content-Digest", "Repr-Digest", "Content-Md5", "Signature", "Signature-Input",
	} {
		if len(h[name]) > 0 {
			return false
		}
	}
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || len(h["Content-Type"]) != 1 || kind != "text/html" {
		return false
	}
	switch strings.ToLower(params["charset"]) {
	case "utf-8", "utf8", "us-ascii", "iso-8859-1", "windows-1252":
	default:
		return false
	}
	return passpage.AllowsBadge(h["Content-Security-Policy"]) && passpage.AllowsBadge(h["Content-Security-Policy-Report-Only"])
}

// forbidsChange reports whether a service wants its answer to arrive as it was.
func forbidsChange(answer field.Header) bool {
	return slices.ContainsFunc(answer.Values("Cache-Control"), func(line string) bool {
		return strings.Contains(strings.ToLower(line), "no-transform")
	})
}
