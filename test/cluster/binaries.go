package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// module is the path of this package's module; the tools' modules lie below it.
const module = "github.com/greenroom-dev/greenroom/test/cluster"

// toolModules are the modules under tools/: what each builds stands in its
// go.mod as tools, so that versions are pinned there and checked by go.sum.
var toolModules = []toolModule{
	{name: "kubernetes", main: "k8s.io/kubernetes", flags: func(version string) string {
		v := "-X k8s.io/component-base/version.git"
		major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
		minor, _, _ := strings.Cut(rest, ".")
		return fmt.Sprintf("%sVersion=%s %sMajor=%s %sMinor=%s", v, version, v, major, v, minor)
	}},
	{name: "containerd", main: "github.com/containerd/containerd/v2"},
	{name: "coredns", main: "github.com/coredns/coredns"},
	{name: "istio", main: "istio.io/istio", files: []string{"tools/packaging/common/envoy_bootstrap.json"}},
	{name: "rollouts", main: "github.com/argoproj/argo-rollouts", files: []string{"manifests/install.yaml"}},
}

// toolModule is one folder of tools/.
type toolModule struct {
	name  string
	main  string                      // the module whose version names the tools'
	flags func(version string) string // for the linker
	files []string                    // taken along from the main module
}

// tools knows where the programs and files of a cluster are.
type tools struct {
	files   map[string]string // by base name
	folders []string
}

// bin returns the path of a program or a file by its base name. Asking for one
// that isn't there is a mistake of this package.
func (t *tools) bin(name string) string {
	path, known := t.files[name]
	if !known {
		panic("cluster: no tool " + name)
	}
	return path
}

// path is the list of folders for PATH.
func (t *tools) path() string { return strings.Join(t.folders, string(os.PathListSeparator)) }

// add takes up the files of a folder.
func (t *tools) add(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("reading the tools' folder: %w", err)
	}
	for _, e := range entries {
		t.files[e.Name()] = filepath.Join(folder, e.Name())
	}
	t.folders = append(t.folders, folder)
	return nil
}

// prepareTools installs packages and builds binaries where that hasn't been
// done on this machine, and returns where all of them are. Binaries are kept
// in the user's cache folder, by version of the tool and of Go.
func prepareTools(ctx context.Context, log *progress) (*tools, error) {
	c, err := openCache(ctx, true, log)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := installPackages(ctx, log); err != nil {
		return nil, err
	}
	return c.fill(ctx, []folderOf{etcdFolder, envoyFolder}, toolModules)
}

// folderOf returns a folder of the cache, made if need be.
type folderOf func(context.Context, *cache) (string, error)

// fill returns the tools that some packages and modules bring.
func (c *cache) fill(ctx context.Context, packages []folderOf, modules []toolModule) (*tools, error) {
	t := &tools{files: map[string]string{}}
	for _, get := range packages {
		folder, err := get(ctx, c)
		if err != nil {
			return nil, err
		}
		if err := t.add(folder); err != nil {
			return nil, err
		}
	}
	source, err := goCommand(ctx, "", "list", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return nil, fmt.Errorf("looking for the sources of the cluster, which must be run from its repository: %w", err)
	}
	for _, m := range modules {
		folder, err := m.build(ctx, filepath.Join(source, "tools", m.name), c)
		if err != nil {
			return nil, fmt.Errorf("building %s: %w", m.name, err)
		}
		if err := t.add(folder); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// build builds the tools of a module, unless a former call has, and returns
// the folder that holds them.
func (m toolModule) build(ctx context.Context, dir string, c *cache) (string, error) {
	var mod struct {
		Require []struct{ Path, Version string }
		Tool    []struct{ Path string }
	}
	text, err := goCommand(ctx, dir, "mod", "edit", "-json")
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal([]byte(text), &mod); err != nil {
		return "", err
	}
	var version string
	for _, r := range mod.Require {
		if r.Path == m.main {
			version = r.Version
		}
	}
	if version == "" {
		return "", fmt.Errorf("its go.mod doesn't require %s", m.main)
	}
	key, err := m.key(dir)
	if err != nil {
		return "", err
	}
	return c.folder(m.name+"-"+version+"-"+runtime.Version()+"-"+key, func(folder string) error {
		c.log.printf("building %s %s from source; this is done once and takes some minutes", m.name, version)
		flags := "-s -w"
		if m.flags != nil {
			flags += " " + m.flags(version)
		}
		for _, tool := range mod.Tool { // one by one: linking several at once takes gigabytes
			if _, err := goCommand(ctx, dir, "build", "-trimpath", "-ldflags", flags, "-o", folder+string(filepath.Separator), tool.Path); err != nil {
				return err
			}
			c.log.printf("built %s", filepath.Base(tool.Path))
		}
		return m.takeFiles(ctx, dir, folder)
	})
}

// key is short and changes with anything the binaries are made from.
func (m toolModule) key(dir string) (string, error) {
	sources, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, path := range append(sources, filepath.Join(dir, "go.mod"), filepath.Join(dir, "go.sum")) {
		b, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		sum.Write(b)
	}
	fmt.Fprint(sum, runtime.GOARCH, m.files)
	return hex.EncodeToString(sum.Sum(nil))[:10], nil
}

// takeFiles copies files of the main module into the folder.
func (m toolModule) takeFiles(ctx context.Context, dir, folder string) error {
	if len(m.files) == 0 {
		return nil
	}
	main, err := goCommand(ctx, dir, "list", "-m", "-f", "{{.Dir}}", m.main)
	if err != nil {
		return err
	}
	for _, name := range m.files {
		b, err := os.ReadFile(filepath.Join(main, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(name)), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// goCommand runs the go command for static binaries of this machine, in a
// folder (empty: this process's). Only there, outside of a tools module, does
// the workspace count.
func goCommand(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if dir != "" {
		cmd.Env = append(cmd.Env, "GOWORK=off")
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}
