package local

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStoreKeepsWhatWasThere(t *testing.T) {
	b := newBench(t)
	path := filepath.Join(t.TempDir(), "tool")
	text := []byte("#!/bin/sh\necho one\n")
	if err := os.WriteFile(path, text, 0o755); err != nil {
		t.Fatal(err)
	}
	sha, err := b.Store(path)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(text); sha != hex.EncodeToString(sum[:]) {
		t.Errorf("stored as %s, want its SHA-256", sha)
	}
	if again, err := b.Store(path); err != nil || again != sha {
		t.Errorf("stored again: %s, %v", again, err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho two\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	kept, ok := b.Executable(sha)
	got, err := os.ReadFile(kept)
	if !ok || err != nil || string(got) != string(text) {
		t.Errorf("kept %q, %v, %v", got, ok, err)
	}
	if info, err := os.Stat(kept); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v; want 0700", info.Mode(), err)
	}
	if entries, _ := os.ReadDir(b.binDir()); len(entries) != 1 {
		t.Errorf("%d files in the store, want 1", len(entries))
	}
}

func TestStoreRefusesWhatCannotRun(t *testing.T) {
	b := newBench(t)
	plain := filepath.Join(t.TempDir(), "plain")
	writeFile(t, plain, "text")
	for path, want := range map[string]string{
		plain:               "chmod +x",
		filepath.Dir(plain): "is not a file",
		plain + "-missing":  "no such file",
	} {
		if _, err := b.Store(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
	for _, sha := range []string{"", "..", "zz", strings.Repeat("0", 64)} {
		if _, ok := b.Executable(sha); ok {
			t.Errorf("an executable is stored under %q", sha)
		}
	}
}

func TestPruneSparesWhatRunsAndWhatIsKept(t *testing.T) {
	b := newBench(t)
	store := func(text string) string {
		path := filepath.Join(t.TempDir(), "tool")
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		sha, err := b.Store(path)
		if err != nil {
			t.Fatal(err)
		}
		return sha
	}
	kept, dropped := store("kept"), store("dropped")
	s := b.spec("1")
	b.ensure(s)
	b.awaitReady("api@1", 1)
	if err := b.Prune(map[string]bool{kept: true}); err != nil {
		t.Fatal(err)
	}
	for sha, want := range map[string]bool{kept: true, dropped: false, s.Version.Run.SHA256: true} {
		if _, got := b.Executable(sha); got != want {
			t.Errorf("%.10s is stored: %v, want %v", sha, got, want)
		}
	}
}

func TestReplacedExecutableInPlaceIsAWarning(t *testing.T) {
	b := newBench(t)
	self, err := os.ReadFile(shimCommand()[0])
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "api")
	if err := os.WriteFile(path, self, 0o700); err != nil {
		t.Fatal(err)
	}
	s := b.spec("1")
	s.Version.Run.InPlace, s.Version.Run.Executable = true, path
	b.ensure(s)
	if st := b.awaitReady("api@1", 1); len(st.Warnings) > 0 {
		t.Errorf("warnings %q before anything changed", st.Warnings)
	}
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(self, 0), 0o700); err != nil {
		t.Fatal(err)
	}
	st := b.await("api@1", "warned about", func(st Status) bool { return len(st.Warnings) > 0 })
	if !strings.Contains(st.Warnings[0], path+" changed on disk") {
		t.Errorf("warning %q", st.Warnings[0])
	}
	if st.Ready != 1 {
		t.Error("it was restarted, or is not ready")
	}
}

func TestEnsureStoresWhatIsStillTheSameAndRefusesTheRest(t *testing.T) {
	b := newBench(t)
	s := b.spec("1")
	if err := b.Prune(nil); err != nil {
		t.Fatal(err)
	}
	b.ensure(s)
	b.awaitReady("api@1", 1)
	s.Version.Name, s.Version.Run.SHA256 = "2", strings.Repeat("0", 64)
	err := b.Ensure(t.Context(), s)
	if err == nil || !strings.Contains(err.Error(), "run api@2: its executable is not stored") {
		t.Errorf("got %v", err)
	}
	if _, known := b.Observe()["api@2"]; known {
		t.Error("a version that was refused is observed")
	}
}
