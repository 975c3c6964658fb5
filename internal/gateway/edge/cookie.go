package edge

import (
	"net/http"
	"slices"
	"strings"

	"github.com/greenroom-dev/greenroom/internal/gateway/field"
	"github.com/greenroom-dev/greenroom/internal/passpage"
)

// pinCookie has the stamp that a browser session began on. No service ever sees
// or sets it, nor the one with a pass.
const pinCookie = "greenroom_session"

func ours(pair string) bool {
	_, pin := passpage.CutCookie(pair, pinCookie)
	return pin || passpage.OurCookie(pair)
}

// stripCookies takes our cookies out of a request and leaves the bytes of all
// others as they came.
func stripCookies(h field.Header) {
	lines := h.Values("Cookie")
	found := false
	for _, line := range lines {
		found = found || strings.Contains(line, "greenroom_")
	}
	if !found {
		return
	}
	kept := make([]string, 0, len(lines))
	for _, line := range lines {
		if line = stripLine(line); line != "" {
			kept = append(kept, line)
		}
	}
	replace(h, "Cookie", kept)
}

// replace makes values the only ones of a name.
func replace(h field.Header, name string, values []string) {
	h.Delete(name)
	for _, value := range values {
		h.Add(name, value)
	}
}

func stripLine(line string) string {
	var kept []string
	for pair := range strings.SplitSeq(line, ";") {
		if !ours(pair) {
			kept = append(kept, pair)
		}
	}
	if rest := strings.Join(kept, ";"); len(rest) < len(line) {
		return strings.TrimLeft(rest, " \t")
	}
	return line
}

// dropOurCookies takes out of an answer what would set our cookies.
func dropOurCookies(h field.Header) {
	lines := h.Values("Set-Cookie")
	setsOurs := func(line string) bool {
		pair, _, _ := strings.Cut(line, ";")
		return ours(strings.TrimLeft(pair, "= \t")) // browsers send a cookie without a name as its value
	}
	if slices.ContainsFunc(lines, setsOurs) {
		replace(h, "Set-Cookie", slices.DeleteFunc(slices.Clone(lines), setsOurs))
	}
}

// pinnedCookie ends with the browser session.
func pinnedCookie(stamp string, https bool) *http.Cookie {
	return &http.Cookie{
		Name: pinCookie, Value: stamp, Path: "/",
		Secure: https, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}
