package cluster

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// pauseImage holds a pod's namespaces open.
const pauseImage = imageHub + "/pause:1"

// programImage is an image of one static program and a /tmp.
func programImage(name, user, program, target string) Image {
	return Image{
		Name:       name,
		User:       user,
		Entrypoint: []string{target},
		Files:      []File{{Path: target, Source: program}, {Path: "/tmp", Mode: os.ModeSticky | 0o777}},
	}
}

// GoImage builds a main package, named by import path, as a static program,
// and returns an image of the given name that holds it and runs it as nobody.
// It must be called from inside of the workspace that has the package.
func (c *Cluster) GoImage(ctx context.Context, name, pkg string) (Image, error) {
	program := filepath.Join(c.state, "programs", path.Base(pkg))
	if _, err := goCommand(ctx, "", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, pkg); err != nil {
		return Image{}, fmt.Errorf("building the program of the image %s: %w", name, err)
	}
	return programImage(name, "65534:65534", program, "/"+path.Base(pkg)), nil
}

// startRuntime starts containerd and gives it the images of the cluster's own
// workloads.
func (c *Cluster) startRuntime(ctx context.Context) error {
	if err := c.startContainerd(ctx); err != nil {
		return err
	}
	return c.loadOwnImages(ctx)
}

// loadOwnImages makes the images of the cluster's own workloads.
func (c *Cluster) loadOwnImages(ctx context.Context) error {
	bin := c.tools.bin
	pause, err := c.GoImage(ctx, pauseImage, module+"/images/pause")
	if err != nil {
		return err
	}
	istiod := programImage(imageHub+"/pilot:1", "1337:1337", bin("pilot-discovery"), "/usr/local/bin/pilot-discovery")
	if ca, err := os.ReadFile(authorities); err == nil {
		istiod.Files = append(istiod.Files, File{Path: authorities, Content: ca})
	}
	proxy, err := c.proxyImage(ctx)
	if err != nil {
		return err
	}
	for _, image := range []Image{
		pause,
		programImage(imageHub+"/coredns:1", "", bin("coredns"), "/coredns"),
		programImage(imageHub+"/argo-rollouts:1", "999:999", bin("rollouts-controller"), "/bin/rollouts-controller"),
		istiod, proxy,
	} {
		if err := c.LoadImage(ctx, image); err != nil {
			return err
		}
	}
	return nil
}

// authorities is where the machine, and Istio's images, keep the certificate
// authorities of the world.
const authorities = "/etc/ssl/certs/ca-certificates.crt"

// proxyImage is Istio's proxyv2 with a stock Envoy: the agent, Envoy, and what
// its init container needs to redirect a pod's traffic.
func (c *Cluster) proxyImage(ctx context.Context) (Image, error) {
	const multi = "/usr/sbin/xtables-nft-multi"
	files := []File{
		{Path: "/usr/local/bin/pilot-agent", Source: c.tools.bin("pilot-agent")},
		{Path: "/usr/local/bin/envoy", Source: c.tools.bin("envoy")},
		{Path: "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json", Source: c.tools.bin("envoy_bootstrap.json"), Mode: 0o644},
		{Path: multi, Source: multi},
		{Path: "/etc/protocols", Source: "/etc/protocols", Mode: 0o644},
		{Path: "/etc/passwd", Content: []byte("root:x:0:0:root:/:/bin/false\nistio-proxy:x:1337:1337:istio-proxy:/:/bin/false\n")},
		{Path: "/etc/group", Content: []byte("root:x:0:\nistio-proxy:x:1337:\n")},
		{Path: "/etc/nsswitch.conf", Content: []byte("passwd: files\ngroup: files\nhosts: files dns\n")},
		{Path: "/tmp", Mode: os.ModeSticky | 0o777},
		{Path: "/var/lib/istio/data", Mode: os.ModeSticky | 0o777},
		{Path: "/etc/istio/proxy", Mode: os.ModeSticky | 0o777},
	}
	if _, err := os.Stat(authorities); err == nil {
		files = append(files, File{Path: authorities, Source: authorities, Mode: 0o644})
	}
	for _, family := range []string{"iptables", "ip6tables"} {
		for _, tool := range []string{"", "-save", "-restore", "-nft", "-nft-save", "-nft-restore"} {
			files = append(files, File{Path: "/usr/sbin/" + family + tool, Link: "xtables-nft-multi"})
		}
	}
	extensions, err := filepath.Glob("/usr/lib/*/xtables/*.so")
	if err != nil || len(extensions) == 0 {
		return Image{}, fmt.Errorf("no extensions of iptables in /usr/lib/*/xtables (%v): is Debian's iptables package whole?", err)
	}
	for _, ext := range extensions {
		files = append(files, File{Path: ext, Source: ext})
	}
	libraries, err := sharedLibraries(ctx, multi, c.tools.bin("envoy"))
	if err != nil {
		return Image{}, err
	}
	for _, lib := range libraries {
		files = append(files, File{Path: lib, Source: lib})
	}
	return Image{
		Name: imageHub + "/proxyv2:1", User: "1337:1337", Entrypoint: []string{"/usr/local/bin/pilot-agent"}, Files: files,
	}, nil
}

// A line of ldd: "libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x…)", or the
// loader's path alone.
var lddPath = regexp.MustCompile(`(?m)(/\S+) \(0x`)

// sharedLibraries returns the paths of all libraries that programs of this
// machine are linked with, the loader too.
func sharedLibraries(ctx context.Context, programs ...string) ([]string, error) {
	out, err := output(ctx, "ldd", programs...)
	if err != nil {
		return nil, err
	}
	if strings.Contains(out, "not found") {
		return nil, fmt.Errorf("a library is missing on this machine:\n%s", out)
	}
	var paths []string
	for _, m := range lddPath.FindAllStringSubmatch(out, -1) {
		paths = append(paths, m[1])
	}
	slices.Sort(paths)
	return slices.Compact(paths), nil
}
