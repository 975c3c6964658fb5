package durable_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/internal/durable"
)

func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	for _, content := range []string{"first", "second, and longer", ""} {
		if err := durable.Replace(path, strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		holdsAlone(t, path, content)
	}
}

func TestAReplacementThatFailsLeavesTheFormerFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if err := durable.Replace(path, strings.NewReader("former")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the disk that it is read from is gone")
	half := io.MultiReader(strings.NewReader("half"), failing{broken})
	if err := durable.Replace(path, half); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	holdsAlone(t, path, "former")
}

func TestCreateLeavesWhatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	if err := durable.Create(path, strings.NewReader("first")); err != nil {
		t.Fatal(err)
	}
	if err := durable.Create(path, strings.NewReader("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want fs.ErrExist", err)
	}
	holdsAlone(t, path, "first")
}

func TestWithoutItsFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "state")
	if err := durable.Replace(path, strings.NewReader("text")); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want fs.ErrNotExist and the path", err)
	}
}

// holdsAlone checks that path holds content, for its owner alone, and that
// nothing else is left in its folder.
func holdsAlone(t *testing.T, path, content string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != content {
		t.Errorf("%s holds %q (%v), want %q", path, got, err, content)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%s has the mode %v (%v), want 0600", path, info.Mode(), err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("its folder holds %v (%v), want the file alone", entries, err)
	}
}

// failing is a reader that ends in an error.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
