// Package process names processes of this machine, so that none is ever taken
// for another that got its number later, and watches over those that are not
// its own children.
//
// It owns what the system is asked for that, and keeps nothing: what a process
// is for, and when it has to end, is known to who asks. It imports nothing else
// of greenroom.
//
// Start at Identity, then Open for a handle on one.
package process

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// pollEvery is how late an exit may be noticed where the system does not tell.
const pollEvery = 250 * time.Millisecond

// Identity names a process for as long as the machine stands: a process ID
// alone is given to others sooner or later. It is persisted as JSON, so a
// renamed field loses sight of what runs. The zero Identity names none.
type Identity struct {
	Boot  string `json:"boot"`
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // when it started, in the system's own unit
}

// Identify returns the identity of a process that cannot vanish meanwhile: the
// caller itself, or a child not yet waited for. Its error is os.ErrProcessDone
// where the process has ended.
func Identify(pid int) (Identity, error) {
	boot, err := bootID()
	if err != nil {
		return Identity{}, fmt.Errorf("learn boot id: %w", err)
	}
	start, alive := startTime(pid)
	if !alive {
		return Identity{}, fmt.Errorf("learn start time of process %d: %w", pid, os.ErrProcessDone)
	}
	return Identity{Boot: boot, PID: pid, Start: start}, nil
}

// Alive reports whether that very process still runs. A zombie does not.
func (id Identity) Alive() bool {
	boot, err := bootID()
	if err != nil || boot != id.Boot || id.PID <= 0 {
		return false
	}
	start, alive := startTime(id.PID)
	return alive && start == id.Start
}

// KillGroup ends that process and the group it leads, if it still is what it
// was.
func (id Identity) KillGroup() {
	if id.Alive() {
		_ = syscall.Kill(-id.PID, syscall.SIGKILL) // fails only if it has ended
	}
}
