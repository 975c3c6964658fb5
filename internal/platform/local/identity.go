package local

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// pollEvery is how late an exit may be noticed where the system does not tell.
const pollEvery = 250 * time.Millisecond

// identity names a process for as long as the machine stands: a process ID
// alone is given to others sooner or later.
type identity struct {
	Boot  string `json:"boot"`
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // when it started, in the system's own unit
}

// identify returns the identity of a process that cannot vanish meanwhile: the
// caller itself, or a child not yet waited for.
func identify(pid int) (identity, error) {
	boot, err := bootID()
	if err != nil {
		return identity{}, fmt.Errorf("learn boot id: %w", err)
	}
	start, alive := startTime(pid)
	if !alive {
		return identity{}, fmt.Errorf("learn start time of process %d: %w", pid, os.ErrProcessDone)
	}
	return identity{Boot: boot, PID: pid, Start: start}, nil
}

// alive reports whether that very process still runs. A zombie does not.
func (id identity) alive() bool {
	boot, err := bootID()
	if err != nil || boot != id.Boot || id.PID <= 0 {
		return false
	}
	start, alive := startTime(id.PID)
	return alive && start == id.Start
}

// killGroup ends that process and the group it leads, if it still is what it
// was.
func (id identity) killGroup() {
	if id.alive() {
		_ = syscall.Kill(-id.PID, syscall.SIGKILL)
	}
}
