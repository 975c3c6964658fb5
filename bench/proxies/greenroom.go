package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A greenroom is one way to run greenroom's gateway: by HTTP/1.1 path and by
// the size of its table.
type greenroom struct {
	binary, self       string
	path               string // spec.edge.http1: std or fast
	services, releases int
	procs              int // GOMAXPROCS
	state              string
}

// greenrooms are the ways that are measured beside the peers.
func greenrooms(repo, dir, self string) ([]proxy, error) {
	binary := filepath.Join(dir, "greenroom")
	if err := goBuild(repo, nil, binary, "./cmd/greenroom"); err != nil {
		return nil, err
	}
	version, err := exec.Command("git", "-C", repo, "describe", "--always", "--dirty").Output()
	if err != nil {
		version = []byte("this tree")
	}
	var all []proxy
	for _, g := range []greenroom{
		{path: "fast", services: 10, releases: 1, procs: 1},
		{path: "std", services: 10, releases: 1, procs: 1},
	} {
		g.binary, g.self = binary, self
		all = append(all, g.proxy("greenroom "+g.path, strings.TrimSpace(string(version))))
	}
	return all, nil
}

func (g greenroom) proxy(name, version string) proxy {
	return proxy{Name: name, Version: version, kinds: []kind{websocket, http2, grpc}, greening: &g, start: func(at place) (*process, error) {
		return g.start(at, name)
	}}
}

// sized is the same greenroom with another table.
func (g greenroom) sized(services, releases int) greenroom {
	g.services, g.releases = services, releases
	return g
}

func (g greenroom) withProcs(n int) greenroom {
	g.procs = n
	return g
}

// start runs greenroom with everything on that a request may cost: a stamp in
// header and baggage, passes to check, session pinning, counts, metrics, and an
// access log of 1 %. Its first releases stay in preview, so that the table is as
// large as asked for.
func (g *greenroom) start(at place, name string) (*process, error) {
	dir, err := os.MkdirTemp(at.Dir, "greenroom")
	if err != nil {
		return nil, err
	}
	g.state = filepath.Join(dir, "state")
	fleet := filepath.Join(dir, "fleet.yaml")
	if err := os.WriteFile(fleet, g.document(at), 0o600); err != nil {
		return nil, err
	}
	core := proxyCore
	if g.procs > 1 {
		core = anyCore
	}
	p, err := start(dir, strings.ReplaceAll(name, " ", "-"), core, []string{fmt.Sprintf("GOMAXPROCS=%d", g.procs)}, g.binary, "up", "-f", fleet, "--state", g.state)
	if err != nil {
		return nil, err
	}
	if err := p.await(at.Listen); err != nil {
		p.stop()
		return nil, err
	}
	if err := errors.Join(g.answers(p), g.open(dir, at)); err != nil {
		p.stop()
		return nil, fmt.Errorf("%w: %s", err, p.tail())
	}
	return p, nil
}

// answers waits until greenroom's API can be asked.
func (g *greenroom) answers(p *process) error {
	c := g.api()
	defer c.CloseIdleConnections()
	for deadline := time.Now().Add(startWithin); ; {
		resp, err := c.Get("http://greenroom/healthz")
		if err == nil {
			return resp.Body.Close()
		}
		select {
		case <-p.done:
			return errors.New("greenroom ended")
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("greenroom's API does not answer: %w", err)
		}
	}
}

// document is the Fleet: service first answers everything, the others are there
// to be looked up.
func (g *greenroom) document(at place) []byte {
	b := fmt.Appendf(nil, `apiVersion: greenroom.dev/v1alpha1
kind: Fleet
metadata: {name: bench}
spec:
  edge:
    listen: %s
    http1: %s
    sessionPinning: 10m
    accessLog: {format: json, errors: all, sample: 1%%}
    routes:
    - {path: /hop, service: hop}
    - {path: /grpc, service: streams}
    - {service: first}
  services:
  - {name: first, endpoints: ["%s"], health: {tcp: true}}
  - {name: streams, protocol: grpc, endpoints: ["%s"], health: {tcp: true}}
  - name: hop
    run:
      command: [taskset, -c, "%d", %s, %s]
    health: {path: /healthz}
`, at.Listen, g.path, at.Backend, at.BackendHTTP2, otherCore, g.self, roleHop)
	for i := range max(0, g.services-3) {
		b = fmt.Appendf(b, "  - {name: more-%d, endpoints: [\"%s\"], health: {tcp: true, interval: 1h}}\n", i, at.Backend)
	}
	return b
}

// open opens the releases, each of ten services, and waits for their previews.
func (g *greenroom) open(dir string, at place) error {
	for n := 1; n <= g.releases; n++ {
		b := fmt.Appendf(nil, "apiVersion: greenroom.dev/v1alpha1\nkind: Release\nmetadata: {name: r%d}\nspec:\n  services:\n  - {name: first, version: v%d, endpoints: [\"%s\"]}\n", n, n, at.Backend)
		for i := range min(9, max(0, g.services-3)) {
			b = fmt.Appendf(b, "  - {name: more-%d, version: v%d, endpoints: [\"%s\"]}\n", (n*9+i)%(g.services-3), n, at.Backend)
		}
		file := filepath.Join(dir, fmt.Sprintf("r%d.yaml", n))
		if err := os.WriteFile(file, b, 0o600); err != nil {
			return err
		}
		if err := g.run("release", "open", "-f", file); err != nil {
			return err
		}
	}
	return nil
}

func (g *greenroom) run(args ...string) error {
	cmd := exec.Command(g.binary, append(args, "--state", g.state)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := onCore(otherCore, cmd.Run); err != nil {
		return fmt.Errorf("greenroom %s: %w: %s", strings.Join(args, " "), err, out.String())
	}
	return nil
}

// api is a client of greenroom's unix socket.
func (g *greenroom) api() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(g.state, "greenroom.sock"))
	}}}
}

func (g *greenroom) post(c *http.Client, path string) error {
	resp, err := c.Post("http://greenroom"+path, "application/json", strings.NewReader("{}"))
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s %s", path, resp.Status, text)
	}
	return err
}

// switching promotes r1 and takes it back, a switch a second, until ctx is done,
// and returns how many it made.
func (g *greenroom) switching(ctx context.Context) (int, error) {
	c := g.api()
	defer c.CloseIdleConnections()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return n, nil
		case <-tick.C:
			if err := g.post(c, "/v1/releases/r1/"+[]string{"promote", "rollback"}[n%2]); err != nil {
				return n, err
			}
		}
	}
}

// allocations are the objects and bytes that greenroom has allocated since its
// start, by its own metrics.
func (g *greenroom) allocations() (objects, size float64, err error) {
	c := g.api()
	defer c.CloseIdleConnections()
	resp, err := c.Get("http://greenroom/metrics")
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, 0, err
	}
	objects, err1 := metric(string(text), "go_memstats_mallocs_total")
	size, err2 := metric(string(text), "go_memstats_alloc_bytes_total")
	return objects, size, errors.Join(err1, err2)
}

func metric(text, name string) (float64, error) {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("no metric %s", name)
}
