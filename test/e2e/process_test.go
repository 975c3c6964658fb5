//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// processOf is the first process of a container, which runs on this machine.
func (s *stage) processOf(t *testing.T, container string) int {
	t.Helper()
	cmd := exec.CommandContext(s.ctx, "/usr/bin/env", "ctr", "tasks", "list")
	cmd.Env = s.Environ()
	tasks, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(tasks)) {
		if f := strings.Fields(line); len(f) > 1 && "containerd://"+f[0] == container {
			pid, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatalf("no process of %q among\n%s", container, tasks)
	return 0
}

// below is the process of a name that another one has started.
func (s *stage) below(t *testing.T, parent int, name string) int {
	t.Helper()
	all, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		pid, err := strconv.Atoi(one.Name())
		if err != nil {
			continue
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue // it is gone
		}
		if strings.HasPrefix(string(status), "Name:\t"+name+"\n") && strings.Contains(string(status), fmt.Sprintf("\nPPid:\t%d\n", parent)) {
			return pid
		}
	}
	t.Fatalf("process %d has started no %s", parent, name)
	return 0
}
