package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestInit(t *testing.T) {
	for _, c := range []struct {
		name     string
		programs []string
		sources  []string
		want     First
		front    string
	}{
		{name: "nothing", want: First{Services: []string{"web"}, Example: true}, front: "web"},
		{
			name: "executables", programs: []string{"bin/api", "bin/Chat_Server", "bin/frontend", "bin/.hidden"},
			want: First{Services: []string{"api", "chat-server", "frontend"}}, front: "frontend",
		},
		{
			name: "sources", programs: []string{"bin/api"}, sources: []string{"cmd/api/main.go", "cmd/worker/main.go", "cmd/notes/README"},
			want: First{Services: []string{"api", "worker"}, Build: []string{"./cmd/worker"}}, front: "api",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(folder(t), "My Shop!")
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			for _, file := range append(c.programs, c.sources...) {
				build(t, dir, file, file)
			}
			got, err := Init(dir)
			if err != nil {
				t.Fatal(err)
			}
			c.want.Path = filepath.Join(dir, FileName)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			for _, name := range []string{"bin/worker"} { // what was to be built
				build(t, dir, name, name)
			}
			docs, err := Read(got.Path, nil)
			if err != nil {
				t.Fatal(err)
			}
			f, err := ResolveFleet(*docs.Fleet)
			if err != nil {
				t.Fatal(err)
			}
			if f.Name != "my-shop" || len(f.Edge.Routes) != 1 || f.Edge.Routes[0].Service != c.front {
				t.Errorf("fleet %s, routes %+v", f.Name, f.Edge.Routes)
			}
		})
	}
}

func TestInitNeverOverwrites(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, FileName)
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Init(dir); !errors.Is(err, ErrExists) {
		t.Errorf("got %v", err)
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "mine" {
		t.Errorf("the file holds %q, %v", data, err)
	}
}
