// Package docs holds the pages for people to the tree that they speak of: what
// they link and name is there, and the map has every package. What a page says
// of commands, fields, errors or metrics is held to the code where that code is.
//
// Start at TestLinksLeadSomewhere.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

const root = "../.."

// pages are the Markdown files of the tree, by their paths from its root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if name := d.Name(); path != root && (strings.HasPrefix(name, ".") || name == "bin" || name == "testdata") {
				return fs.SkipDir
			}
			return nil
		case filepath.Ext(path) != ".md":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		out[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if out["README.md"] == "" || out["docs/architecture.md"] == "" {
		t.Fatal("README.md and docs/architecture.md are not among the pages")
	}
	return out
}

var (
	fence    = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	inline   = regexp.MustCompile("`[^`\n]+`")
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	external = regexp.MustCompile(`^[a-z]+:`)
)

// prose is a page without what is code in it.
func prose(page string) string { return inline.ReplaceAllString(fence.ReplaceAllString(page, ""), "") }

// anchors are the fragments by which a page's headings are linked, as GitHub
// makes them.
func anchors(page string) []string {
	var out []string
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		out = append(out, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, m[1]))
	}
	return out
}

func TestLinksLeadSomewhere(t *testing.T) {
	all := pages(t)
	for name, page := range all {
		for _, m := range link.FindAllStringSubmatch(prose(page), -1) {
			if external.MatchString(m[1]) {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			target := name
			if file != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(name), file))
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s links %s, which is not there", name, m[1])
				continue
			}
			if anchor != "" && !slices.Contains(anchors(all[target]), anchor) {
				t.Errorf("%s links %s, and %s has no such heading", name, m[1], target)
			}
		}
	}
}

// path is what begins as a path from the root does; it may be a pattern.
var path = regexp.MustCompile(`^(?:api|bench|client|cmd|deploy|docs|examples|internal|propagate|test)/[\w./*-]+$`)

func TestPathsAreThere(t *testing.T) {
	for name, page := range pages(t) {
		for _, code := range inline.FindAllString(fence.ReplaceAllString(page, ""), -1) {
			said := strings.Trim(code, "`")
			if !path.MatchString(said) {
				continue
			}
			if found, err := filepath.Glob(filepath.Join(root, strings.TrimSuffix(said, "/..."))); err != nil || len(found) == 0 {
				t.Errorf("%s names %s, which is not there", name, said)
			}
		}
	}
}

var (
	testName = regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w+`)
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)[A-Z]\w+)\(`)
)

func TestTestsAreThere(t *testing.T) {
	var known []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range testFunc.FindAllSubmatch(text, -1) {
			known = append(known, string(m[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, page := range pages(t) {
		for _, said := range testName.FindAllString(page, -1) {
			// -run and -bench take the beginning of a name.
			if !slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(k, said) }) {
				t.Errorf("%s names %s, and no test begins so", name, said)
			}
		}
	}
}

var (
	asked  = regexp.MustCompile("(?m)(?:`|^)make ([a-z][a-z0-9-]*)")
	target = regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*):`)
)

func TestMakefileHasWhatIsAskedFor(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, m := range target.FindAllSubmatch(makefile, -1) {
		targets = append(targets, string(m[1]))
	}
	for name, page := range pages(t) {
		for _, m := range asked.FindAllStringSubmatch(page, -1) {
			if !slices.Contains(targets, m[1]) {
				t.Errorf("%s says make %s, and the Makefile has no such target", name, m[1])
			}
		}
	}
}
