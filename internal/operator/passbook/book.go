// Package passbook keeps the passes of a fleet in a cluster: the keys that sign
// them, in a Secret, and the list of those that were made, in a ConfigMap.
//
// It owns both objects, greenroom.FLEET.passes in the fleet's namespace, and
// when keys are rotated. The form of a pass and its signature are package
// pass's; what a pass opens is the gateway's decision, from what JWKS and
// Revoked say. Tokens are never written down. No object here is anybody's
// dependent: they outlive the Fleet, whose passes would else be worthless once
// it is made again, and go with
//
//	kubectl -n NAMESPACE delete secret,configmap greenroom.FLEET.passes
//
// Whoever deletes the Secret alone takes back every pass: new keys are made.
// Whoever deletes the ConfigMap alone is refused until the Secret is gone too
// (ErrListLost), for passes that were revoked would open again.
//
// The client must read from the API server itself, not from a cache: a cache of
// Secrets would hold, and need the right to read, all there are.
//
// Start at Open.
package passbook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/internal/pass"
)

const (
	// RotateEvery is how old the newest key gets before another one is made.
	RotateEvery = 30 * 24 * time.Hour
	// Grace is from making a key to signing with it. Until then the gateways
	// must have its public half.
	Grace = time.Minute
)

// Book is the passes of one fleet. It is safe for concurrent use; of several
// operators one writes at a time, and what another wrote is never overwritten
// unread.
type Book struct {
	fleet  types.NamespacedName
	client client.Client

	edit sync.Mutex // held by who writes

	mu      sync.RWMutex
	keys    *pass.Keys
	list    list
	changed chan struct{} // closed with the next change
}

// Issuer is what the passes of a fleet say of where they come from.
func Issuer(fleet types.NamespacedName) string {
	return pass.Issuer + "/" + fleet.Namespace + "/" + fleet.Name
}

// Open reads a fleet's keys and list, and makes what is missing. Its error
// wraps ErrListLost where only the list is.
func Open(ctx context.Context, c client.Client, fleet types.NamespacedName, now time.Time) (*Book, error) {
	b := &Book{fleet: fleet, client: c, changed: make(chan struct{})}
	l, err := b.readList(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		// The list is made before the keys, so keys without one have lost it.
		if _, err := b.secret().Load(ctx); err == nil {
			return nil, b.listLost()
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		l, err = b.createList(ctx)
	}
	if err != nil {
		return nil, err
	}
	keys, err := pass.Open(ctx, Issuer(fleet), b.secret(), now)
	if err != nil {
		return nil, err
	}
	b.keys, b.list = keys, l
	return b, nil
}

// Changed returns a channel that is closed when JWKS, or what is revoked,
// becomes another after this call.
func (b *Book) Changed() <-chan struct{} {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.changed
}

// tell closes the present Changed. The caller holds mu.
func (b *Book) tell() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// Issuer is what the passes say of where they come from.
func (b *Book) Issuer() string { return Issuer(b.fleet) }

// JWKS is the set of public keys that passes are verified with, as JSON. A key
// is in it for Grace before it signs, and until the last pass it signed is over.
func (b *Book) JWKS() string {
	text, err := json.Marshal(b.signing().Public())
	if err != nil {
		panic("passbook: public keys cannot be written: " + err.Error()) // they were read from JSON
	}
	return string(text)
}

func (b *Book) signing() *pass.Keys {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.keys
}

// Sync takes in what was changed from elsewhere, makes a new key when the
// newest is RotateEvery old, and forgets keys and passes that are long over.
// Call it every minute or so. Its error wraps ErrListLost where the list is
// gone; what was known before stays in force then.
func (b *Book) Sync(ctx context.Context, now time.Time) error {
	if err := b.syncKeys(ctx, now, false); err != nil {
		return err
	}
	return b.syncList(ctx, now)
}

// Rotate makes a new key, whatever the age of the newest. It signs after Grace;
// passes signed by the former ones stay valid.
func (b *Book) Rotate(ctx context.Context, now time.Time) error { return b.syncKeys(ctx, now, true) }

// attempts is how often a write is tried that others were faster with: more often
// than there are others, each of whom is faster once.
const attempts = 20

func (b *Book) syncKeys(ctx context.Context, now time.Time, rotate bool) error {
	b.edit.Lock()
	defer b.edit.Unlock()
	before := b.JWKS()
	var err error
	for range attempts {
		if err = b.tendKeys(ctx, now, rotate); !errors.Is(err, errConflict) {
			break
		}
	}
	if b.JWKS() != before {
		b.mu.Lock()
		b.tell()
		b.mu.Unlock()
	}
	return err
}

// tendKeys reads the keys, and makes and forgets some where it is time.
func (b *Book) tendKeys(ctx context.Context, now time.Time, rotate bool) error {
	keys := b.signing()
	_, err := keys.Reload(ctx)
	if errors.Is(err, fs.ErrNotExist) { // somebody took back every pass
		if keys, err = pass.Open(ctx, Issuer(b.fleet), b.secret(), now); err != nil {
			return err
		}
		b.mu.Lock()
		b.keys = keys
		b.mu.Unlock()
	}
	if err != nil {
		return err
	}
	if rotate || now.Sub(keys.Newest()) >= RotateEvery {
		if err := keys.Rotate(ctx, now.Add(Grace)); err != nil {
			return err
		}
	}
	_, err = keys.Retire(ctx, now)
	return err
}

// Verify returns what a token says. Its errors are those of the pass package,
// and ErrRevoked, with the claims.
func (b *Book) Verify(token string, now time.Time) (pass.Claims, error) {
	claims, err := b.signing().Verify(token, now)
	if err != nil {
		return claims, err
	}
	if slices.Contains(b.Revoked(now), claims.ID) {
		return claims, ErrRevoked
	}
	return claims, nil
}

// Sign makes a token that stands in no list and cannot be revoked: for
// greenroom's own hooks, with a life as short as theirs.
func (b *Book) Sign(c pass.Claims) (string, error) {
	token, err := b.signing().Mint(c)
	if err != nil {
		return "", fmt.Errorf("fleet %s: %w", b.fleet, err)
	}
	return token, nil
}
