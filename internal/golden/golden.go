// Package golden holds what tests make to files that are checked in. With
// -update a test writes the file instead, as go generate has it done for what is
// generated from the code.
//
// It owns the flag and the comparison. It imports nothing of greenroom, and is
// imported by tests alone.
//
// Start at Check.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the files that tests compare with")

// Updating reports whether files are written. What a program embeds is then older
// than its file.
func Updating() bool { return *update }

// Check fails the test where got is not what the file holds; with -update it
// writes it there first, and makes the folder for it.
func Check[T ~string | ~[]byte](t testing.TB, file string, got T) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; go test . -update in the test's package writes it", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is not what the test makes; make generate writes it, or go test . -update in the test's package (-file +made):\n%s", file, diff)
	}
}
