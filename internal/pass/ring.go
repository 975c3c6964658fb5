package pass

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// keyIDLen is how much of a key's thumbprint names it. It stands in every
// token, and what is longer makes a QR code coarser.
const keyIDLen = 8

// ring is a set of keys that never changes.
type ring struct {
	issuer string
	keys   []key // newest first
	public map[string]ed25519.PublicKey
}

// key is a signing key.
type key struct {
	jose.JSONWebKey           // private
	from            time.Time // when it begins to sign; zero: always did
	signer          jose.Signer
}

// ringFile is a ring's form at rest: a JSON Web Key Set (RFC 7517), and beside
// it from when on each key signs, where that is known.
type ringFile struct {
	Keys []jose.JSONWebKey    `json:"keys"`
	From map[string]time.Time `json:"from,omitempty"` // by key ID
}

func newKey(from time.Time) (key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return key{}, fmt.Errorf("making a key for passes: %w", err)
	}
	id, err := keyID(private)
	if err != nil {
		return key{}, err
	}
	return key{
		JSONWebKey: jose.JSONWebKey{Key: private, KeyID: id, Algorithm: string(jose.EdDSA), Use: "sig"},
		from:       from.Truncate(time.Second).UTC(),
	}, nil
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
func newRing(issuer string, keys []key) (*ring, error) {
	if len(keys) == 0 {
		return nil, errors.New("no key in it")
	}
	r := &ring{issuer: issuer, keys: slices.Clone(keys), public: make(map[string]ed25519.PublicKey, len(keys))}
	for i, one := range keys {
		private, ok := one.Key.(ed25519.PrivateKey)
		if !ok {
			return nil, fmt.Errorf("key %d is not an Ed25519 private key", i+1)
		}
		whole := ed25519.NewKeyFromSeed(private.Seed())
		if id, err := keyID(whole); err != nil || id != one.KeyID || !whole.Equal(private) {
			return nil, fmt.Errorf("the parts of key %d do not fit together", i+1)
		}
		r.public[one.KeyID] = whole.Public().(ed25519.PublicKey)
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: one.JSONWebKey}, nil)
		if err != nil {
			return nil, fmt.Errorf("preparing to sign passes: %w", err)
		}
		r.keys[i].signer = signer
	}
	if len(r.public) != len(keys) {
		return nil, errors.New("a key stands in it twice")
	}
	return r, nil
}

func parseRing(issuer string, b []byte) (*ring, error) {
	var file ringFile
	if err := json.Unmarshal(b, &file); err != nil {
		return nil, err
	}
	keys := make([]key, 0, len(file.Keys))
	for _, one := range file.Keys {
		keys = append(keys, key{JSONWebKey: one, from: file.From[one.KeyID]})
	}
	return newRing(issuer, keys)
}

func (r *ring) marshal() ([]byte, error) {
	var file ringFile
	for _, one := range r.keys {
		file.Keys = append(file.Keys, one.JSONWebKey)
		if !one.from.IsZero() {
			if file.From == nil {
				file.From = map[string]time.Time{}
			}
			file.From[one.KeyID] = one.from
		}
	}
	b, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing down the keys for passes: %w", err)
	}
	return append(b, '\n'), nil
}

// signs is the place of the key that signs at a time: the newest that has
// begun, or the oldest where none has.
func (r *ring) signs(at time.Time) int {
	i := slices.IndexFunc(r.keys, func(one key) bool { return !one.from.After(at) })
	if i < 0 {
		return len(r.keys) - 1
	}
	return i
}

// live returns the keys that a pass may still be signed by: a key was followed
// by the next newer one, and what it signed before is over after Longest. Where
// the beginning of the next is not known, the key stays.
func (r *ring) live(now time.Time) []key {
	for i, one := range r.keys {
		if !one.from.IsZero() && now.After(one.from.Add(Longest+Leeway)) {
			return r.keys[:i+1]
		}
	}
	return r.keys
}
