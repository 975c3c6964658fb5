package passpage

import (
	_ "embed"
	"html"
	"net/http"
	"strconv"
	"strings"
	"time"
)

//go:embed badge.js
var badgeJS string

// script is the badge's.
func (d Desk) script(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(badgeJS)))
	h.Set("Cache-Control", "private, max-age=300")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(badgeJS))
	}
}

// Badge is what the badge says on a page.
type Badge struct {
	Release string
	State   BadgeState
	Until   time.Time
	Lang    Lang
}

// BadgeState is what the holder of a pass sees of its release on a page.
type BadgeState string

// The states.
const (
	BadgeOn        BadgeState = "on"        // the page is the release's
	BadgeOff       BadgeState = "off"       // the preview is switched off
	BadgeElsewhere BadgeState = "elsewhere" // the pass is for other paths
)

// Tag is what brings the badge into a page: a script of this site, which policies
// allow more often than anything that stands in the page itself.
func (b Badge) Tag() string {
	if b.Lang == "" {
		b.Lang = English
	}
	return `<script src="` + ScriptPath + `" async data-release="` + html.EscapeString(b.Release) + `" data-state="` + string(b.State) +
		`" data-until="` + b.Until.UTC().Format(time.RFC3339) + `" data-lang="` + string(b.Lang) + `"></script>`
}

// BadgePlace returns where in the first piece of a page the tag goes: behind the
// beginning of its head, so that nothing has to be kept back of what follows. It
// is -1 where the piece does not begin like a whole page, such as a fragment that
// a script asked for, or sets a policy of its own.
func BadgePlace(piece []byte) int {
	const enough = 64 << 10
	text := string(piece[:min(len(piece), enough)])
	lower := strings.ToLower(text)
	if len(lower) != len(text) || strings.Contains(lower, "content-security-policy") {
		return -1
	}
	place := 0
	at := 0
	if strings.HasPrefix(lower, "\ufeff") {
		at = len("\ufeff")
	}
	for {
		at += len(lower[at:]) - len(strings.TrimLeft(lower[at:], " \t\r\n\f"))
		rest := lower[at:]
		switch {
		case strings.HasPrefix(rest, "<!--"):
			end := strings.Index(rest, "-->")
			if end < 0 {
				return placeOr(place)
			}
			at += end + len("-->")
		case strings.HasPrefix(rest, "<!doctype"), opens(rest, "<html"), opens(rest, "<head"):
			end := tagEnd(rest)
			if end < 0 {
				return placeOr(place)
			}
			at += end
			place = at
			if opens(rest, "<head") {
				return place
			}
		default:
			return placeOr(place)
		}
	}
}

func placeOr(place int) int {
	if place == 0 {
		return -1
	}
	return place
}

// opens reports whether a text begins with a tag of that name.
func opens(text, tag string) bool {
	rest, ok := strings.CutPrefix(text, tag)
	return ok && rest != "" && strings.ContainsRune(" \t\r\n\f>/", rune(rest[0]))
}

// tagEnd returns where the tag ends that a text begins with, -1 for nowhere.
func tagEnd(text string) int {
	quote := byte(0)
	for i := range len(text) {
		switch c := text[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return i + 1
		}
	}
	return -1
}

// AllowsBadge reports whether Content-Security-Policies, one a line or several
// with commas, let the badge's script run and its buttons be pressed. What is not
// plainly allowed is not.
func AllowsBadge(policies []string) bool {
	for _, line := range policies {
		for policy := range strings.SplitSeq(line, ",") {
			if !allowsBadge(policy) {
				return false
			}
		}
	}
	return true
}

func allowsBadge(policy string) bool {
	directives := map[string][]string{}
	for directive := range strings.SplitSeq(strings.ToLower(policy), ";") {
		words := strings.Fields(directive)
		if len(words) == 0 {
			continue
		}
		if _, twice := directives[words[0]]; !twice { // the first one counts
			directives[words[0]] = words[1:]
		}
	}
	if _, sandboxed := directives["sandbox"]; sandboxed {
		return false
	}
	for _, name := range []string{"script-src-elem", "script-src", "default-src"} {
		if sources, ok := directives[name]; ok {
			if !takesSelf(sources) {
				return false
			}
			break
		}
	}
	forms, ok := directives["form-action"]
	return !ok || takesSelf(forms)
}

func takesSelf(sources []string) bool {
	self := false
	for _, s := range sources {
		switch s {
		case "'strict-dynamic'":
			return false
		case "'self'", "*":
			self = true
		}
	}
	return self
}
