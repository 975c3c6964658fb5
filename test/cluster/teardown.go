package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// teardownWait bounds a whole teardown.
const teardownWait = 5 * time.Minute

// grace is how long a process of the cluster has to end by itself.
const grace = 10 * time.Second

// teardown removes a cluster, in whichever state it is, by the names that it
// gave and the processes that it wrote down; what is gone already is no error.
// It goes on after a failure and returns all of them.
//
// It needs nothing of the cluster to work, and asks nothing of it: pods are
// killed, not deleted. That leaves no network namespace, since all of those are
// mounted below the state folder and go with their last process and mount.
func teardown(ctx context.Context, state string, log *progress) error {
	begin := time.Now()
	rec, err := readRecord(state)
	if errors.Is(err, fs.ErrNotExist) {
		rec = &record{} // it had not begun
	} else if err != nil {
		return err
	}
	var errs []error
	all := recorded(state)
	for _, name := range slices.Backward(processNames) {
		if id, known := all[name]; known {
			errs = append(errs, id.end(ctx, grace))
		}
	}
	for _, step := range []func() error{
		func() error { return endShims(ctx, state) },
		func() error { return removeCgroups(ctx) },
		func() error { return unmountBelow(state) },
		func() error { return removeBridge(ctx) },
		func() error { return removeChains(ctx) },
		rec.restoreSettings,
		func() error { return removeLeavings(state, rec) },
	} {
		errs = append(errs, step())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("removing the cluster in %s: %w", state, err)
	}
	if err := emptyState(state); err != nil {
		return err
	}
	log.printf("the cluster in %s is gone, after %.1f s; its logs stay", state, time.Since(begin).Seconds())
	return nil
}

// endShims kills the shims of the cluster's containers, known by the socket of
// its containerd in their arguments.
func endShims(ctx context.Context, state string) error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return fmt.Errorf("looking for shims: %w", err)
	}
	var errs []error
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		id := identity{pid: pid, start: startTime(pid)}
		b, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		args := strings.Split(string(b), "\x00")
		if filepath.Base(args[0]) != "containerd-shim-runc-v2" || !slices.Contains(args, containerdSocket(state)) {
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
			errs = append(errs, fmt.Errorf("ending a container's shim: %w", err))
			continue
		}
		errs = append(errs, id.end(ctx, grace))
	}
	return errors.Join(errs...)
}

// removeBridge removes the bridge and the pods' links that hang on it.
func removeBridge(ctx context.Context) error {
	if _, err := net.InterfaceByName(bridge); err != nil {
		return nil
	}
	ports, err := os.ReadDir(filepath.Join("/sys/class/net", bridge, "brif"))
	if err != nil {
		return fmt.Errorf("reading the bridge's ports: %w", err)
	}
	for _, p := range ports {
		// A port may go by itself meanwhile, with its network namespace.
		if _, err := output(ctx, "ip", "link", "delete", p.Name()); err != nil {
			if _, there := net.InterfaceByName(p.Name()); there == nil {
				return err
			}
		}
	}
	_, err = output(ctx, "ip", "link", "delete", bridge)
	return err
}

// restoreSettings puts the kernel's settings back.
func (r *record) restoreSettings() error {
	var errs []error
	for name, value := range r.Settings {
		path := filepath.Join("/proc/sys", name)
		if b, err := os.ReadFile(path); err == nil && string(bytes.TrimSpace(b)) == value {
			continue
		}
		if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
			errs = append(errs, fmt.Errorf("putting back %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// removeLeavings removes the folders outside of the state folder that weren't
// there before, and from those that were, the links into the state folder.
func removeLeavings(state string, rec *record) error {
	for _, dir := range rec.Folders {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	links, _ := filepath.Glob("/var/log/containers/*.log")
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, state+"/") {
			if err := os.Remove(link); err != nil {
				return err
			}
		}
	}
	return nil
}

// emptyState removes all of the state folder but the logs.
func emptyState(state string) error {
	entries, err := os.ReadDir(state)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if e.Name() == "logs" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(state, e.Name())); err != nil {
			return fmt.Errorf("emptying the state folder: %w", err)
		}
	}
	return nil
}
