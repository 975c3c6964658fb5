package cluster

import (
	"os"
	"path/filepath"
	"testing"
)

// A teardown empties the state folder, so a folder with anybody's files in it
// must not become one.
func TestForeignFolderIsNoState(t *testing.T) {
	dir := t.TempDir()
	if err := checkState(filepath.Join(dir, "new")); err != nil {
		t.Errorf("a folder that isn't there: %v", err)
	}
	if err := makeState(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(recordPath(dir), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := checkState(dir); err == nil {
		t.Error("a folder with files was taken")
	}
	if err := emptyState(dir); err != nil {
		t.Fatal(err)
	}
	if err := checkState(dir); err != nil {
		t.Errorf("a folder with an earlier cluster's logs: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "logs")); err != nil {
		t.Errorf("the logs went: %v", err)
	}
}
