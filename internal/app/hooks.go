package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/greenroom-dev/greenroom/internal/hook"
	"github.com/greenroom-dev/greenroom/internal/pass"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// hooks is the controller's Hooks: it runs them in the background and keeps
// what they printed.
type hooks struct {
	runner  *hook.Runner
	keys    *pass.Keys
	edgeURL func() string
	done    func() // called when one has ended
	record  func(release.RunHook, hook.Result)
	log     *slog.Logger
	now     func() time.Time

	ctx  context.Context // ends with greenroom
	work sync.WaitGroup

	mu   sync.Mutex
	runs map[string]hookRun // by RunHook.ID
}

type hookRun struct {
	release string
	running bool
	result  hook.Result
}

// Run starts a hook; asked again for one that runs or ran, it does nothing.
func (h *hooks) Run(rec Record, ask release.RunHook) {
	specs := hooksOf(rec.Releases[ask.Release].Spec.Hooks)[ask.Moment]
	if ask.Index >= len(specs) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, known := h.runs[ask.ID]; known || h.ctx.Err() != nil {
		return
	}
	h.forgetOld(rec)
	h.runs[ask.ID] = hookRun{release: ask.Release, running: true}
	h.work.Go(func() {
		spec := specs[ask.Index]
		c := hook.Context{ID: ask.ID, Release: ask.Release, EdgeURL: h.edgeURL()}
		c.Pass = h.mint(rec, ask.Release, spec.Timeout)
		result := h.runner.Run(h.ctx, spec, c)
		if h.ctx.Err() != nil {
			return // cut short by greenroom's own end: it runs again with the next start
		}
		h.mu.Lock()
		h.runs[ask.ID] = hookRun{release: ask.Release, result: result}
		h.mu.Unlock()
		h.record(ask, result)
		h.done()
	})
}

// mint makes the pass that a hook looks at its release with.
func (h *hooks) mint(rec Record, name string, timeout time.Duration) string {
	token, err := h.keys.Mint(pass.Claims{
		ID: "hook-" + rand.Text(), Release: name, UID: rec.State.Releases[name].UID, Subject: "hook",
		IssuedAt: h.now(), ExpiresAt: h.now().Add(timeout + time.Minute),
	})
	if err != nil {
		h.log.Error("no pass could be made for a hook", "release", name, "error", err)
	}
	return token
}

// forgetOld drops what is known of releases that are gone.
func (h *hooks) forgetOld(rec Record) {
	maps.DeleteFunc(h.runs, func(_ string, r hookRun) bool {
		_, kept := rec.State.Releases[r.release]
		return !kept && !r.running
	})
}

// Observe returns how every hook is doing.
func (h *hooks) Observe() map[string]release.HookStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make(map[string]release.HookStatus, len(h.runs))
	for id, r := range h.runs {
		out[id] = release.HookStatus{Running: r.running, Passed: r.result.Passed, Message: r.result.Err}
	}
	return out
}

// output returns what the last run of a hook printed.
func (h *hooks) output(uid string, generation uint64, m release.Moment, index int) string {
	prefix := fmt.Sprintf("%s.%d.%s.%d.", uid, generation, m, index)
	h.mu.Lock()
	defer h.mu.Unlock()
	var last hookRun
	for id, r := range h.runs {
		if strings.HasPrefix(id, prefix) && !r.result.Started.Before(last.result.Started) {
			last = r
		}
	}
	return last.result.Output
}
