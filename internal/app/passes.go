package app

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/greenroom-dev/greenroom/internal/pass"
	"github.com/greenroom-dev/greenroom/internal/store"
)

// lastUseEvery is how often the last uses of passes and tokens are written down.
const lastUseEvery = 30 * time.Second

// passes verifies passes at the edge, and remembers when each, and each API
// token, was used last.
type passes struct {
	keys  *pass.Keys
	store *store.Store
	log   *slog.Logger
	now   func() time.Time

	flushing sync.Mutex // held by flush
	failing  bool       // the last flush failed; guarded by flushing

	mu     sync.Mutex
	used   map[string]time.Time // by pass ID, since the last flush
	tokens map[string]time.Time // by token ID, since the last flush
	calls  map[string]calls     // by callback ID, of those without a count, since the last flush

	spent func() // told when a callback has taken its last call
}

// calls are calls of a callback address.
type calls struct {
	n    int
	last time.Time
}

func newPasses(keys *pass.Keys, s *store.Store, log *slog.Logger, now func() time.Time) *passes {
	return &passes{keys: keys, store: s, log: log, now: now, used: map[string]time.Time{}, tokens: map[string]time.Time{}, calls: map[string]calls{}}
}

// usedToken notes that an API token was used.
func (p *passes) usedToken(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens[id] = p.now()
}

// Verify checks a token; its errors are those of the pass package.
func (p *passes) Verify(token string, now time.Time) (pass.Claims, error) {
	claims, err := p.keys.Verify(token, now)
	if err != nil {
		return claims, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used[claims.ID] = now
	return claims, nil
}

// UseCallback notes a call of a callback address. With a count, it is written
// down before the call is sent on: a crash may lose the call, and never gives one
// more. Without, it is written down with the last uses of passes.
func (p *passes) UseCallback(id string, count int, now time.Time) (bool, error) {
	if count > 0 {
		used, took, err := p.store.UseCallback(id, 1, now)
		if err == nil && used >= count {
			p.spent()
		}
		return took, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls[id] = calls{n: p.calls[id].n + 1, last: now}
	return true, nil
}

// flush writes the last uses down. What can not be written is kept for the next
// time; losing it to a crash does no harm.
func (p *passes) flush() {
	p.flushing.Lock()
	defer p.flushing.Unlock()
	p.mu.Lock()
	used, tokens, called := p.used, p.tokens, p.calls
	p.used, p.tokens, p.calls = map[string]time.Time{}, map[string]time.Time{}, map[string]calls{}
	p.mu.Unlock()
	var errs []error
	if len(used) > 0 {
		if err := p.store.UsePasses(used); err != nil {
			p.again(p.used, used)
			errs = append(errs, err)
		}
	}
	if len(tokens) > 0 {
		if err := p.store.UseTokens(tokens); err != nil {
			p.again(p.tokens, tokens)
			errs = append(errs, err)
		}
	}
	for id, c := range called {
		if _, _, err := p.store.UseCallback(id, c.n, c.last); err != nil && !errors.Is(err, store.ErrNotFound) {
			p.callAgain(id, c)
			errs = append(errs, err)
		}
	}
	if len(used)+len(tokens)+len(called) > 0 {
		p.tell(errors.Join(errs...))
	}
}

// again takes back last uses that were not written, into a map of p's.
func (p *passes) again(into, uses map[string]time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, at := range uses {
		if at.After(into[id]) {
			into[id] = at
		}
	}
}

// callAgain takes back calls that were not written.
func (p *passes) callAgain(id string, c calls) {
	p.mu.Lock()
	defer p.mu.Unlock()
	later := p.calls[id]
	if c.last.After(later.last) {
		later.last = c.last
	}
	p.calls[id] = calls{n: later.n + c.n, last: later.last}
}

// tell logs that uses can not be written, once until they can be.
func (p *passes) tell(err error) {
	if err != nil && !p.failing {
		p.log.Warn("the last uses of passes, tokens and callbacks can not be written down; it is tried again", "error", err)
	}
	p.failing = err != nil
}

// revoked returns the IDs of revoked passes that have not expired, and forgets
// those that expired long ago.
func (a *App) revoked() ([]string, error) {
	all, err := a.store.Passes()
	if err != nil {
		return nil, fmt.Errorf("read the passes: %w", err)
	}
	var ids []string
	for _, p := range all {
		if !p.Revoked.IsZero() && a.now().Before(p.Expires) {
			ids = append(ids, p.ID)
		}
	}
	return ids, a.prunePasses()
}

// prunePasses forgets the passes that expired long ago. It is called where one
// is added, so that they do not pile up.
func (a *App) prunePasses() error { return a.store.PrunePasses(a.now().Add(-pass.Longest)) }
