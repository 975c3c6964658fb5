package hook

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// zombie is the state of a process that has ended and was not reaped (SZOMB).
const zombie = 5

// startOf identifies a process among all that ever had its ID, by its start
// time. It is empty when the process is gone.
func startOf(pid int) string {
	p, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil || int(p.Proc.P_pid) != pid {
		return ""
	}
	return fmt.Sprintf("%d.%06d", p.Proc.P_starttime.Sec, p.Proc.P_starttime.Usec)
}

// processesOf returns the processes in the group of a run's leader, if that is
// still the same process. One that greenroom was killed before noting is not
// found here: other processes' environment cannot be read.
func processesOf(n note) ([]int, error) {
	if n.PID == 0 || n.Start == "" || startOf(n.PID) != n.Start {
		return nil, nil
	}
	group, err := unix.SysctlKinfoProcSlice("kern.proc.pgrp", n.PID)
	if err != nil {
		return nil, fmt.Errorf("looking for its processes: %w", err)
	}
	var found []int
	for _, p := range group {
		if p.Proc.P_stat != zombie {
			found = append(found, int(p.Proc.P_pid))
		}
	}
	return found, nil
}
