package access

import (
	"sync"
	"time"
)

// The bounds of what is remembered.
const (
	believed   = 10 * time.Second // how long an answer of the API server
	maxAnswers = 1000             // of each kind
	maxGrants  = 5000             // a page asks some twenty
)

// answers remembers answers for a short while, so that screens that are
// watched do not ask the API server each second. It is safe for concurrent use.
type answers[K comparable, V any] struct {
	mu   sync.Mutex
	now  func() time.Time
	most int
	kept map[K]answer[V]
}

type answer[V any] struct {
	value V
	until time.Time
}

func newAnswers[K comparable, V any](now func() time.Time, most int) *answers[K, V] {
	return &answers[K, V]{now: now, most: most, kept: map[K]answer[V]{}}
}

func (a *answers[K, V]) get(key K) (V, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	found, ok := a.kept[key]
	if !ok || !a.now().Before(found.until) {
		var none V
		return none, false
	}
	return found.value, true
}

func (a *answers[K, V]) keep(key K, value V) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if len(a.kept) >= a.most {
		for k, old := range a.kept {
			if !now.Before(old.until) {
				delete(a.kept, k)
			}
		}
	}
	for k := range a.kept { // any of them: it costs one question more
		if len(a.kept) < a.most {
			break
		}
		delete(a.kept, k)
	}
	a.kept[key] = answer[V]{value, now.Add(believed)}
}
