package golden

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// listener is a test that is not failed, but asked what it was told.
type listener struct {
	testing.TB
	told []string
}

func (l *listener) Helper() {}

func (l *listener) Errorf(format string, args ...any) {
	l.told = append(l.told, fmt.Sprintf(format, args...))
}

func TestCheck(t *testing.T) {
	file := filepath.Join(t.TempDir(), "testdata", "said.txt")
	for _, c := range []struct {
		update   bool
		got      string
		complain bool
		file     string // afterwards
	}{
		{true, "one\n", false, "one\n"},
		{false, "one\n", false, "one\n"},
		{false, "two\n", true, "one\n"},
		{true, "two\n", false, "two\n"},
	} {
		*update = c.update
		l := &listener{TB: t}
		Check(l, file, c.got)
		*update = false
		if complained := len(l.told) > 0; complained != c.complain {
			t.Errorf("%+v: told %q", c, l.told)
		}
		if c.complain && !strings.Contains(strings.Join(l.told, ""), file) {
			t.Errorf("%q does not name the file", l.told)
		}
		if have, err := os.ReadFile(file); err != nil || string(have) != c.file {
			t.Errorf("%+v: the file is %q, %v", c, have, err)
		}
	}
}
