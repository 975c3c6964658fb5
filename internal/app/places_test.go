package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is no file of places is refused, says what helps, and is left as it is.
func TestDamagedPlaces(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "cut": `{"audit": 5, "ch`, "null": "null", "another form": "[1]", "a place in words": `{"audit": "far"}`,
		"below zero": `{"audit": -1}`, "two": `{"audit": 5}{"audit": 6}`, "noise": "\x00\x01\x02",
	} {
		file := filepath.Join(t.TempDir(), notifyFile)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		p := &places{file: file}
		if by, err := p.Load(t.Context()); err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "remove it") {
			t.Errorf("%s: read %v, %v", name, by, err)
		}
		if err := p.Save(t.Context(), "audit", 7); err == nil {
			t.Errorf("%s: written over", name)
		}
		if err := p.Forget(t.Context(), nil); err == nil {
			t.Errorf("%s: written over", name)
		}
		if now, err := os.ReadFile(file); err != nil || string(now) != content {
			t.Errorf("%s: the file now holds %q, %v", name, now, err)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if err := p.Save(t.Context(), "audit", 7); err != nil {
			t.Errorf("%s: without the file: %v", name, err)
		}
	}
}
