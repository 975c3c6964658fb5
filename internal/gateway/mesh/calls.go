package mesh

import (
	"cmp"
	"slices"
)

// Calls is how often a version has called a service.
type Calls struct {
	Caller string // version ID
	Callee string // service
	Count  uint64 // since its listener was opened, whatever became of the calls
}

// Calls returns who called whom, of the versions that listen, sorted by caller
// and callee. Pairs without a call are left out.
func (m *Mesh) Calls() []Calls {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Calls
	for id, v := range m.versions {
		v.mu.RLock()
		for _, to := range v.callees {
			if n := to.calls.Load(); n > 0 {
				out = append(out, Calls{Caller: id, Callee: to.name, Count: n})
			}
		}
		v.mu.RUnlock()
	}
	slices.SortFunc(out, func(a, b Calls) int {
		return cmp.Or(cmp.Compare(a.Caller, b.Caller), cmp.Compare(a.Callee, b.Callee))
	})
	return out
}
