//go:build e2e

package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/client"
)

// Demo is a running greenroom demo.
type Demo struct {
	*Greenroom
	Login     string // the link that it printed: it works once
	Dashboard string // URL, no slash at its end
	Release   string // path of the demo's release
}

var loginLink = regexp.MustCompile(`http://\S+/login#\S+`)

// StartDemo runs greenroom demo until the test ends, as somebody runs it whose
// output is no terminal.
func StartDemo(t testing.TB) *Demo {
	t.Helper()
	dir, err := os.MkdirTemp("", "gr")
	if err != nil {
		t.Fatal(err)
	}
	edge := FreeAddress(t)
	g := &Greenroom{t: t, dir: dir, State: filepath.Join(dir, "state"), URL: "http://" + edge, out: &output{}, ended: make(chan struct{})}
	g.API = client.Socket(filepath.Join(g.State, "greenroom.sock"))
	g.cmd = exec.Command(program, "demo", "--state", g.State, "--listen", edge)
	g.cmd.Stdout, g.cmd.Stderr = g.out, g.out
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = g.cmd.Wait()
		close(g.ended)
	}()
	t.Cleanup(g.clean)
	d := &Demo{Greenroom: g, Release: filepath.Join(g.State, "r2.yaml")}
	Eventually(t, "the demo prints a login link", func() error {
		select {
		case <-g.ended:
			t.Fatalf("the demo ended:\n%s", g.out)
		default:
		}
		if d.Login = loginLink.FindString(g.out.String()); d.Login == "" {
			return fmt.Errorf("it printed %s", g.out)
		}
		return nil
	})
	d.Dashboard, _, _ = strings.Cut(d.Login, "/login#")
	return d
}
