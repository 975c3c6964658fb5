package local

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// How much of an instance's log a reason to give up carries.
const (
	reasonLines = 20
	reasonBytes = 4 << 10
)

// overdue gives up a version that was not ready in time.
func (p *Platform) overdue(v *version, era int, within time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if v.era != era {
		return
	}
	for _, i := range v.instances {
		if i.state != Ready && !i.stopping {
			p.giveUp(v, i, fmt.Sprintf("not ready within %v", within))
			return
		}
	}
}

// giveUp fails a version that was never ready, because of instance i, and stops
// what runs of it. From here on nothing of it is started; the reason, with what
// is known of i, follows as soon as it is put together. Callers hold mu.
func (p *Platform) giveUp(v *version, i *instance, why string) {
	if p.closed || v.readyOnce || v.stopped || v.givingUp || v.failed != "" {
		return
	}
	v.givingUp = true
	era := v.era
	p.work.Go(func() { p.fail(v, era, i, why) })
}

func (p *Platform) fail(v *version, era int, i *instance, why string) {
	p.mu.Lock()
	st, elsewhere, session := i.status(), i.elsewhere, i.session()
	port, begun := i.port, i.begun
	p.mu.Unlock()

	facts := []string{why}
	if s := misplaced(session, port); s != "" {
		elsewhere = s
	}
	if elsewhere != "" {
		facts = append(facts, "it "+elsewhere)
	}
	if st.LastExit != nil && st.PID == 0 {
		facts = append(facts, "it "+st.LastExit.String())
	}
	if st.Health != "" {
		facts = append(facts, "last health check: "+st.Health)
	}
	reason := strings.Join(facts, "; ")
	if v.dir == "" {
		reason = "endpoint " + i.id + ": " + reason
	} else if tail := tailOf(filepath.Join(i.dir, logFile), begun, reasonLines, reasonBytes); tail != "" {
		reason += "\nlast lines of instance " + i.id + ":\n" + tail
	} else {
		reason += "; instance " + i.id + " printed nothing"
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || v.era != era {
		return
	}
	v.givingUp = false
	if v.stopped {
		return
	}
	if v.readyOnce { // in the very last moment
		p.reconcile(v)
		return
	}
	v.failed = reason
	p.log.Warn("version failed", "version", v.id, "reason", why)
	if v.dir != "" {
		for _, i := range v.instances {
			p.stopInstance(i, v.spec.Service.Drain, 0)
		}
	}
	p.touch()
}

// misplaced says where the processes of a session listen instead of on port;
// empty where they do listen on it, on nothing, or it cannot be learnt.
func misplaced(session, port int) string {
	if session == 0 {
		return ""
	}
	var others []string
	for _, on := range listeningPorts(session) {
		if on == port {
			return ""
		}
		others = append(others, fmt.Sprint(on))
	}
	if len(others) == 0 {
		return ""
	}
	return fmt.Sprintf("listens on %s, not on PORT=%d", strings.Join(others, " and "), port)
}
