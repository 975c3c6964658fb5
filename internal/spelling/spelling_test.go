package spelling

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	roles := []string{"viewer", "tester", "operator", "admin"}
	for _, c := range []struct {
		wrote, want string
		known       []string
	}{
		{"operater", "operator", roles},
		{"Admin", "admin", roles},
		{"viewre", "viewer", roles},
		{"root", "", roles},
		{"", "", roles},
		{"viewer", "", nil},
		{"ab", "a", []string{"a", "xyz"}},
		{strings.Repeat("x", 1000), "", roles},
	} {
		if got := Nearest(c.wrote, c.known); got != c.want {
			t.Errorf("for %q among %v it is %q, want %q", c.wrote, c.known, got, c.want)
		}
	}
}
