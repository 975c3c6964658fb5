//go:build e2e

package harness

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/client"
)

// Patience is how long anything may take on a crowded machine before a test
// gives up on it.
const Patience = 60 * time.Second

// program is the greenroom that Main built.
var program string

// Main builds greenroom, runs a package's tests and returns their exit code, for
// TestMain. The working directory is that of a package below test/browser.
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gr") // a short path: it stands in pictures
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "greenroom")
	if out, err := exec.Command("go", "build", "-o", program, "github.com/greenroom-dev/greenroom/cmd/greenroom").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build greenroom: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// Greenroom is a running greenroom up.
type Greenroom struct {
	URL   string // of the edge; no slash at its end
	API   *client.Client
	State string // folder

	t     testing.TB
	dir   string
	cmd   *exec.Cmd
	out   *output
	ended chan struct{}
}

// Start runs greenroom with a Fleet document until the test ends, and returns
// when every service is ready. In the text, "EDGE" and "API" are free addresses
// of 127.0.0.1, and DIR a folder of the test's own.
func Start(t testing.TB, fleet string) *Greenroom {
	t.Helper()
	return StartWith(t, nil, fleet)
}

// StartWith is Start with files beside the document, by name.
func StartWith(t testing.TB, files map[string]string, fleet string) *Greenroom {
	t.Helper()
	dir, err := os.MkdirTemp("", "gr") // a short path: sockets have no long ones
	if err != nil {
		t.Fatal(err)
	}
	g := &Greenroom{t: t, dir: dir, State: filepath.Join(dir, "state"), out: &output{}}
	edge := FreeAddress(t)
	g.URL = "http://" + edge
	g.API = client.Socket(filepath.Join(g.State, "greenroom.sock"))
	fleet = strings.NewReplacer(`"EDGE"`, `"`+edge+`"`, `"API"`, `"`+FreeAddress(t)+`"`).Replace(fleet)
	g.Write("greenroom.yaml", fleet)
	for name, text := range files {
		g.Write(name, text)
	}
	t.Cleanup(g.clean)
	g.Up()
	return g
}

// Up runs greenroom up and waits until every service is ready.
func (g *Greenroom) Up() {
	g.t.Helper()
	g.cmd = exec.Command(program, "up", "-f", filepath.Join(g.dir, "greenroom.yaml"), "--state", g.State)
	g.cmd.Stdout, g.cmd.Stderr = g.out, g.out
	if err := g.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	ended := make(chan struct{})
	g.ended = ended
	cmd := g.cmd
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	Eventually(g.t, "greenroom serves with every service ready", func() error {
		select {
		case <-ended:
			g.t.Fatalf("greenroom ended:\n%s", g.out)
		default:
		}
		status, err := g.API.Status(g.t.Context())
		if err != nil {
			return err
		}
		for _, one := range status.Services {
			if len(one.Versions) == 0 || one.Versions[0].State != "ready" {
				return fmt.Errorf("%s is not ready", one.Name)
			}
		}
		return nil
	})
}

// Kill ends greenroom, and nothing else, by SIGKILL.
func (g *Greenroom) Kill() {
	g.t.Helper()
	_ = g.cmd.Process.Kill()
	<-g.ended
}

// Write puts a file into the test's folder, with DIR replaced by its path, and
// returns where it is.
func (g *Greenroom) Write(name, text string) string {
	g.t.Helper()
	path := filepath.Join(g.dir, name)
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "DIR", g.dir)), 0o600); err != nil {
		g.t.Fatal(err)
	}
	return path
}

// CLI runs a command of greenroom that has to succeed, and returns what it
// printed.
func (g *Greenroom) CLI(args ...string) string {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), Patience)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, program, append(args, "--state", g.State)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = g.dir, &out, &errs
	if err := cmd.Run(); err != nil {
		g.t.Fatalf("greenroom %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String()
}

// Open opens a release with a spec, as YAML indented by two, and waits until it
// can be looked at.
func (g *Greenroom) Open(name, spec string) {
	g.t.Helper()
	g.CLI("release", "open", "-f", g.Write(name+".yaml",
		"apiVersion: greenroom.dev/v1alpha1\nkind: Release\nmetadata: {name: "+name+"}\nspec:\n"+spec))
}

func (g *Greenroom) clean() {
	if g.t.Failed() {
		g.t.Logf("greenroom printed:\n%s", g.out)
	}
	_ = g.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-g.ended:
	case <-time.After(Patience):
		_ = g.cmd.Process.Kill()
		<-g.ended
	}
	if err := os.RemoveAll(g.dir); err != nil {
		g.t.Logf("remove %s: %v", g.dir, err)
	}
}

// Eventually waits for a condition, which says what is still missing.
func Eventually(t testing.TB, what string, condition func() error) {
	t.Helper()
	over := time.After(Patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-over:
			t.Fatalf("waiting until %s: %v", what, err)
		}
	}
}

// FreeAddress is one of 127.0.0.1 that nobody listens at.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// output keeps what a process prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
