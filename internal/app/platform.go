package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/greenroom-dev/greenroom/internal/durable"
	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway/forward"
	"github.com/greenroom-dev/greenroom/internal/gateway/mesh"
	"github.com/greenroom-dev/greenroom/internal/platform/local"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// platform is the controller's Platform: processes with the mesh addresses
// that they call each other by.
type platform struct {
	local *local.Platform
	mesh  *mesh.Mesh
	hops  *hops
	file  string // where addresses are kept

	forgotten func() // called when a version's remains are gone

	filling sync.Mutex // held from looking at instances until the pools hold them
	seen    sighting   // guarded by filling

	mu        sync.Mutex
	addresses map[string]mesh.Addresses // by version ID; kept as long as processes may know them
	replicas  map[string]int            // what a version was last asked to run with
	asked     uint64                    // how often replicas changed
}

// sighting is what was seen when so much had changed.
type sighting struct {
	changes, asked uint64
	versions       map[string]release.VersionStatus
}

func newPlatform(l *local.Platform, m *mesh.Mesh, h *hops, file string) (*platform, error) {
	p := &platform{local: l, mesh: m, hops: h, file: file, addresses: map[string]mesh.Addresses{}, replicas: map[string]int{}}
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the mesh addresses: %w", err)
	}
	if err := json.Unmarshal(data, &p.addresses); err != nil {
		return nil, fmt.Errorf("read the mesh addresses in %s: %w", file, err)
	}
	return p, nil
}

// Run opens the version's mesh listeners, writes their addresses down, and
// starts its processes.
func (p *platform) Run(ctx context.Context, rec Record, version string) error {
	v, ok := rec.Catalog[version]
	if !ok {
		return fmt.Errorf("how to run %s is not known", version)
	}
	s, ok := rec.Fleet.Service(v.Service)
	if !ok {
		return fmt.Errorf("the fleet has no service %s", v.Service)
	}
	env, err := p.listen(version, rec.Fleet.StampHeader, callees(rec.Fleet, s, v))
	if err != nil {
		return err
	}
	replicas := rec.State.Versions[version].Replicas
	if v.Run != nil {
		run := *v.Run
		run.Replicas = replicas
		v.Run = &run
	}
	if err := p.local.Ensure(ctx, local.Spec{Version: v, Service: s, Env: env}); err != nil {
		return err
	}
	p.mu.Lock()
	p.replicas[version] = replicas
	p.asked++
	p.mu.Unlock()
	p.fill(version)
	return nil
}

// callees are the services that a version may call. A version that something
// else runs does not learn addresses from its environment, so it gets them
// only for what its service says it calls.
func callees(f fleet.Fleet, s fleet.Service, v fleet.Version) []string {
	if s.Calls != nil || v.Run == nil {
		return s.Calls
	}
	out := []string{}
	for _, other := range f.Services {
		if other.Name != s.Name {
			out = append(out, other.Name)
		}
	}
	return out
}

// listen opens a version's listeners at the addresses that it had before, if
// any, and returns the environment that tells them.
func (p *platform) listen(version, stampHeader string, callees []string) (map[string]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	prior := p.addresses[version]
	if callees == nil && prior.Host == "" {
		return nil, nil // something else runs it, and nobody said what it calls
	}
	got, err := p.mesh.Listen(version, callees, prior)
	if err != nil {
		return nil, fmt.Errorf("open the mesh addresses of %s: %w", version, err)
	}
	p.addresses[version] = got
	if err := p.save(); err != nil {
		return nil, err
	}
	return got.Env(stampHeader), nil
}

// save writes the addresses down durably: a process that learnt them at its
// start must find them after greenroom's next start.
func (p *platform) save() error {
	data, err := json.Marshal(p.addresses)
	if err != nil {
		return fmt.Errorf("encode the mesh addresses: %w", err)
	}
	if err := durable.Replace(p.file, bytes.NewReader(data)); err != nil {
		return fmt.Errorf("keep the mesh addresses: %w", err)
	}
	return nil
}

