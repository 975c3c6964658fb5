package store

import (
	"errors"
	"time"
)

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
func NewSecret() (secret, hash string) { return "", "" }

// HashSecret returns the hash that stands for a secret.
func HashSecret(secret string) string { return "" }

// PutToken records a token, with the events that came with it. It returns
// ErrExists when the ID, the name or the hash is taken.
func (s *Store) PutToken(t Token, events ...Event) error { return errors.ErrUnsupported }

// Tokens returns all tokens, by name.
func (s *Store) Tokens() ([]Token, error) { return nil, errors.ErrUnsupported }

// TokenBySecret returns the token that a secret belongs to, and false where
// there is none.
func (s *Store) TokenBySecret(secret string) (Token, bool, error) {
	return Token{}, false, errors.ErrUnsupported
}

// RevokeToken forgets the token of that ID or name, which ends its use and
// frees its name. It returns ErrNotFound where there is none.
func (s *Store) RevokeToken(idOrName string, events ...Event) error { return errors.ErrUnsupported }

// UseTokens notes when tokens were last used, by ID, as UsePasses does.
func (s *Store) UseTokens(last map[string]time.Time) error { return errors.ErrUnsupported }
