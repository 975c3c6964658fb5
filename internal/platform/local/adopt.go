package local

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// adopt loads every version and instance that a former platform recorded, and
// watches over those that live. A folder that cannot be understood is left as it
// is and reported.
func (p *Platform) adopt() error {
	entries, err := os.ReadDir(p.versionsDir())
	if err != nil {
		return fmt.Errorf("look for running services: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range entries {
		dir := filepath.Join(p.versionsDir(), e.Name())
		var rec versionRecord
		ok, err := readRecord(dir, versionFile, &rec)
		if !ok || err != nil || rec.Version.Run == nil {
			p.log.Error("folder holds no version; left alone", "folder", dir, "error", err)
			continue
		}
		v := &version{
			id: rec.Version.ID(), dir: dir, readyOnce: rec.ReadyOnce, stopped: rec.Stopped,
			spec: Spec{Version: rec.Version, Service: rec.Service},
		}
		p.versions[v.id] = v
		p.adoptInstances(v)
	}
	return nil
}

func (p *Platform) adoptInstances(v *version) {
	entries, _ := os.ReadDir(v.dir)
	records := make(map[*instance]startRecord)
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		dir := filepath.Join(v.dir, e.Name())
		var rec startRecord
		ok, err := readRecord(dir, recordFile, &rec)
		if err != nil {
			p.log.Error("folder holds no instance; left alone", "folder", dir, "error", err)
		}
		if !ok {
			continue // its first start was never decided
		}
		i := &instance{
			id: rec.ID, dir: dir, slot: rec.Slot, wake: make(chan struct{}, 1), state: Exited,
			port: rec.Port, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(rec.Port)),
			start: rec.Start, restarts: rec.Restarts, begun: rec.At, startedAt: rec.At,
		}
		v.instances = append(v.instances, i)
		records[i] = rec
	}
	slices.SortFunc(v.instances, func(a, b *instance) int { return cmp.Compare(a.slot, b.slot) })
	for _, i := range v.instances {
		p.adoptInstance(v, i, records[i])
	}
}

// adoptInstance watches over the instance if it lives, or takes note of how it
// ended. What is between the two, a shim just starting or a service whose shim
// was killed, is left to the instance's own goroutine.
func (p *Platform) adoptInstance(v *version, i *instance, rec startRecord) {
	p.ports[i.port] = i.id
	l := &life{start: rec.Start}
	known := l.tryAttach(i.dir)
	if known && l.shim == nil {
		if exit, ok := readEnded(i.dir, rec.Start); ok {
			i.lastExit = &exit
			_, ordered := readStop(i.dir, rec.Start)
			i.stopping = ordered || v.stopped // it ended as it was told: that it runs again is no restart
			return
		}
	}
	i.adopted = true
	p.launch(v, i, l)
	if v.readyOnce && l.shim != nil {
		// It most likely still is ready, and is asked at once; one failure will do to
		// the contrary.
		i.state, i.readySince = Ready, l.running.At
		i.checks = v.spec.Service.Health.Failures - 1
	}
	if order, ok := readStop(i.dir, rec.Start); ok && !i.stopping {
		p.stopInstance(i, order.Drain, 0)
	}
	if v.stopped {
		p.stopInstance(i, v.spec.Service.Drain, 0)
	}
	if l.shim != nil {
		p.log.Info("adopted instance", "version", v.id, "instance", i.id, "pid", i.pid)
	}
}
