package signon

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
)

// PendingLife is how long somebody may take at the provider.
const PendingLife = 10 * time.Minute

// pending is a login under way. The browser keeps it, sealed, in a cookie: what
// nobody finishes costs greenroom nothing.
type pending struct {
	State    string    `json:"state"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"` // of PKCE
	Issuer   string    `json:"issuer"`
	ClientID string    `json:"client"`
	Redirect string    `json:"redirect"`
	To       string    `json:"to"`
	Ends     time.Time `json:"ends"`
}

// sealer seals logins under way with a key of its own. Those that a restart
// finds are begun again.
type sealer struct{ aead cipher.AEAD }

func newSealer() (sealer, error) {
	var key [32]byte
	rand.Read(key[:]) // never fails
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return sealer{}, fmt.Errorf("make a key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return sealer{}, fmt.Errorf("make a key: %w", err)
	}
	return sealer{aead}, nil
}

func (s sealer) seal(p pending) (string, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("encode a login: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, data, nil)), nil
}

// open returns what seal was given; false for what it did not make.
func (s sealer) open(text string) (pending, bool) {
	var p pending
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return p, false
	}
	data, err := s.aead.Open(nil, nil, sealed, nil)
	return p, err == nil && json.Unmarshal(data, &p) == nil
}
