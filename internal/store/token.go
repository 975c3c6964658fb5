package store

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// SecretPrefix begins every secret, so that scanners find one that was
// published by mistake.
const SecretPrefix = "grt_"

// Token is what is kept of a token for the API; never its secret.
type Token struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"` // unique; stands as "who" in events
	Role    string    `json:"role"`
	Hash    string    `json:"hash"` // from NewSecret or HashSecret
	Created time.Time `json:"created"`
	By      string    `json:"by"`               // who made it
	LastUse time.Time `json:"lastUse,omitzero"` // coarse; zero: never
}

// NewSecret makes a secret of 256 random bits and the hash that stands for it
// in the store.
func NewSecret() (secret, hash string) {
	var b [32]byte
	rand.Read(b[:]) // never fails
	secret = SecretPrefix + base64.RawURLEncoding.EncodeToString(b[:])
	return secret, HashSecret(secret)
}

// HashSecret returns the hash that stands for a secret: SHA-256 in hex, which
// is enough for 256 random bits.
func HashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// PutToken records a token, with the events that came with it. It returns
// ErrExists when the ID, the name or the hash is taken.
func (s *Store) PutToken(t Token, events ...Event) error {
	err := s.update(events, func(tx *bbolt.Tx) error {
		taken := func(other Token) bool { return other.ID == t.ID || other.Name == t.Name || other.Hash == t.Hash }
		_, err := findToken(tx, taken)
		switch {
		case err == nil:
			return ErrExists
		case !errors.Is(err, ErrNotFound):
			return err
		}
		return putJSON(tx.Bucket([]byte(bucketTokens)), t.Hash, t)
	})
	if err != nil {
		return fmt.Errorf("recording token %q: %w", t.Name, err)
	}
	return nil
}

// Tokens returns all tokens, by name.
func (s *Store) Tokens() ([]Token, error) {
	tokens, err := all[Token](s, bucketTokens)
	if err != nil {
		return nil, fmt.Errorf("reading the tokens: %w", err)
	}
	slices.SortFunc(tokens, func(a, b Token) int { return cmp.Compare(a.Name, b.Name) })
	return tokens, nil
}

// TokenBySecret returns the token that a secret belongs to, and false where
// there is none.
func (s *Store) TokenBySecret(secret string) (t Token, ok bool, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		return getJSON(tx.Bucket([]byte(bucketTokens)), []byte(HashSecret(secret)), &t)
	})
	switch {
	case err == nil:
		return t, true, nil
	case errors.Is(err, ErrNotFound):
		return Token{}, false, nil
	}
	return Token{}, false, fmt.Errorf("looking for a token: %w", err)
}

// RevokeToken forgets the token of that ID or name, which ends its use and
// frees its name. It returns ErrNotFound where there is none.
func (s *Store) RevokeToken(idOrName string, events ...Event) error {
	err := s.update(events, func(tx *bbolt.Tx) error {
		t, err := findToken(tx, func(t Token) bool { return t.ID == idOrName || t.Name == idOrName })
		if err != nil {
			return err
		}
		return tx.Bucket([]byte(bucketTokens)).Delete([]byte(t.Hash))
	})
	if err != nil {
		return fmt.Errorf("revoking token %q: %w", idOrName, err)
	}
	return nil
}

// UseTokens notes when tokens were last used, by ID, as UsePasses does.
func (s *Store) UseTokens(last map[string]time.Time) error {
	err := s.update(nil, func(tx *bbolt.Tx) error {
		noted := errUnchanged
		for id, at := range last {
			t, err := findToken(tx, func(t Token) bool { return t.ID == id && at.After(t.LastUse) })
			if errors.Is(err, ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			t.LastUse = at
			if err := putJSON(tx.Bucket([]byte(bucketTokens)), t.Hash, t); err != nil {
				return err
			}
			noted = nil
		}
		return noted
	})
	if err != nil {
		return fmt.Errorf("noting the use of tokens: %w", err)
	}
	return nil
}

// findToken returns the first token that fits, or ErrNotFound.
func findToken(tx *bbolt.Tx, fits func(Token) bool) (Token, error) {
	b := tx.Bucket([]byte(bucketTokens))
	c := b.Cursor()
	for key, _ := c.First(); key != nil; key, _ = c.Next() {
		var t Token
		if err := getJSON(b, key, &t); err != nil {
			return Token{}, err
		}
		if fits(t) {
			return t, nil
		}
	}
	return Token{}, ErrNotFound
}
