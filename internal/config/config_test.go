package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/internal/golden"
)

// corpus lists the documents below testdata.
func corpus(t testing.TB, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no documents in testdata/%s: %v", folder, err)
	}
	return files
}

// check parses and resolves everything in a file, as greenroom check does.
func check(t testing.TB, file string) error {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := Parse(filepath.Base(file), data, filepath.Dir(file))
	if err != nil {
		return err
	}
	return Check(docs)
}

func TestBadDocumentsAreRefusedWithTheirExactError(t *testing.T) {
	for _, file := range corpus(t, "bad") {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			err := check(t, file)
			var all *Errors
			if !errors.As(err, &all) {
				t.Fatalf("got %v, want *Errors", err)
			}
			var first *Error
			if !errors.As(err, &first) || first != all.List[0] {
				t.Fatalf("errors.As finds %v, want the first complaint", first)
			}
			golden.Check(t, strings.TrimSuffix(file, ".yaml")+".txt", err.Error()+"\n")
		})
	}
}
