package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/greenroom-dev/greenroom/internal/durable"
	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// version is what should run of one version and what does. All of it is guarded
// by Platform.mu.
type version struct {
	id        string
	dir       string // empty for endpoints
	spec      Spec
	ensured   bool // Ensure named it since New; until then nothing of it is started
	readyOnce bool // all its replicas were ready at once
	stopped   bool
	era       int // counts how often it was begun anew after a stop
	givingUp  bool
	failed    string
	timer     *time.Timer // StartWithin
	replaced  string      // warning: the inPlace executable is another than declared
	seen      fileState   // of that executable when last hashed
	instances []*instance // by slot
}

// fileState tells whether a file may have changed without reading it.
type fileState struct {
	size int64
	mod  time.Time
}

// Ensure makes the version run as spec says: a new one is started, one that is
// being stopped is started again beside its ending processes, and on one that
// runs replicas, health and drain are adjusted. It never restarts what runs,
// whatever else differs. It returns once that is decided and durable; Observe
// tells the rest. A version that has failed stays so until it is stopped.
//
// Endpoints have no processes: they are checked, and a version of endpoints
// whose StartWithin is over is failed only until they are ready.
func (p *Platform) Ensure(ctx context.Context, spec Spec) error {
	id := spec.Version.ID()
	if err := p.check(ctx, &spec); err != nil {
		return fmt.Errorf("run %s: %w", id, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	v := p.versions[id]
	fresh := v == nil
	if fresh {
		v = &version{id: id}
		if spec.Version.Run != nil {
			v.dir = filepath.Join(p.versionsDir(), url.PathEscape(id))
		}
	} else if (v.dir == "") != (spec.Version.Run == nil) {
		return fmt.Errorf("run %s: it cannot turn from processes into endpoints or back: name another version", id)
	}
	again := !fresh && v.stopped
	if again {
		v.stopped, v.readyOnce, v.failed, v.givingUp = false, false, "", false
		v.era++
	}
	before := v.spec
	v.spec = spec
	if fresh || again || !v.ensured || before.Service.Health != spec.Service.Health || before.Service.Drain != spec.Service.Drain ||
		before.Version.Replicas() != spec.Version.Replicas() {
		if err := p.persist(v); err != nil {
			return fmt.Errorf("run %s: %w", id, err)
		}
	}
	p.versions[id] = v
	if within := spec.Service.Health.StartWithin; (fresh || again || !v.ensured) && !v.readyOnce && within > 0 {
		v.stopTimer()
		era := v.era
		v.timer = time.AfterFunc(within, func() { p.overdue(v, era, within) })
	}
	v.ensured = true
	p.reconcile(v)
	p.touch()
	return nil
}

// check completes spec with defaults for what a document cannot leave out, and
// sees to it that there is something to start.
func (p *Platform) check(ctx context.Context, spec *Spec) error {
	h := &spec.Service.Health
	if h.Kind == "" {
		h.Kind = fleet.HealthTCP
	}
	if h.Interval <= 0 {
		h.Interval = 2 * time.Second
	}
	if h.Timeout <= 0 {
		h.Timeout = time.Second
	}
	h.Failures = max(h.Failures, 1)

	run := spec.Version.Run
	switch {
	case run == nil && len(spec.Version.Endpoints) == 0:
		return errors.New("the version has neither a command nor endpoints")
	case run == nil:
		return ctx.Err()
	case len(run.Command) == 0:
		return errors.New("the version's command is empty")
	case run.InPlace:
		return ctx.Err()
	}
	if _, stored := p.Executable(run.SHA256); stored {
		return ctx.Err()
	}
	sha, err := SHA256(run.Executable)
	if err != nil || sha != run.SHA256 {
		return fmt.Errorf("its executable is not stored, and %s is not or no longer what the version was declared with: declare a new version", run.Executable)
	}
	_, err = p.Store(run.Executable)
	return err
}

func (p *Platform) persist(v *version) error {
	if v.dir == "" {
		return nil
	}
	err := os.Mkdir(v.dir, 0o700)
	if err == nil {
		err = durable.SyncFolder(p.versionsDir())
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	rec := versionRecord{Version: v.spec.Version, Service: v.spec.Service, ReadyOnce: v.readyOnce, Stopped: v.stopped}
	rec.Service.First = fleet.Version{}
	if rec.Version.Run != nil {
		run := *rec.Version.Run
		run.Env = nil
		rec.Version.Run = &run
	}
	return writeRecord(v.dir, versionFile, rec)
}

// reconcile starts and stops instances until as many as should are on their
// way. Callers hold mu.
func (p *Platform) reconcile(v *version) {
	if v.spec.Version.Run == nil {
		p.reconcileEndpoints(v)
		return
	}
	if v.stopped || v.failed != "" || v.givingUp || !v.ensured || p.closed {
		return
	}
	var active, idle []*instance
	for _, i := range v.instances {
		switch {
		case !i.active:
			idle = append(idle, i)
		case !i.stopping:
			active = append(active, i)
		}
	}
	want := v.spec.Version.Run.Replicas
	for n := len(active); n < want; n++ {
		var i *instance
		if len(idle) > 0 {
			i, idle = idle[0], idle[1:]
			if i.lastExit != nil && !i.stopping {
				i.restarts++ // ended while nobody was there to start it again
			}
		} else {
			i = v.newInstance()
		}
		p.launch(v, i, nil)
	}
	if len(active) > want {
		// Those not ready go first, then the youngest.
		slices.SortStableFunc(active, func(a, b *instance) int {
			if ar, br := a.state == Ready, b.state == Ready; ar != br {
				if ar {
					return -1
				}
				return 1
			}
			return cmp.Compare(a.slot, b.slot)
		})
		for _, i := range active[want:] {
			p.stopInstance(i, v.spec.Service.Drain, v.spec.Service.Drain/2)
		}
	}
	p.noteReady(v)
}

func (p *Platform) reconcileEndpoints(v *version) {
	have := make(map[string]*instance)
	for _, i := range v.instances {
		have[i.addr] = i
	}
	if v.stopped || p.closed {
		return
	}
	v.instances = v.instances[:0]
	for slot, addr := range v.spec.Version.Endpoints {
		i := have[addr]
		delete(have, addr)
		if i == nil || !i.active {
			i = &instance{id: addr, addr: addr, slot: slot}
			p.watchEndpoint(v, i)
		}
		v.instances = append(v.instances, i)
	}
	for i := range maps.Values(have) {
		i.end()
	}
	p.noteReady(v)
}

// noteReady remembers when the whole version was ready for the first time.
// Callers hold mu.
func (p *Platform) noteReady(v *version) {
	want := max(v.spec.Version.Replicas(), len(v.spec.Version.Endpoints))
	if v.ready() < want || want == 0 {
		return
	}
	if v.dir == "" {
		v.failed = ""
	}
	if v.readyOnce {
		return
	}
	v.readyOnce = true
	v.stopTimer()
	if err := p.persist(v); err != nil {
		p.log.Error("cannot record that a version is ready", "version", v.id, "error", err)
	}
	p.log.Info("version is ready", "version", v.id)
}

// Stop drains and stops all instances of the version: SIGTERM to the process,
// and after drain SIGKILL to it and all of its group. It returns at once; Gone
// tells the end. Called again, a shorter drain counts from now.
func (p *Platform) Stop(version string, drain time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if v := p.versions[version]; v != nil && !p.closed {
		p.stop(v, drain, drain/2)
	}
}

func (p *Platform) stop(v *version, drain, idle time.Duration) {
	v.stopTimer()
	if !v.stopped {
		v.stopped = true
		if err := p.persist(v); err != nil {
			p.log.Error("cannot record that a version is stopped; it would be watched again after a restart", "version", v.id, "error", err)
		}
		p.log.Info("stopping version", "version", v.id, "drain", drain)
	}
	for _, i := range v.instances {
		p.stopInstance(i, drain, idle)
	}
	p.touch()
}

// Remove forgets a version with its folder and logs. Its processes must have
// ended: see Stop and Status.Gone. Removing an unknown version does nothing.
func (p *Platform) Remove(version string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.versions[version]
	if v == nil {
		return nil
	}
	for _, i := range v.instances {
		if i.active && v.dir != "" {
			return fmt.Errorf("remove %s: instance %s still runs: stop the version first", v.id, i.id)
		}
		i.end()
	}
	v.stopTimer()
	if v.dir != "" {
		if err := os.RemoveAll(v.dir); err != nil {
			return fmt.Errorf("remove %s: %w", v.id, err)
		}
	}
	for _, i := range v.instances {
		p.freePort(i)
	}
	delete(p.versions, version)
	p.touch()
	return nil
}

func (v *version) ready() int {
	n := 0
	for _, i := range v.instances {
		if i.state == Ready {
			n++
		}
	}
	return n
}

func (v *version) stopTimer() {
	if v.timer != nil {
		v.timer.Stop()
	}
}

func (v *version) status() Status {
	s := Status{Ready: v.ready(), Failed: v.failed, Stopping: v.stopped, Gone: v.stopped}
	if v.replaced != "" {
		s.Warnings = append(s.Warnings, v.replaced)
	}
	for _, i := range v.instances {
		s.Instances = append(s.Instances, i.status())
		if i.active {
			s.Gone = false
		}
		if i.elsewhere != "" {
			s.Warnings = append(s.Warnings, fmt.Sprintf("instance %s %s", i.id, i.elsewhere))
		}
	}
	return s
}

// checkInPlace warns where the executable that is started in place is not the
// one that the version was declared with.
func (p *Platform) checkInPlace(v *version, run *fleet.Run) {
	if !run.InPlace {
		return
	}
	info, err := os.Stat(run.Executable)
	if err != nil {
		return // starting it says so
	}
	now := fileState{size: info.Size(), mod: info.ModTime()}
	p.mu.Lock()
	known := v.seen == now
	p.mu.Unlock()
	if known {
		return
	}
	sha, err := SHA256(run.Executable)
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	v.seen, v.replaced = now, ""
	if sha != run.SHA256 {
		v.replaced = fmt.Sprintf("executable %s changed on disk since the version was declared (SHA-256 %.10s, was %.10s)", run.Executable, sha, run.SHA256)
		p.log.Warn("executable changed on disk", "version", v.id, "executable", run.Executable)
	}
	p.touch()
}
