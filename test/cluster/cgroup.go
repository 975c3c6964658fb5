package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// cgroup is the control group that holds every container of the cluster, in
// each hierarchy of the machine.
const cgroup = "greenroom-cluster"

const cgroupMount = "/sys/fs/cgroup"

// cgroupRoots are the folders below which the cluster's group lies: the one
// hierarchy of cgroup v2, or each of v1's (with v2's beside them, in which runc
// makes groups too).
func cgroupRoots() ([]string, error) {
	if _, err := os.Stat(filepath.Join(cgroupMount, "cgroup.controllers")); err == nil {
		return []string{cgroupMount}, nil
	}
	mounts, err := mountPoints()
	if err != nil {
		return nil, err
	}
	var roots []string
	for _, m := range mounts {
		if filepath.Dir(m) == cgroupMount {
			roots = append(roots, m)
		}
	}
	if len(roots) == 0 {
		return nil, errors.New("no control groups are mounted below " + cgroupMount)
	}
	return roots, nil
}

func makeCgroups() error {
	roots, err := cgroupRoots()
	if err != nil {
		return err
	}
	for _, root := range roots {
		if err := os.Mkdir(filepath.Join(root, cgroup), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("making the cluster's control group: %w", err)
		}
		if root == cgroupMount {
			if err := delegateControllers(); err != nil {
				return err
			}
		}
	}
	return nil
}

// delegateControllers lets the groups below the cluster's use every controller
// that its parent may use (cgroup v2).
func delegateControllers() error {
	b, err := os.ReadFile(filepath.Join(cgroupMount, "cgroup.controllers"))
	if err != nil {
		return fmt.Errorf("reading the controllers: %w", err)
	}
	for _, controller := range strings.Fields(string(b)) {
		for _, dir := range []string{cgroupMount, filepath.Join(cgroupMount, cgroup)} {
			if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0); err != nil {
				return fmt.Errorf("delegating %s: %w", controller, err)
			}
		}
	}
	return nil
}

// removeCgroups kills what runs in the cluster's groups and removes them.
func removeCgroups(ctx context.Context) error {
	roots, err := cgroupRoots()
	if err != nil {
		return err
	}
	return await(ctx, "the end of the cluster's control groups", processWait, func(context.Context) error {
		var left error
		for _, root := range roots {
			left = errors.Join(left, removeCgroup(filepath.Join(root, cgroup)))
		}
		return left
	})
}

// removeCgroup kills a group's processes and removes what is empty of it, the
// inner ones first. It returns an error as long as something is left.
func removeCgroup(top string) error {
	var dirs []string
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	slices.Reverse(dirs)
	var left error
	for _, dir := range dirs {
		b, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		for _, field := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
				_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by now
			}
		}
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			left = errors.Join(left, err)
		}
	}
	return left
}
