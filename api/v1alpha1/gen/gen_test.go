package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckedInFilesAreUpToDate(t *testing.T) {
	files, err := generate("..")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is stale (%v); run go generate ./api/...", name, err)
		}
	}
}

func TestEveryFieldIsExplained(t *testing.T) {
	c, err := readComments("..")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(reference(c)), "\n") {
		if strings.HasPrefix(line, "| `") && strings.HasSuffix(line, "|  |") {
			t.Errorf("a field has no comment: %s", line)
		}
	}
}
