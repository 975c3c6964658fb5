package login

import (
	"sync"
	"time"
)

// maxSessions bounds what Memory keeps; the one that ends first makes room.
const maxSessions = 10_000

// Memory keeps sessions for as long as the program runs.
type Memory struct {
	now func() time.Time
	mu  sync.Mutex
	all map[string]kept
}

type kept struct {
	ends   time.Time
	sealed []byte
}

// NewMemory returns an empty Memory.
func NewMemory(now func() time.Time) *Memory { return &Memory{now: now, all: map[string]kept{}} }

// PutSession keeps a session.
func (m *Memory) PutSession(id string, ends time.Time, sealed []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.all) >= maxSessions {
		m.makeRoom()
	}
	m.all[id] = kept{ends, sealed}
	return nil
}

func (m *Memory) makeRoom() {
	var first string
	for id, k := range m.all {
		if !m.now().Before(k.ends) {
			delete(m.all, id)
		} else if first == "" || k.ends.Before(m.all[first].ends) {
			first = id
		}
	}
	if len(m.all) >= maxSessions {
		delete(m.all, first)
	}
}

// Session returns a session.
func (m *Memory) Session(id string) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.all[id]
	return k.sealed, ok, nil
}

// DropSession forgets a session.
func (m *Memory) DropSession(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, id)
	return nil
}
