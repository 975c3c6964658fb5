package pass

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Store keeps the keys, as one value that is nobody else's business.
type Store interface {
	// String says where the keys are, for people who have to look after them.
	fmt.Stringer
	// Load returns the value. Its error is fs.ErrNotExist where there is none.
	Load(ctx context.Context) ([]byte, error)
	// Create makes the first value durable, or leaves the one that somebody
	// else made meanwhile, which is no error.
	Create(ctx context.Context, value []byte) error
	// Replace makes another value durable.
	Replace(ctx context.Context, value []byte) error
}

// Keys signs and verifies passes. It is safe for concurrent use.
type Keys struct {
	issuer string
	store  Store
	edit   sync.Mutex
	ring   atomic.Pointer[ring]
	cache  cache
}

// OpenKeys opens the keys of an embedded greenroom in the file at path. A file
// that others may read, or whose content is not what was written, is refused
// and left as it is.
func OpenKeys(path string) (*Keys, error) {
	return Open(context.Background(), Issuer, keyFile(path), time.Time{})
}

// Open reads the keys that a store has, and makes one where it has none, which
// signs from a time on: zero where nobody asks for its age. issuer stands in
// every pass, so that those of others are not taken for ours.
func Open(ctx context.Context, issuer string, store Store, from time.Time) (*Keys, error) {
	k := &Keys{issuer: issuer, store: store}
	r, err := k.load(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		if err := k.create(ctx, from); err != nil {
			return nil, err
		}
		r, err = k.load(ctx)
	}
	if err != nil {
		return nil, err
	}
	k.ring.Store(r)
	return k, nil
}

func (k *Keys) load(ctx context.Context) (*ring, error) {
	b, err := k.store.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening the keys for passes: %w", err)
	}
	r, err := parseRing(k.issuer, b)
	if err != nil {
		return nil, fmt.Errorf("the keys for passes in %s are damaged (%w): put back a copy, or move them away, and new keys are made, for which passes have to be issued anew", k.store, err)
	}
	return r, nil
}

func (k *Keys) create(ctx context.Context, from time.Time) error {
	first, err := newKey(from)
	if err != nil {
		return err
	}
	r, err := newRing(k.issuer, []key{first})
	if err != nil {
		return err
	}
	b, err := r.marshal()
	if err != nil {
		return err
	}
	if err := k.store.Create(ctx, b); err != nil {
		return fmt.Errorf("writing the keys for passes: %w", err)
	}
	return nil
}

// Issuer is what the passes say of where they come from.
func (k *Keys) Issuer() string { return k.issuer }

// Reload takes in what the store has now, and reports whether that is another
// set of keys.
func (k *Keys) Reload(ctx context.Context) (changed bool, err error) {
	k.edit.Lock()
	defer k.edit.Unlock()
	r, err := k.load(ctx)
	if err != nil {
		return false, err
	}
	same := func(a, b key) bool { return a.KeyID == b.KeyID && a.from.Equal(b.from) }
	if slices.EqualFunc(r.keys, k.ring.Load().keys, same) {
		return false, nil
	}
	k.put(r)
	return true, nil
}

// Rotate makes a new key that signs from a time on, zero for at once, and keeps
// the former ones for verification, so that passes already issued stay valid.
// Who verifies elsewhere must have the new public key before that time.
func (k *Keys) Rotate(ctx context.Context, from time.Time) error {
	k.edit.Lock()
	defer k.edit.Unlock()
	next, err := newKey(from)
	if err != nil {
		return err
	}
	return k.replace(ctx, append([]key{next}, k.ring.Load().keys...))
}

// Retire forgets the keys whose last pass is over, and reports whether there
// were any.
func (k *Keys) Retire(ctx context.Context, now time.Time) (bool, error) {
	k.edit.Lock()
	defer k.edit.Unlock()
	r := k.ring.Load()
	live := r.live(now)
	if len(live) == len(r.keys) {
		return false, nil
	}
	return true, k.replace(ctx, live)
}

// Drop forgets a key, and with it every pass it signed. The newest key cannot
// be dropped: Rotate first.
func (k *Keys) Drop(ctx context.Context, id string) error {
	k.edit.Lock()
	defer k.edit.Unlock()
	keys := k.ring.Load().keys
	switch i := slices.IndexFunc(keys, func(one key) bool { return one.KeyID == id }); i {
	case -1:
		return fmt.Errorf("no key %s signs passes here", id)
	case 0:
		return fmt.Errorf("key %s signs new passes; rotate before dropping it", id)
	default:
		return k.replace(ctx, slices.Delete(slices.Clone(keys), i, i+1))
	}
}

// replace makes keys the ring, in the store first.
func (k *Keys) replace(ctx context.Context, keys []key) error {
	r, err := newRing(k.issuer, keys)
	if err != nil {
		return err
	}
	b, err := r.marshal()
	if err != nil {
		return err
	}
	if err := k.store.Replace(ctx, b); err != nil {
		return fmt.Errorf("writing the keys for passes: %w", err)
	}
	k.put(r)
	return nil
}

// put makes r the ring. The cache is emptied after the ring was swapped; Verify
// adds to it only what the present ring accepts.
func (k *Keys) put(r *ring) {
	k.ring.Store(r)
	k.cache.clear()
}

// Newest is when the newest key begins to sign, or the zero time where that was
// not noted.
func (k *Keys) Newest() time.Time { return k.ring.Load().keys[0].from }

// Public returns the public halves of all keys, newest first, as a key set
// that others can verify passes with.
func (k *Keys) Public() jose.JSONWebKeySet {
	var set jose.JSONWebKeySet
	for _, one := range k.ring.Load().keys {
		set.Keys = append(set.Keys, one.Public())
	}
	return set
}
