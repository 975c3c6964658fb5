package hook

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// stat is what /proc/PID/stat says of a process.
type stat struct {
	state string
	group int
	start string // in clock ticks since boot
}

func readStat(pid int) (stat, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	// The second field is the name in brackets and may hold anything.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 20 {
		return stat{}, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	group, err := strconv.Atoi(fields[2])
	if err != nil {
		return stat{}, fmt.Errorf("/proc/%d/stat: %w", pid, err)
	}
	return stat{state: fields[0], group: group, start: fields[19]}, nil
}

// startOf identifies a process among all that ever had its ID: by boot and
// start time. It is empty when the process is gone.
func startOf(pid int) string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	s, err := readStat(pid)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(boot)) + "/" + s.start
}

// processesOf returns the processes of a run: those that carry its mark in
// their environment, and the group of its leader if that is still the same
// process. Zombies are over.
func processesOf(n note) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("looking for its processes: %w", err)
	}
	leads := n.PID > 0 && n.Start != "" && startOf(n.PID) == n.Start
	var found []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		s, err := readStat(pid)
		if err != nil || s.state == "Z" || s.state == "X" {
			continue // gone meanwhile, or over
		}
		marked, err := hasMark(pid, n.Run)
		if err != nil {
			return nil, err
		}
		if marked || leads && s.group == n.PID {
			found = append(found, pid)
		}
	}
	return found, nil
}

// hasMark says whether a process was started with the mark of a run. The
// environment of other users' processes cannot be read, and they are not ours.
func hasMark(pid int, run string) (bool, error) {
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ESRCH):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("looking for its processes: %w", err)
	}
	mark := []byte("\x00" + envRun + "=" + run + "\x00")
	return bytes.Contains(append([]byte{0}, env...), mark), nil
}
