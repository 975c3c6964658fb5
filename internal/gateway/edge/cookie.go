package edge

import (
	"net/http"
	"strings"
	"time"
)

// The cookies of the edge. No service ever sees or sets them.
const (
	passCookie = "greenroom_pass"    // a pass
	pinCookie  = "greenroom_session" // the stamp that a browser session began on
)

// cookieOf returns the first value of a cookie, "" for none.
func cookieOf(h http.Header, name string) string {
	for _, line := range h["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			if value, ok := cutCookie(pair, name); ok {
				return strings.Trim(value, "\"")
			}
		}
	}
	return ""
}

func cutCookie(pair, name string) (value string, ok bool) {
	key, value, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
	if !ok || strings.TrimRight(key, " \t") != name {
		return "", false
	}
	return strings.Trim(value, " \t"), true
}

func ours(pair string) bool {
	_, pass := cutCookie(pair, passCookie)
	_, pin := cutCookie(pair, pinCookie)
	return pass || pin
}

// stripCookies takes our cookies out of a request and leaves the bytes of all
// others as they came.
func stripCookies(h http.Header) {
	lines := h["Cookie"]
	found := false
	for _, line := range lines {
		found = found || strings.Contains(line, passCookie) || strings.Contains(line, pinCookie)
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
	if len(kept) == 0 {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = kept
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
func dropOurCookies(h http.Header) {
	lines := h["Set-Cookie"]
	for _, line := range lines {
		if pair, _, _ := strings.Cut(line, ";"); ours(pair) {
			kept := make([]string, 0, len(lines))
			for _, line := range lines {
				if pair, _, _ := strings.Cut(line, ";"); !ours(pair) {
					kept = append(kept, line)
				}
			}
			h["Set-Cookie"] = kept
			return
		}
	}
}

func newPassCookie(token string, expires, now time.Time, https bool) *http.Cookie {
	return &http.Cookie{
		Name: passCookie, Value: token, Path: "/", MaxAge: max(1, int(expires.Sub(now)/time.Second)),
		Secure: https, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// pinnedCookie ends with the browser session.
func pinnedCookie(stamp string, https bool) *http.Cookie {
	return &http.Cookie{
		Name: pinCookie, Value: stamp, Path: "/",
		Secure: https, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

func clearedCookie(name string, https bool) *http.Cookie {
	return &http.Cookie{
		Name: name, Path: "/", MaxAge: -1,
		Secure: https, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}
