package passpage

import (
	"net/http"
	"strings"
	"time"
)

// CookieName is that of the cookie that carries a pass.
const CookieName = "greenroom_pass"

// LoginCookie is that of the dashboard's sessions. Browsers send it to every
// port of a host, and so to the edge too, behind which no service may see it.
const LoginCookie = "greenroom_login"

// LoggingInCookie is that of a login to the dashboard that is under way at a
// provider. It holds for the edge what holds for LoginCookie.
const LoggingInCookie = "greenroom_logging_in"

// CookieOf returns the first value of a cookie, "" for none.
func CookieOf(h http.Header, name string) string { return CookieIn(h["Cookie"], name) }

// CookieIn does what CookieOf does, for the values of Cookie.
func CookieIn(lines []string, name string) string {
	for _, line := range lines {
		if !strings.Contains(line, name) {
			continue
		}
		for pair := range strings.SplitSeq(line, ";") {
			if value, ok := CutCookie(pair, name); ok {
				return strings.Trim(value, "\"")
			}
		}
	}
	return ""
}

// CutCookie returns the value of one pair of a Cookie line, false where the pair
// has another name.
func CutCookie(pair, name string) (value string, ok bool) {
	key, value, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
	if !ok || strings.TrimRight(key, " \t") != name {
		return "", false
	}
	return strings.Trim(value, " \t"), true
}

// NewCookie carries a pass for as long as it holds. https says that the browser
// came by it.
func NewCookie(token string, expires, now time.Time, https bool) *http.Cookie {
	return named(CookieName, token, expires, now, https)
}

// ClearedCookie takes a pass away from a browser.
func ClearedCookie(https bool) *http.Cookie {
	return cleared(CookieName, https)
}

func cookie(name string, https bool) *http.Cookie {
	return &http.Cookie{Name: name, Path: "/", Secure: https, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}
