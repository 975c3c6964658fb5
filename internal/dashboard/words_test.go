package dashboard

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/internal/httpapi"
)

// groups are the words that pages look up by what they show.
var groups = map[string][]string{
	"nav":   {"fleet", "releases", "passes", "events", "settings"},
	"phase": {"preparing", "previewing", "canary", "live", "settling", "settled", "aborted", "failed"},
	"wait":  {"preparing", "previewing", "canary", "live", "settling", "settled", "aborted", "failed"},
	"state": {"starting", "ready", "unready", "stopping", "stopped", "failed"},
	"pass":  {"valid", "expired", "revoked", "ended", "used-up"},
	"hold":  {"wait", "writes-only", "page"}, "holdhelp": {"wait", "writes-only", "page"},
	"hook": {"waiting", "running", "passed", "failed"}, "item": {"open", "go", "no-go"}, "drop": {"source", "unstamped", "unknown"},
}

func TestWordsAreComplete(t *testing.T) {
	w, err := readWords()
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{"hint.token": true, "hint.kubernetes": true}
	for group, keys := range groups {
		for _, k := range keys {
			used[group+"."+k] = true
		}
	}
	for r := httpapi.Viewer; r <= httpapi.Admin; r++ {
		used["role."+r.String()], used["rolehelp."+r.String()] = true, true
	}
	for name := range acts() {
		used["act."+name], used["ask."+name] = true, true
	}
	inTemplates := regexp.MustCompile(`\b(?:t|th) "([a-z.-]+)"`)
	inCode := regexp.MustCompile(`(?:\bt\(|say\([^,]*, |why := |why = |Problem: v\.t\()"([a-z]+\.[a-z.-]+)"`)
	for _, dir := range []struct {
		fs      fs.FS
		pattern string
		keys    *regexp.Regexp
	}{{templateFiles, "templates/*.html", inTemplates}, {os.DirFS("."), "*.go", inCode}} {
		files, err := fs.Glob(dir.fs, dir.pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := fs.ReadFile(dir.fs, file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range dir.keys.FindAllStringSubmatch(string(text), -1) {
				used[m[1]] = true
			}
		}
	}
	verbs := regexp.MustCompile(`%(?:\[\d\])?[sd]`)
	for key := range used {
		text, ok := w[key]
		if !ok {
			if !strings.HasSuffix(key, ".") {
				t.Errorf("no words for %s", key)
			}
			continue
		}
		var has [2][]string
		for i, one := range text {
			if strings.TrimSpace(one) == "" {
				t.Errorf("%s is empty in language %d", key, i)
			}
			has[i] = verbs.FindAllString(one, -1)
			slices.Sort(has[i])
		}
		if !slices.Equal(has[0], has[1]) {
			t.Errorf("%s has %v in English and %v in Japanese", key, has[0], has[1])
		}
	}
	for key := range w {
		if !used[key] {
			t.Errorf("nobody says %s", key)
		}
	}
}
