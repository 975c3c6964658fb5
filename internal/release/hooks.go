package release

import (
	"fmt"
	"maps"
	"time"
)

// due says that a moment has come: its hooks are to run, from the first.
func (r Release) due(m Moment) Release {
	if len(r.Hooks[m]) == 0 {
		return r
	}
	attempt := r.Progress[m].Attempt + 1
	r.Progress = maps.Clone(r.Progress)
	if r.Progress == nil {
		r.Progress = map[Moment]Progress{}
	}
	r.Progress[m] = Progress{Attempt: attempt}
	return r
}

// hooksPassed reports whether every hook of a moment that has come has passed;
// a moment without hooks has nothing to wait for.
func (s State) hooksPassed(r Release, m Moment) bool {
	p, due := r.Progress[m]
	return len(r.Hooks[m]) == 0 || due && p.Failed == "" && p.Passed == len(r.Hooks[m])
}

// nextHook returns the hook that has to run now.
func (r Release) nextHook(m Moment) (RunHook, bool) {
	p, due := r.Progress[m]
	if !due || p.Failed != "" || p.Passed >= len(r.Hooks[m]) {
		return RunHook{}, false
	}
	return RunHook{ID: r.HookID(m, p.Passed), Release: r.Name, Moment: m, Index: p.Passed}, true
}

// HookDue reports whether a hook of the release has to run, or is under way.
func (r Release) HookDue() bool {
	for _, m := range Moments() {
		if _, due := r.nextHook(m); due {
			return true
		}
	}
	return false
}

// HookID is RunHook.ID of the last, or next, run of a moment's hook.
func (r Release) HookID(m Moment, index int) string {
	return fmt.Sprintf("%s.%d.%s.%d.%d", r.UID, r.Generation, m, index, r.Progress[m].Attempt)
}

// hear takes in how the running hook of a moment ended.
func (d *draft) hear(r Release, m Moment, o Observation) Release {
	hook, ok := r.nextHook(m)
	if !ok {
		return r
	}
	status, known := o.Hooks[hook.ID]
	if !known || status.Running {
		return r
	}
	name := r.Hooks[m][hook.Index]
	p := r.Progress[m]
	if status.Passed {
		p.Passed++
		d.event("HookPassed", r.Name, string(m)+" hook "+name+" passed")
	} else {
		p.Failed = name + ": " + status.Message
		d.event("HookFailed", r.Name, string(m)+" hook "+p.Failed)
	}
	r.Progress = maps.Clone(r.Progress)
	r.Progress[m] = p
	d.put(r)
	return r
}

// Retry runs a release's verify hooks again, or those of a settle, rollback or
// abort that failed, from the first. Hooks that are under way go on.
func (s State) Retry(name string, m Moment, by Actor, now time.Time) (State, error) {
	r, err := s.find(name)
	if err != nil {
		return s, err
	}
	if len(r.Hooks[m]) == 0 {
		return s, nil
	}
	p, came := r.Progress[m]
	switch {
	case m == Verify && r.Phase != Previewing:
		return s, refuse("phase", "", "%s is %s, and verify hooks run in Previewing", name, r.Phase)
	case m == Prepare:
		return s, refuse("phase", "open the release again", "prepare hooks run when a release is opened")
	case !came:
		return s, refuse("phase", "", "the %s hooks of %s have not been due yet", m, name)
	case p.Failed == "" && (m != Verify || p.Passed < len(r.Hooks[m])):
		return s, nil // under way, or nothing to mend
	}
	d := s.edit(by, now)
	d.put(r.due(m))
	d.event("HooksRetried", name, string(m)+" hooks run again")
	return d.done(), nil
}
