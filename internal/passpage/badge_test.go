package passpage

import (
	"strings"
	"testing"
	"time"
)

func TestBadgePlace(t *testing.T) {
	for page, want := range map[string]string{
		"<!doctype html><html><head><title>x":                       "<!doctype html><html><head>|",
		"\ufeff\r\n<!DOCTYPE html>\n<HTML lang=\"a>b\">\n<HEAD>\n<": "\ufeff\r\n<!DOCTYPE html>\n<HTML lang=\"a>b\">\n<HEAD>|",
		"<!-- a > --><!doctype html><!-- b --><p>x":                 "<!-- a > --><!doctype html>|",
		"<!doctype html><title>x</title>":                           "<!doctype html>|",
		"<html><header>x":                                           "<html>|",
		"<!doctype html><html><head":                                "<!doctype html><html>|",
		"<!doctype html><html><!-- not yet ended":                   "<!doctype html><html>|",
		"<!doctype":             "",
		"<div>a fragment</div>": "",
		"":                      "",
		"<headline>":            "",
		"<!doctype html><head><meta http-equiv=Content-Security-Policy content=x>": "",
	} {
		at := BadgePlace([]byte(page))
		got := ""
		if at >= 0 {
			got = page[:at] + "|"
		}
		if got != want {
			t.Errorf("%q: %q, want %q", page, got, want)
		}
	}
}

func TestAllowsBadge(t *testing.T) {
	for policy, want := range map[string]bool{
		"":                   true,
		"default-src 'self'": true, "default-src 'none'": false, "default-src 'none'; script-src 'self'": true,
		"script-src 'self' 'unsafe-inline'": true, "script-src 'nonce-abc'": false, "script-src 'nonce-a' 'self'": true,
		"script-src 'nonce-a' 'strict-dynamic' 'self'": false, "script-src *": true, "script-src https:": false,
		"script-src 'self'; script-src-elem 'none'": false, "script-src 'none'; script-src 'self'": false,
		"default-src 'self'; form-action 'none'": false, "form-action 'self'": true, "sandbox allow-scripts": false,
		"img-src 'none'": true, "default-src 'self', script-src 'none'": false, "SCRIPT-SRC 'SELF'": true,
	} {
		if got := AllowsBadge([]string{policy}); got != want {
			t.Errorf("%q: %v", policy, got)
		}
	}
	if !AllowsBadge(nil) || AllowsBadge([]string{"script-src 'self'", "script-src 'none'"}) {
		t.Error("several policies are not all asked")
	}
}

func TestTagEscapes(t *testing.T) {
	tag := Badge{Release: `"><img src=x onerror=alert(1)>`, State: BadgeOn, Until: time.Unix(0, 0)}.Tag()
	if strings.Count(tag, "<") != 2 || strings.Count(tag, ">") != 2 || !strings.Contains(tag, `data-lang="en"`) {
		t.Error(tag)
	}
}

func TestPreferredLanguage(t *testing.T) {
	for header, want := range map[string]Lang{
		"": English, "ja": Japanese, "ja-JP,en;q=0.8": Japanese, "en-US,ja;q=0.9": English, "fr, ja;q=0.5, en;q=0.4": Japanese,
		"en;q=0.1,ja;q=0.2": Japanese, "de": English, "ja;q=x": English, "ja;q=0": English, strings.Repeat("fr,", 30) + "ja": English,
	} {
		if got := PreferredLanguage([]string{header}); got != want {
			t.Errorf("%q: %s", header, got)
		}
	}
}

// Both languages say everything, and with the same numbers in it.
func TestWordsAreWhole(t *testing.T) {
	now := time.Unix(0, 0)
	for _, l := range []Lang{English, Japanese} {
		for _, left := range []time.Duration{0, 5 * time.Minute, 90 * time.Minute, 50 * time.Hour} {
			if said := l.Left(now.Add(left), now); said == "" || strings.Contains(said, "%!") {
				t.Errorf("%s, %s: %q", l, left, said)
			}
		}
	}
	if r := Japanese.refusal(Refusal{Code: "pass-revoked", Release: "r42", Title: "x"}); !strings.Contains(r.Detail, "r42") || r.Title == "x" {
		t.Errorf("%+v", r)
	}
}

func TestOurCookie(t *testing.T) {
	for pair, want := range map[string]bool{
		"greenroom_pass=x": true, " greenroom_held_r42 = x": true, "greenroom_off=": true, "greenroom_badge=off; Path=/": true,
		"greenroom_pass": false, "greenroom_passport=x": false, "a=greenroom_pass": false,
	} {
		if OurCookie(pair) != want {
			t.Errorf("%q: %v", pair, !want)
		}
	}
	for _, name := range []string{"", "a b", "a;b", "a=b", "A", strings.Repeat("a", 101), "a\nb"} {
		if heldName(name) != "" {
			t.Errorf("%q is a cookie's name", name)
		}
	}
}
