package pass

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/go-jose/go-jose/v4"
)

// keyIDLen is how much of a key's thumbprint names it. It stands in every
// token, and what is longer makes a QR code coarser.
const keyIDLen = 8

// Keys signs and verifies passes. It is safe for concurrent use.
type Keys struct {
	path   string
	rotate sync.Mutex
	ring   atomic.Pointer[ring]
	cache  cache
}

// ring is a set of keys that never changes.
type ring struct {
	keys   []jose.JSONWebKey // private, newest first; the first one signs
	signer jose.Signer
	public map[string]ed25519.PublicKey
}

// OpenKeys reads the keys kept in the file at path and makes the file, with
// one key in it, where there is none. A file that others may read, or whose
// content is not what was written, is refused and left as it is.
func OpenKeys(path string) (*Keys, error) {
	r, err := readRing(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createRing(path); err != nil {
			return nil, err
		}
		r, err = readRing(path)
	}
	if err != nil {
		return nil, err
	}
	k := &Keys{path: path}
	k.ring.Store(r)
	return k, nil
}

// Rotate makes a new signing key and keeps the former ones for verification,
// so that passes already issued stay valid.
func (k *Keys) Rotate() error {
	k.rotate.Lock()
	defer k.rotate.Unlock()
	key, err := newKey()
	if err != nil {
		return err
	}
	return k.replace(append([]jose.JSONWebKey{key}, k.ring.Load().keys...))
}

// Drop forgets a key, and with it every pass it signed. The signing key cannot
// be dropped: Rotate first.
func (k *Keys) Drop(id string) error {
	k.rotate.Lock()
	defer k.rotate.Unlock()
	keys := k.ring.Load().keys
	switch i := slices.IndexFunc(keys, func(key jose.JSONWebKey) bool { return key.KeyID == id }); i {
	case -1:
		return fmt.Errorf("no key %s signs passes here", id)
	case 0:
		return fmt.Errorf("key %s signs new passes; rotate before dropping it", id)
	default:
		return k.replace(slices.Delete(slices.Clone(keys), i, i+1))
	}
}

// replace makes keys the ring, on disk first. The cache is emptied after the
// ring was swapped; Verify adds to it only what the present ring accepts.
func (k *Keys) replace(keys []jose.JSONWebKey) error {
	r, err := newRing(keys)
	if err != nil {
		return err
	}
	if err := replaceRing(k.path, r); err != nil {
		return err
	}
	k.ring.Store(r)
	k.cache.clear()
	return nil
}

// Public returns the public halves of all keys, newest first, as a key set
// that others can verify passes with.
func (k *Keys) Public() jose.JSONWebKeySet {
	var set jose.JSONWebKeySet
	for _, key := range k.ring.Load().keys {
		set.Keys = append(set.Keys, key.Public())
	}
	return set
}

func newKey() (jose.JSONWebKey, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return jose.JSONWebKey{}, fmt.Errorf("making a key for passes: %w", err)
	}
	id, err := keyID(private)
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	return jose.JSONWebKey{Key: private, KeyID: id, Algorithm: string(jose.EdDSA), Use: "sig"}, nil
}

// keyID is the beginning of the key's RFC 7638 thumbprint.
func keyID(private ed25519.PrivateKey) (string, error) {
	print, err := (&jose.JSONWebKey{Key: private}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("naming a key for passes: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(print)[:keyIDLen], nil
}

// newRing checks every key: a half that does not fit the other, or a name that
// does not fit the key, is damage.
func newRing(keys []jose.JSONWebKey) (*ring, error) {
	if len(keys) == 0 {
		return nil, errors.New("no key in it")
	}
	r := &ring{keys: keys, public: make(map[string]ed25519.PublicKey, len(keys))}
	for i, key := range keys {
		private, ok := key.Key.(ed25519.PrivateKey)
		if !ok {
			return nil, fmt.Errorf("key %d is not an Ed25519 private key", i+1)
		}
		whole := ed25519.NewKeyFromSeed(private.Seed())
		if id, err := keyID(whole); err != nil || id != key.KeyID || !whole.Equal(private) {
			return nil, fmt.Errorf("the parts of key %d do not fit together", i+1)
		}
		r.public[key.KeyID] = whole.Public().(ed25519.PublicKey)
	}
	if len(r.public) != len(keys) {
		return nil, errors.New("a key stands in it twice")
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: keys[0]}, nil)
	if err != nil {
		return nil, fmt.Errorf("preparing to sign passes: %w", err)
	}
	r.signer = signer
	return r, nil
}

func parseRing(b []byte) (*ring, error) {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(b, &set); err != nil {
		return nil, err
	}
	return newRing(set.Keys)
}

func (r *ring) marshal() ([]byte, error) {
	b, err := json.MarshalIndent(jose.JSONWebKeySet{Keys: r.keys}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing down the keys for passes: %w", err)
	}
	return append(b, '\n'), nil
}
