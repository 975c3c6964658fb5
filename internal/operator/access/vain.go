package access

import (
	"sync"
	"time"
)

// How many tokens that nobody has the API server is asked about: so many at
// once, and one more every vainRefill. They come from strangers, whom nothing
// else holds back; people whose token is known are not held back by them.
const (
	vainBurst  = 200
	vainRefill = 50 * time.Millisecond
)

// vain counts what the API server was asked in vain. It is safe for concurrent
// use.
type vain struct {
	now  func() time.Time
	mu   sync.Mutex
	used float64
	at   time.Time
}

func (v *vain) leak() {
	now := v.now()
	v.used = max(0, v.used-float64(now.Sub(v.at))/float64(vainRefill))
	v.at = now
}

// may reports whether the API server is to be asked.
func (v *vain) may() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.leak()
	return v.used <= vainBurst-1
}

func (v *vain) count() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.leak()
	v.used++
}
