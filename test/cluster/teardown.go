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

// teardown removes a cluster, in whichever state it is, by the names that it
// gave and the processes that it wrote down; what is gone already is no error.
// It goes on after a failure and returns all of them.
//
// It needs nothing of the cluster to work, and asks nothing of it: processes and
// pods are killed, for there is nothing to save. That leaves no network
// namespace, since all of those are mounted below the state folder and go with
// their last process and mount.
func teardown(ctx context.Context, state string, log *progress) error {
	begin := time.Now()
	rec, err := readRecord(state)
	if errors.Is(err, fs.ErrNotExist) {
		rec = &record{} // it had not begun
	} else if err != nil {
		return err
	}
	var errs []error
	for _, step := range []func() error{
		func() error { return killProcesses(ctx, state) },
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

// killProcesses kills the cluster's processes and the shims of its containers
// until there are none. They are known by name and by the state folder in their
// arguments, not by what was written down: whoever started one may have been
// killed before it could.
func killProcesses(ctx context.Context, state string) error {
	return await(ctx, "the end of the cluster's processes", processWait, func(context.Context) error {
		entries, err := os.ReadDir("/proc")
		if err != nil {
			return &permanentError{fmt.Errorf("looking for the cluster's processes: %w", err)}
		}
		var left error
		for _, e := range entries {
			pid, err := strconv.Atoi(e.Name())
			if err != nil {
				continue
			}
			name, ours := ownProcess(pid, state)
			if !ours || startTime(pid) == "" {
				continue
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
				return &permanentError{fmt.Errorf("ending %s, process %d: %w", name, pid, err)}
			}
			left = errors.Join(left, fmt.Errorf("%s, process %d, lives", name, pid))
		}
		return left
	})
}

// ownProcess tells whether a process belongs to the cluster in the state
// folder, and what it is.
func ownProcess(pid int, state string) (name string, ours bool) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil || len(b) == 0 {
		return "", false
	}
	program, args, _ := strings.Cut(string(b), "\x00")
	name = filepath.Base(program)
	known := name == "containerd-shim-runc-v2" || slices.Contains(processNames, name)
	return name, known && strings.Contains(args, state+"/")
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
