package config

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// FuzzParse looks for texts that make the package panic, or that it neither
// accepts nor refuses with a complaint of its own.
func FuzzParse(f *testing.F) {
	for _, kind := range []string{"good", "bad"} {
		for _, file := range corpus(f, kind) {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		docs, err := Parse("fuzz.yaml", data, "testdata/good")
		if err == nil {
			err = Check(docs)
		}
		var all *Errors
		if err == nil {
			return
		}
		if !errors.As(err, &all) || len(all.List) == 0 || len(all.List) > maxErrors {
			t.Fatalf("not a complaint: %v", err)
		}
		for _, one := range all.List {
			if one.Problem == "" || one.Line > 0 && strings.Count(one.Excerpt, "\n") != 1 {
				t.Errorf("a complaint that helps nobody: %+v", one)
			}
		}
	})
}
