package hook

import (
	"io"
	"syscall"
	"time"
)

// drainTime is how long output is waited for after the group has ended: only
// a process that left the group can still hold the pipe.
const drainTime = time.Second

// drain returns when all output is copied. If that takes too long, it closes
// the pipe first.
func drain(copied <-chan struct{}, pipe io.Closer) {
	timer := time.NewTimer(drainTime)
	defer timer.Stop()
	select {
	case <-copied:
	case <-timer.C:
		_ = pipe.Close() // makes the copying end
		<-copied
	}
}

// terminate asks the group of pid to end and returns when its leader has, or
// when it has got SIGKILL after the grace.
func terminate(pid int, exited <-chan struct{}, grace time.Duration) {
	_ = syscall.Kill(-pid, syscall.SIGTERM) // fails only if it has ended
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-exited:
	case <-timer.C:
		killGroup(pid)
	}
}

// killGroup ends the processes of a group whose leader is not reaped yet.
func killGroup(pid int) {
	_ = syscall.Kill(-pid, syscall.SIGKILL) // fails only if all have ended
}