// Stop takes a version out of its pool first, so that no request reaches what
// is about to end.
func (p *platform) Stop(version string, drain time.Duration) {
	p.filling.Lock()
	defer p.filling.Unlock()
	p.hops.ready(version, nil)
	p.local.Stop(version, drain)
}

// Forget removes everything that is left of a version.
func (p *platform) Forget(version string) {
	_ = p.local.Remove(version) // tried again with the next step
	p.mesh.Close(version)
	p.hops.forget(version)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.replicas, version)
	p.asked++
	delete(p.addresses, version)
	_ = p.save() // an address too many is harmless
	p.forgotten()
}

// Observe returns how every version is doing. What it calls ready is in its
// pool by then, so that nothing is decided on an instance that requests cannot
// reach yet. While nothing changes it returns the same map again.
func (p *platform) Observe() map[string]release.VersionStatus {
	p.filling.Lock()
	defer p.filling.Unlock()
	p.mu.Lock()
	asked := p.asked
	p.mu.Unlock()
	since := p.seen.changes
	if asked != p.seen.asked {
		since = 0
	}
	seen, changes := p.local.ObserveSince(since)
	if seen == nil && p.seen.versions != nil {
		return p.seen.versions
	}
	p.spread(seen)
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[string]release.VersionStatus, len(seen))
	for version, s := range seen {
		replicas, ok := p.replicas[version]
		if !ok {
			replicas = -1 // by a former greenroom: ask again
		}
		out[version] = release.VersionStatus{
			Ready: s.Ready, Replicas: replicas, Failed: s.Failed, Stopping: s.Stopping, Gone: s.Gone,
		}
	}
	p.seen = sighting{changes: changes, asked: asked, versions: out}
	return out
}

// busy reports whether requests are under way on an instance that is to end.
// None begins there afterwards: it is no longer called ready by then.
func (p *platform) busy(version, instance string) bool {
	p.fill(version)
	return p.hops.busy(version, instance)
}

// fill fills a version's pool with what is ready now.
func (p *platform) fill(version string) {
	p.filling.Lock()
	defer p.filling.Unlock()
	if s, ok := p.local.ObserveVersion(version); ok && !s.Stopping {
		p.hops.ready(version, readyInstances(s))
	}
}

// refresh fills the pools with what is ready now.
func (p *platform) refresh() {
	p.filling.Lock()
	defer p.filling.Unlock()
	p.spread(p.local.Observe())
}

// spread fills the pools with what was seen ready. Callers hold filling.
func (p *platform) spread(seen map[string]local.Status) {
	for version, s := range seen {
		if !s.Stopping {
			p.hops.ready(version, readyInstances(s))
		}
	}
}

// meshEnv returns the addresses at which a version calls others.
func (p *platform) meshEnv(version string) map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, ok := p.addresses[version]
	if !ok {
		return nil
	}
	env := a.Env("")
	maps.DeleteFunc(env, func(key, _ string) bool { return !strings.HasPrefix(key, "GREENROOM_URL_") })
	return env
}

// reapply makes what runs follow a fleet that was applied: versions may call a
// service that joined it, and the controller runs each again, which brings
// health and drain to what runs already.
func (p *platform) reapply(rec Record) {
	for _, version := range slices.Sorted(maps.Keys(p.Observe())) {
		v, known := rec.Catalog[version]
		s, declared := rec.Fleet.Service(v.Service)
		if known && declared {
			_, _ = p.listen(version, rec.Fleet.StampHeader, callees(rec.Fleet, s, v)) // told by doctor where it fails
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.replicas) // as after a restart: what each was asked for is not known
	p.asked++
}

func readyInstances(s local.Status) []forward.Instance {
	var out []forward.Instance
	for _, i := range s.Instances {
		if i.State == local.Ready {
			out = append(out, forward.Instance{ID: i.ID, Addr: i.Addr})
		}
	}
	return out
}

func service(version string) string {
	name, _, _ := strings.Cut(version, "@")
	return name
}
