package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// process is one long-running program of the cluster. It has a session of its
// own and writes to a file, so it needs nothing of the process that started
// it.
type process struct {
	name string
	path string
	args []string
	// ready returns nil when the process does its work; it is asked again and
	// again until then.
	ready func(context.Context) error
}

// run starts a process and waits until it is ready. It fails at once, with the
// end of its log, when the process ends instead.
func (c *Cluster) run(ctx context.Context, p process) error {
	logPath := filepath.Join(c.state, "logs", p.name+".log")
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("making the log of %s: %w", p.name, err)
	}
	defer log.Close()
	cmd := exec.Command(p.path, p.args...)
	cmd.Dir = c.state
	cmd.Env = []string{"HOME=" + c.state, "TMPDIR=" + os.TempDir(), "PATH=" + c.tools.path() + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err := writePID(c.state, p.name, cmd.Process.Pid); err != nil {
		cmd.Process.Kill()
		return err
	}
	alive := func(ctx context.Context) error {
		select {
		case err := <-ended:
			return &permanentError{fmt.Errorf("%s ended (%v); its log ends with:\n%s", p.name, err, tail(logPath, tailBytes))}
		default:
			return p.ready(ctx)
		}
	}
	return await(ctx, p.name, processWait, alive)
}

// identity is a process: its id, and when it began, in clock ticks since the
// machine's, since ids are used again.
type identity struct {
	pid   int
	start string
}

func pidPath(state, name string) string { return filepath.Join(state, "pids", name) }

func writePID(state, name string, pid int) error {
	id := identity{pid: pid, start: startTime(pid)}
	if err := os.WriteFile(pidPath(state, name), fmt.Appendf(nil, "%d %s\n", id.pid, id.start), 0o644); err != nil {
		return fmt.Errorf("writing down the process of %s: %w", name, err)
	}
	return nil
}

// recorded returns the processes of the cluster in the state folder by name,
// those that live and those that don't.
func recorded(state string) map[string]identity {
	all := map[string]identity{}
	entries, _ := os.ReadDir(filepath.Join(state, "pids"))
	for _, e := range entries {
		b, err := os.ReadFile(pidPath(state, e.Name()))
		if err != nil {
			continue
		}
		var id identity
		if _, err := fmt.Sscan(string(b), &id.pid, &id.start); err == nil {
			all[e.Name()] = id
		}
	}
	return all
}

// startTime is field 22 of /proc/<pid>/stat; empty when there is no such
// process, or only its zombie.
func startTime(pid int) string {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return ""
	}
	// The second field, the name in brackets, may hold anything.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" {
		return ""
	}
	return fields[19]
}

func (id identity) alive() bool { return id.start != "" && startTime(id.pid) == id.start }

// running tells whether a cluster that was started to its end, and all of
// whose processes live, is in the state folder.
func running(state string) bool {
	rec, err := readRecord(state)
	if err != nil || !rec.Complete {
		return false
	}
	for _, id := range recorded(state) {
		if !id.alive() {
			return false
		}
	}
	return true
}

// processNames are the cluster's processes in the order in which they start.
var processNames = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "containerd", "kubelet", "kube-proxy"}
