package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Where the sources of the cluster are not found, as outside of the repository,
// the program says so: the go command's complaint is no exit of a command that
// it was asked to run.
func TestOutsideTheRepositoryItSaysWhy(t *testing.T) {
	program := filepath.Join(t.TempDir(), "cluster")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build it: %v: %s", err, out)
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(home, "cache"))
	user, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	// What comes before the sources is at hand.
	if err := os.MkdirAll(filepath.Join(user, "greenroom-cluster", "etcd-debian-"+runtime.GOARCH), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "assets")
	cmd.Dir = t.TempDir()
	var said bytes.Buffer
	cmd.Stderr = &said
	err = cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(said.String(), "must be run from its repository") {
		t.Errorf("it ended with %v and said %q", err, said.String())
	}
}
