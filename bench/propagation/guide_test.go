package propagation

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestTheGuideIsCompiled holds docs/propagation.md to the examples: each of its
// blocks of Go stands, line for line, in a file that the compiler has seen.
func TestTheGuideIsCompiled(t *testing.T) {
	read := func(path string) string {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	examples := read("../../propagate/example_test.go") + read("../../propagate/grpc/example_test.go")
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(read("../../docs/propagation.md"), -1)
	if len(blocks) == 0 {
		t.Fatal("the guide has no Go in it")
	}
	for _, b := range blocks {
		if !strings.Contains(examples, b[1]) {
			t.Errorf("not in the examples:\n%s", b[1])
		}
	}
}
