package pass

import "sync"

// generation is how many tokens half of the cache holds. Twice as many, of at
// most MaxToken bytes each, is the most that it takes.
const generation = 1024

// cache remembers tokens whose signature was found right, in two generations:
// when the young one is full, the old one is forgotten and the young takes its
// place. So what is in use stays, at no cost per read. Nothing enters it
// without a right signature, so strangers cannot flush it.
type cache struct {
	mu         sync.RWMutex
	young, old map[string]Claims
}

func (c *cache) get(token string) (Claims, bool) {
	c.mu.RLock()
	claims, ok := c.young[token]
	if ok {
		c.mu.RUnlock()
		return claims, true
	}
	claims, ok = c.old[token]
	c.mu.RUnlock()
	if ok {
		c.put(token, claims, func() bool {
			_, still := c.old[token] // else cleared in between
			return still
		})
	}
	return claims, ok
}

// put adds a token if valid, asked under the lock, says that the reason to
// believe it still holds.
func (c *cache) put(token string, claims Claims, valid func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !valid() {
		return
	}
	if c.young == nil || len(c.young) >= generation {
		c.young, c.old = make(map[string]Claims, generation), c.young
	}
	c.young[token] = claims
}

func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.young, c.old = nil, nil
}
