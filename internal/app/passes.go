package app

import (
	"fmt"
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
	now   func() time.Time

	mu     sync.Mutex
	used   map[string]time.Time // by pass ID, since the last flush
	tokens map[string]time.Time // by token ID, since the last flush
}

func newPasses(keys *pass.Keys, s *store.Store, now func() time.Time) *passes {
	return &passes{keys: keys, store: s, now: now, used: map[string]time.Time{}, tokens: map[string]time.Time{}}
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

// flush writes the last uses down. Losing some to a crash does no harm.
func (p *passes) flush() {
	p.mu.Lock()
	used, tokens := p.used, p.tokens
	p.used, p.tokens = map[string]time.Time{}, map[string]time.Time{}
	p.mu.Unlock()
	if len(used) > 0 {
		_ = p.store.UsePasses(used)
	}
	if len(tokens) > 0 {
		_ = p.store.UseTokens(tokens)
	}
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
	return ids, a.store.PrunePasses(a.now().Add(-longestPass))
}
