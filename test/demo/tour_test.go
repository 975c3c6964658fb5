package demo_test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// alone is an address without a path: that of the fleet, not the dashboard's.
var alone = regexp.MustCompile(`(http://127\.0\.0\.1:\d+)/?(?:[\s\x1b]|$)`)

// public is where the fleet is, by what the demo said.
func public(said string) string {
	found := alone.FindStringSubmatch(said)
	if found == nil {
		return ""
	}
	return found[1]
}

// Without a terminal the tour is a text, and the fleet is there to follow it.
func TestTourWithoutATerminal(t *testing.T) {
	for _, s := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		d := start(t, nil)
		said := d.await(d.stdout, "The fleet serves until it is ended")
		for _, command := range []string{"$ greenroom release open -f ", "$ greenroom pass create r2", "$ greenroom promote r2", "$ greenroom rollback"} {
			if !strings.Contains(said, command) {
				t.Errorf("it does not say %q:\n%s", command, said)
			}
		}
		if strings.Contains(said, "\x1b") {
			t.Errorf("there are escape sequences in %q", said)
		}
		if page := get(t, public(said)+"/"); !strings.Contains(page, `data-version="v1"`) {
			t.Errorf("the page is %s", page)
		}
		services := slices.DeleteFunc(processes(t), func(line string) bool { return !strings.Contains(line, "demo-service") })
		if len(services) != 6 {
			t.Errorf("%d services run: %q", len(services), services)
		}
		d.signal(s)
		if code := d.end(); code != 0 {
			t.Errorf("after %s: exit %d, %s", s, code, d.stderr)
		}
	}
}

// Whoever loses patience while it starts leaves nothing either.
func TestTourIsLeftAtOnce(t *testing.T) {
	d := start(t, nil)
	d.await(d.stdout, "comes up on this machine")
	d.signal(syscall.SIGINT)
	if code := d.end(); code != 0 {
		t.Errorf("exit %d, %s", code, d.stderr)
	}
}

// The reader of its output may go away, as head does.
func TestTourWithoutAReader(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	d := start(t, func(c *exec.Cmd) { c.Stdout = write })
	if err := errors.Join(write.Close(), read.Close()); err != nil {
		t.Fatal(err)
	}
	if code := d.end(); code != 0 {
		t.Errorf("exit %d, %s", code, d.stderr)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	return getWith(t, url, "")
}

func getWith(t *testing.T, url, pass string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if pass != "" {
		req.Header.Set("Greenroom-Pass", pass)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
