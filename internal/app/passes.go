package app

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/greenroom-dev/greenroom/internal/pass"
	"github.com/greenroom-dev/greenroom/internal/store"
)

// lastUseEvery is how often the last uses of passes are written down.
const lastUseEvery = 30 * time.Second

// passes verifies passes at the edge and remembers when each was used last.
type passes struct {
	keys  *pass.Keys
	store *store.Store
	now   func() time.Time

	mu   sync.Mutex
	used map[string]time.Time // by pass ID, since the last flush
}

func newPasses(keys *pass.Keys, s *store.Store, now func() time.Time) *passes {
	return &passes{keys: keys, store: s, now: now, used: map[string]time.Time{}}
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

// flush writes the last uses down. Losing some to a crash does no harm.
func (p *passes) flush() {
	p.mu.Lock()
	used := p.used
	p.used = map[string]time.Time{}
	p.mu.Unlock()
	if len(used) > 0 {
		_ = p.store.UsePasses(used)
	}
}

// revoked returns the IDs of revoked passes that have not expired.
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
	return ids, errors.Join(a.store.PrunePasses(a.now().Add(-longestPass)))
}
