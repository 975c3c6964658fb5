package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// FileName is what the first document is called.
const FileName = "greenroom.yaml"

// ErrExists is returned by Init when there is a document already, which is
// left as it is.
var ErrExists = errors.New("there is a " + FileName + " already; it was left as it is")

// First is the document that Init wrote.
type First struct {
	Path     string   // of the document
	Services []string // what it declares
	Example  bool     // no programs were found, and its service is one to be edited
	Build    []string // Go packages whose executables it names but that are not built yet, such as ./cmd/api
}

// Init writes a first document into dir, with comments, for the executables in
// dir/bin and the Go programs in dir/cmd. Where there are none it declares one
// service that something else runs, to be edited. It never overwrites a file:
// ErrExists.
func Init(dir string) (First, error) {
	folder, err := filepath.Abs(dir)
	if err != nil {
		return First{}, fmt.Errorf("find the folder %s: %w", dir, err)
	}
	out := First{Path: filepath.Join(folder, FileName)}
	programs := guess(folder)
	for _, g := range programs {
		out.Services = append(out.Services, g.service)
		if !g.built {
			out.Build = append(out.Build, "./cmd/"+g.program)
		}
	}
	if len(programs) == 0 {
		out.Services, out.Example = []string{"web"}, true
	}
	f, err := os.OpenFile(out.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return First{}, ErrExists
	}
	if err != nil {
		return First{}, fmt.Errorf("write the first document: %w", err)
	}
	_, err = f.WriteString(firstDocument(label(filepath.Base(folder), "fleet"), programs))
	if err := errors.Join(err, f.Close()); err != nil {
		return First{}, fmt.Errorf("write the first document: %w", err)
	}
	return out, nil
}

// program is an executable that may be a service.
type program struct {
	service string
	program string // its file's name below bin
	built   bool
}

// guess lists what may be services, by name.
func guess(dir string) []program {
	var out []program
	add := func(name string, built bool) {
		service := label(name, "")
		if service == "" || slices.ContainsFunc(out, func(p program) bool { return p.service == service }) {
			return
		}
		out = append(out, program{service, name, built})
	}
	entries, _ := os.ReadDir(filepath.Join(dir, "bin")) // no such folder: nothing is built
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(dir, "bin", e.Name()))
		if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 && !strings.HasPrefix(e.Name(), ".") {
			add(e.Name(), true)
		}
	}
	entries, _ = os.ReadDir(filepath.Join(dir, "cmd")) // no such folder: no Go programs
	for _, e := range entries {
		sources, _ := filepath.Glob(filepath.Join(dir, "cmd", e.Name(), "*.go"))
		if len(sources) > 0 {
			add(e.Name(), false)
		}
	}
	slices.SortFunc(out, func(a, b program) int { return strings.Compare(a.service, b.service) })
	return out
}

// label makes a name of a file's name.
func label(s, otherwise string) string {
	s = strings.Map(func(r rune) rune {
		if notLabel(r) {
			return '-'
		}
		return r
	}, strings.ToLower(s))
	s = strings.Trim(s[:min(len(s), maxName)], "-")
	if s == "" {
		return otherwise
	}
	return s
}

// front picks the service that gets what no other route takes.
func front(programs []program) string {
	for _, name := range []string{"web", "frontend", "www", "gateway", "ui", "app", "api"} {
		if slices.ContainsFunc(programs, func(p program) bool { return p.service == name }) {
			return name
		}
	}
	return programs[0].service
}

func firstDocument(name string, programs []program) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# A fleet: services behind one edge. greenroom check -f %[1]s tells what is
# wrong with it, greenroom up -f %[1]s starts it.
apiVersion: greenroom.dev/v1alpha1
kind: Fleet
metadata: {name: %[2]s}
spec:
  edge:
    listen: 127.0.0.1:8080        # where users enter
    routes:                       # the first match wins
`, FileName, name)
	if len(programs) == 0 {
		b.WriteString(`    # - {path: /api, service: api}
    - {service: web}
  services:
  - name: web
    endpoints: [127.0.0.1:3000]   # where it listens; something else runs it
    # To have greenroom run it, instead of endpoints:
    # run:
    #   command: [bin/web]        # relative to this file; listens on $PORT
    #   env: {LOG_LEVEL: info}
    #   envFile: secrets.env      # read at each start, stored nowhere
    # health: {path: /healthz}    # ready when this answers 2xx or 3xx
`)
		return b.String()
	}
	at := front(programs)
	for _, p := range programs {
		if p.service != at {
			fmt.Fprintf(&b, "    # - {path: /%[1]s, service: %[1]s}\n", p.service)
		}
	}
	fmt.Fprintf(&b, "    - {service: %s}\n  services:\n", at)
	for i, p := range programs {
		fmt.Fprintf(&b, "  - name: %s\n", p.service)
		if i == 0 {
			b.WriteString("    # The path is relative to this file. The service listens on $PORT and finds\n" +
				"    # the others by $NAME_SERVICE_HOST, $NAME_SERVICE_PORT or $GREENROOM_URL_NAME.\n")
		}
		fmt.Fprintf(&b, "    run: {command: [%s]}", scalar("bin/"+p.program))
		if !p.built {
			fmt.Fprintf(&b, " # go build -o bin/ ./cmd/%s", p.program)
		}
		b.WriteString("\n    health: {tcp: true}")
		if i == 0 {
			b.WriteString(" # better, if it has one: {path: /healthz}")
		}
		b.WriteString("\n")
	}
	return b.String()
}
