package passpage

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A browser may hold several passes. The one in use is in the cookie CookieName,
// which comes with every request. All that it holds, that one too, are in cookies
// of their own, one for each release, which come with requests to the pages
// alone; the oldest goes when there are more than maxHeld.
const (
	heldPrefix = "greenroom_held_"
	maxHeld    = 5
)

const (
	// OffCookie has the pass that was in use until its holder switched the preview
	// off: it opens nothing, and lets the badge switch it on again.
	OffCookie = "greenroom_off"
	// BadgeCookie says "off" where the badge is not to be shown.
	BadgeCookie = "greenroom_badge"
)

// OurCookie reports whether a pair of a Cookie line, or the beginning of a
// Set-Cookie line, is about one of the pages' cookies. No service sees or sets
// those.
func OurCookie(pair string) bool {
	key, _, ok := strings.Cut(pair, "=")
	key = strings.Trim(key, " \t")
	return ok && (key == CookieName || key == LoginCookie || key == LoggingInCookie || key == OffCookie || key == BadgeCookie || strings.HasPrefix(key, heldPrefix))
}

// heldName is the cookie of a pass by its key; "" for what is none.
func heldName(key string) string {
	for _, r := range key {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' {
			return ""
		}
	}
	if key == "" || len(key) > 100 {
		return ""
	}
	return heldPrefix + key
}

// heldBy returns the tokens of the passes that a browser holds, at most twice
// maxHeld: who sends more of them is no browser of ours.
func heldBy(h http.Header) []string {
	var tokens []string
	add := func(token string) {
		if token != "" && !slices.Contains(tokens, token) && len(tokens) < 2*maxHeld {
			tokens = append(tokens, token)
		}
	}
	add(CookieOf(h, CookieName))
	for _, line := range h["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			key, value, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
			if ok && strings.HasPrefix(key, heldPrefix) {
				add(strings.Trim(value, "\""))
			}
		}
	}
	add(CookieOf(h, OffCookie))
	return tokens
}

// hold keeps a pass among those that the browser holds, and lets the ones go
// that are over first when they become too many.
func (d Desk) hold(w http.ResponseWriter, r *http.Request, token string, o Opened) {
	name := heldName(o.key())
	if name == "" {
		return
	}
	var others []Opened
	for _, one := range heldBy(r.Header) {
		if other := d.Judge(one); heldName(other.key()) != "" && other.key() != o.key() &&
			!slices.ContainsFunc(others, func(known Opened) bool { return known.key() == other.key() }) {
			others = append(others, other)
		}
	}
	slices.SortFunc(others, func(a, b Opened) int { // those that open nothing go first
		if (a.Refused == nil) != (b.Refused == nil) {
			return cmp.Compare(rank(a), rank(b))
		}
		return a.Until.Compare(b.Until)
	})
	for len(others) >= maxHeld {
		http.SetCookie(w, clearedHeld(others[0].key(), d.HTTPS))
		others = others[1:]
	}
	c := named(name, token, o.Until, d.Now, d.HTTPS)
	c.Path = Own
	http.SetCookie(w, c)
}

func rank(o Opened) int {
	if o.Refused != nil {
		return 0
	}
	return 1
}

func clearedHeld(key string, https bool) *http.Cookie {
	c := cleared(heldName(key), https)
	c.Path = Own
	return c
}

// named carries a token for as long as the pass holds.
func named(name, token string, expires, now time.Time, https bool) *http.Cookie {
	c := cookie(name, https)
	c.Value, c.MaxAge = token, max(1, int(expires.Sub(now)/time.Second))
	return c
}

func cleared(name string, https bool) *http.Cookie {
	c := cookie(name, https)
	c.MaxAge = -1
	return c
}
