package app

import (
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/greenroom-dev/greenroom/internal/login"
	"github.com/greenroom-dev/greenroom/internal/store"
)

// sessions are kept in the store, so that a restart of greenroom ends none.
// Where the store can not be written, on a full disk say, people can still log
// in and out: what is new is then true for as long as greenroom runs.
type sessions struct {
	store  *store.Store
	memory *login.Memory // those that could not be stored
	log    *slog.Logger
	now    func() time.Time

	mu    sync.Mutex
	ended map[string]bool // by ID: those stored whose end could not be
}

func newSessions(s *store.Store, log *slog.Logger, now func() time.Time) *sessions {
	return &sessions{store: s, memory: login.NewMemory(now), log: log, now: now, ended: map[string]bool{}}
}

// PutSession keeps a session, and never fails.
func (s *sessions) PutSession(id string, ends time.Time, sealed []byte) error {
	err := s.store.PutSession(id, ends, s.now(), sealed)
	if err == nil {
		return nil
	}
	s.log.Warn("a login can not be kept on disk; it ends when greenroom does", "error", err)
	return s.memory.PutSession(id, ends, sealed)
}

// Session returns a session.
func (s *sessions) Session(id string) ([]byte, bool, error) {
	if s.hasEnded(id) {
		return nil, false, nil
	}
	if sealed, ok, _ := s.memory.Session(id); ok { // memory does not fail
		return sealed, true, nil
	}
	return s.store.Session(id)
}

// DropSession forgets a session, and never fails: one that the store still has
// is over all the same, and forgetEnded has it taken out.
func (s *sessions) DropSession(id string) error {
	_ = s.memory.DropSession(id) // memory does not fail
	if err := s.store.DropSession(id); err != nil {
		s.log.Warn("the end of a login can not be written down; it is tried again, and a restart before would undo it", "error", err)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ended[id] = true // at most as many as are stored: dropping what is not there writes nothing
	}
	return nil
}

func (s *sessions) hasEnded(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended[id]
}

// forgetEnded tries again to take out of the store what has ended.
func (s *sessions) forgetEnded() {
	s.mu.Lock()
	ended := slices.Collect(maps.Keys(s.ended))
	s.mu.Unlock()
	for _, id := range ended {
		if s.store.DropSession(id) != nil {
			return
		}
		s.mu.Lock()
		delete(s.ended, id)
		s.mu.Unlock()
	}
}
