package gateway

import (
	"errors"
	"net/url"
	"strings"
)

// ErrPath is returned by CanonicalPath for a path that another reader could
// take for one outside of where it was routed.
var ErrPath = errors.New("the path leads outside, or is written so that servers disagree about where it leads")

// encodedSlash stands in a canonical path for a slash that was encoded, since
// it separates no segments. CanonicalPath refuses paths that contain it.
const encodedSlash = "\x00"

// CanonicalPath returns the path of a request in the form that routes are
// compared with: decoded once, dot segments resolved, empty segments left out,
// an encoded slash part of its segment. It is for comparison alone; services
// get the path as it came. A number sign or a space in it, which belong in no
// path, are refused: a service may end the path there. Its error is ErrPath.
func CanonicalPath(u *url.URL) (string, error) {
	raw := u.RawPath
	if raw == "" {
		if plain(u.Path) {
			return u.Path, nil
		}
		raw = (&url.URL{Path: u.Path}).EscapedPath()
	}
	if raw == "" {
		return "/", nil
	}
	if raw == "*" {
		return raw, nil
	}
	if raw[0] != '/' || strings.ContainsAny(raw, "# ") {
		return "", ErrPath
	}
	var kept []string
	for segment := range strings.SplitSeq(raw[1:], "/") {
		decoded, err := url.PathUnescape(segment)
		if err != nil || strings.Contains(decoded, encodedSlash) {
			return "", ErrPath
		}
		switch {
		case decoded == "" || decoded == ".":
		case decoded == "..":
			if len(kept) == 0 {
				return "", ErrPath
			}
			kept = kept[:len(kept)-1]
		case hidesDots(decoded):
			return "", ErrPath
		default:
			kept = append(kept, strings.ReplaceAll(decoded, "/", encodedSlash))
		}
	}
	return "/" + strings.Join(kept, "/"), nil
}

// plain reports whether a decoded path is canonical as it stands.
func plain(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.Contains(path, "//") && !strings.Contains(path, "/.") &&
		!strings.ContainsAny(path, "\\;"+encodedSlash)
}

// hidesDots reports whether a segment contains a dot segment for readers that
// decode twice over slashes, take backslashes for slashes, or cut parameters
// off at a semicolon before they resolve dots.
func hidesDots(segment string) bool {
	for part := range strings.FieldsFuncSeq(segment, func(r rune) bool { return r == '/' || r == '\\' }) {
		name, _, _ := strings.Cut(part, ";")
		if name == "." || name == ".." {
			return true
		}
	}
	return false
}
