package durable_test

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/durable"
)

// envWriter makes the test binary a process that replaces the file that it
// names, over and over.
const envWriter = "GREENROOM_TEST_WRITER"

func TestMain(m *testing.M) {
	if path := os.Getenv(envWriter); path != "" {
		fmt.Fprintln(os.Stderr, writeForever(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// written is what the file holds after n replacements.
func written(n int) string { return fmt.Sprintf("%d %0*d", n, n%7*10_000, 0) }

// writeForever reports each replacement on stdout once it is durable.
func writeForever(path string) error {
	for n := 1; ; n++ {
		if err := durable.Replace(path, strings.NewReader(written(n))); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// Whoever is killed while it writes leaves the former content or all of the new,
// and beside it nothing that Sweep does not take out.
func TestKilledWhileWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	foreign := []string{".state.txt", "state.1", ".states.1", ".state.1.bak"}
	for _, name := range foreign {
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	left := 0
	for range 30 {
		reported := killWhileWriting(t, path)
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if text := string(got); text != written(reported) && text != written(reported+1) {
			t.Fatalf("after replacement %d it holds %d bytes, begun by %.20q", reported, len(got), got)
		}
		left += len(leftovers(t, path)) - len(foreign)
		if err := durable.Sweep(path); err != nil {
			t.Fatal(err)
		}
		if now := leftovers(t, path); len(now) != len(foreign) {
			t.Fatalf("after sweeping, %q are there", now)
		}
	}
	if left == 0 {
		t.Error("the kills were never in the middle: nothing was tried")
	}
}

// killWhileWriting starts a writer, kills it at some moment after it reported a
// few replacements, and returns the last one that it reported.
func killWhileWriting(t *testing.T, path string) (reported int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), envWriter+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		if reported, err = strconv.Atoi(lines.Text()); err != nil {
			t.Fatal(err)
		}
		if n == 3 {
			time.AfterFunc(time.Duration(rand.IntN(5000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Exited() {
		t.Fatalf("the writer was not killed but ended by itself: %v", err)
	}
	return reported
}

// leftovers are what is beside the file.
func leftovers(t *testing.T, path string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.Name() != filepath.Base(path) {
			names = append(names, e.Name())
		}
	}
	return names
}
