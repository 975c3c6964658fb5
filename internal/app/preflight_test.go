package app

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/fleet"
)

func problems(findings []client.Finding) string {
	var out []string
	for _, f := range findings {
		if f.Level == levelProblem {
			if f.Remedy == "" {
				f.Check += " without a remedy"
			}
			out = append(out, f.Check)
		}
	}
	return strings.Join(out, " ")
}

func TestPreflight(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := &fleet.Fleet{Edge: fleet.Edge{Listen: l.Addr().String()}, API: fleet.API{Listen: "127.0.0.1:0"}}
	dir, err := os.MkdirTemp("", "gr") // sockets bear no long paths
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, state string
		fleet       *fleet.Fleet
		want        string
	}{
		{"nothing is in the way", filepath.Join(dir, "a", "b"), nil, ""},
		{"a port is taken", filepath.Join(dir, "a"), taken, "port"},
		{"the folder is a file", file, nil, "state"},
		{"the folder is below a file", filepath.Join(file, "a"), nil, "state"},
		{"the socket's path is long", filepath.Join(dir, strings.Repeat("x", 100)), nil, "state"},
	} {
		if got := problems(Preflight(c.state, c.fleet)); got != c.want {
			t.Errorf("%s: problems with %q, want %q", c.name, got, c.want)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("looking left %v behind, %v", entries, err)
	}
}
