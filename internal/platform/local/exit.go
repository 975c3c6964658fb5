package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/greenroom-dev/greenroom/internal/process"
)

// String says how the process ended, in words.
func (e Exit) String() string {
	var s string
	switch {
	case e.How == Refused:
		return "could not be started: " + e.Error
	case e.How == Lost && e.Error != "":
		return "was lost with its shim: " + e.Error
	case e.How == Lost:
		return "was lost with its shim, which left no record of how it ended"
	case e.Signal != "":
		s = "ended by signal: " + e.Signal
	default:
		s = "exited with code " + strconv.Itoa(e.Code)
	}
	if e.Killed {
		s += " (after its drain time)"
	}
	return s
}

// busyEvery is how often it is asked whether requests are still under way.
const busyEvery = 10 * time.Millisecond

// mayStop reports whether nothing speaks against passStop.
func (p *Platform) mayStop(v *version, i *instance) bool {
	p.mu.Lock()
	waits := i.stopping && time.Now().Before(i.idleBy)
	p.mu.Unlock()
	return !waits || p.busy == nil || !p.busy(v.id, i.id)
}

// passStop makes the shim stop its process, if that was asked for.
func (p *Platform) passStop(i *instance, l *life) {
	p.mu.Lock()
	asked := i.stopping
	order := stopOrder{Start: l.start, Drain: max(time.Until(i.stopBy), 0)}
	p.mu.Unlock()
	if !asked {
		return
	}
	if err := writeRecord(i.dir, stopFile, order); err != nil {
		// A full disk, say. Without the order the shim does not know the deadline,
		// but the process must end.
		p.log.Error("cannot order the shim to stop; ending the process itself", "instance", i.id, "error", err)
		p.work.Go(func() { p.endProcess(i, l, order.Drain) })
		return
	}
	if err := l.shim.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.log.Error("cannot signal the shim", "instance", i.id, "error", err)
	}
}

// learnExit finds out how the process ended whose shim is gone, and sees to it
// that it did.
func (p *Platform) learnExit(v *version, i *instance, l *life) Exit {
	if exit, ok := readEnded(i.dir, l.start); ok {
		return exit
	}
	if running, ok := readRunning(i.dir, l.start); ok {
		l.running = running
	}
	p.mu.Lock()
	drain := v.spec.Service.Drain
	if i.stopping {
		drain = min(drain, max(time.Until(i.stopBy), 0))
	}
	i.state = Stopping // it may live for a while, but not for new requests
	p.touch()
	p.mu.Unlock()
	p.endProcess(i, l, drain)
	exit := Exit{Code: -1, At: time.Now(), How: Lost}
	if l.running.Shim.PID == 0 {
		text, _ := os.ReadFile(filepath.Join(i.dir, "shim.err"))
		exit.Error = strings.TrimSpace(string(text[:min(len(text), 1000)]))
	}
	return exit
}

// endProcess ends what lives of an instance without its shim's help: SIGTERM,
// and after drain SIGKILL to the group. It touches only processes whose identity
// is the recorded one, or whose environment names the instance.
func (p *Platform) endProcess(i *instance, l *life, drain time.Duration) {
	left, err := process.WithEnv("GREENROOM_INSTANCE=" + i.id)
	if err != nil {
		p.log.Error("cannot look for what is left of an instance", "instance", i.id, "error", err)
	}
	if l.running.Service.Alive() {
		left = append(left, l.running.Service)
	}
	var ending []*process.Handle
	for _, id := range left {
		if id == l.running.Shim {
			continue // it writes down how its process ends
		}
		if h, err := process.Open(id); err == nil {
			_ = h.Signal(syscall.SIGTERM)
			ending = append(ending, h)
		}
	}
	deadline := time.NewTimer(drain)
	defer deadline.Stop()
	for _, h := range ending {
		select {
		case <-h.Done():
		case <-p.ctx.Done():
		case <-deadline.C:
			deadline.Reset(0)
			l.running.Service.KillGroup()
			_ = h.Signal(syscall.SIGKILL)
			<-h.Done()
		}
		h.Close()
	}
}

// noteExit records the end of a process and says whether and when the instance
// is started again.
func (p *Platform) noteExit(v *version, i *instance, exit Exit) (pause time.Duration, again bool) {
	moved := p.portTaken(i)
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.touch()
	steady := !i.readySince.IsZero() && time.Since(i.readySince) >= steadyAfter
	i.lastExit, i.pid = &exit, 0
	if i.stopping || v.stopped {
		i.state = Exited
		if v.failed != "" {
			i.state = Failed
		}
		return 0, false
	}
	p.log.Warn("instance ended", "version", v.id, "instance", i.id, "how", exit.String())
	if !v.ensured {
		i.state = Exited
		return 0, false
	}
	i.state = Backoff
	if moved && i.moves < maxMoves {
		i.moves++
		p.freePort(i)
		return firstPause, true
	}
	i.restarts++
	if steady {
		i.failures = 0
	}
	i.failures++
	if !v.readyOnce && i.failures > v.spec.Service.Health.MaxRestarts {
		why := fmt.Sprintf("ended %d times and was never ready", i.failures)
		if i.failures == 1 {
			why = "ended before it was ready"
		}
		p.giveUp(v, i, why)
		return 0, true
	}
	return min(firstPause<<min(i.failures-1, 20), lastPause), true
}

// portTaken reports whether a process that was never ready printed that its
// port was taken by another.
func (p *Platform) portTaken(i *instance) bool {
	p.mu.Lock()
	begun, ready := i.begun, !i.readySince.IsZero()
	p.mu.Unlock()
	if ready {
		return false
	}
	tail := strings.ToLower(tailOf(filepath.Join(i.dir, logFile), begun, reasonLines, reasonBytes))
	for _, words := range []string{"address already in use", "eaddrinuse", "address in use", "port is already"} {
		if strings.Contains(tail, words) {
			return true
		}
	}
	return false
}
