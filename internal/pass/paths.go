package pass

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The bounds of what limits a pass or a callback address. A pass has to fit into
// a cookie, and browsers take 4 KiB.
const (
	MaxPaths      = 10
	MaxPathsBytes = 512 // of all together
)

// PathsRemedy says what Paths takes, to whoever asked for something else.
const PathsRemedy = "name begins of paths by plain segments, such as /shop or /api/v2: at most 10, of 512 bytes together"

// Paths reads what a pass or a callback address is to be limited to: begins of
// paths, by whole segments. It returns them without slashes at their ends and
// without those that another one covers, sorted; nil for none.
func Paths(asked []string) ([]string, error) {
	var paths []string
	size := 0
	for _, p := range asked {
		if err := plainPath(p); err != nil {
			return nil, fmt.Errorf("the path %q %w", p, err)
		}
		size += len(p)
		paths = append(paths, strings.TrimRight(p, "/"))
	}
	if len(paths) > MaxPaths || size > MaxPathsBytes {
		return nil, fmt.Errorf("%d paths of %d bytes are too many", len(paths), size)
	}
	slices.Sort(paths)
	var kept []string
	for _, p := range paths {
		if !slices.ContainsFunc(kept, func(wider string) bool { return below(p, wider) }) {
			kept = append(kept, p)
		}
	}
	for i, p := range kept {
		if p == "" {
			kept[i] = "/"
		}
	}
	return kept, nil
}

func plainPath(p string) error {
	switch {
	case !strings.HasPrefix(p, "/"):
		return errors.New("does not begin with /")
	case strings.ContainsAny(p, "?#%;\\*") || strings.ContainsFunc(p, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return errors.New("has something else than plain segments in it")
	case strings.Contains(p, "//") || strings.Contains(p+"/", "/./") || strings.Contains(p+"/", "/../"):
		return errors.New("is not written the shortest way")
	case below(p, Own):
		return errors.New("is one of greenroom's own")
	}
	return nil
}

// Under reports whether a path, in the form that routes are compared with, is
// one of those that something is limited to, or lies below one. Without any,
// every path does.
func Under(paths []string, path string) bool {
	return len(paths) == 0 || slices.ContainsFunc(paths, func(begin string) bool { return below(path, strings.TrimRight(begin, "/")) })
}

// below reports whether path is begin or lies below it, by whole segments.
func below(path, begin string) bool {
	rest, ok := strings.CutPrefix(path, begin)
	return ok && (rest == "" || rest[0] == '/')
}
