package pass

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// payload is the form of Claims in a token.
type payload struct {
	Issuer   string           `json:"iss"`
	Audience jwt.Audience     `json:"aud"`
	ID       string           `json:"jti"`
	Subject  string           `json:"sub"`
	Live     string           `json:"greenroom_live,omitempty"` // liveClaim, or empty
	Release  string           `json:"greenroom_release,omitempty"`
	UID      string           `json:"greenroom_uid,omitempty"`
	IssuedAt *jwt.NumericDate `json:"iat"`
	Expires  *jwt.NumericDate `json:"exp"`
	Paths    []string         `json:"greenroom_paths,omitempty"`
}

// liveClaim is a text, since gateways compare claims as texts.
const liveClaim = "true"

// opens reports whether a pass opens one thing: a release, or what serves.
func opens(live bool, release, uid string) bool {
	if live {
		return release == "" && uid == ""
	}
	return release != "" && uid != ""
}

// Mint returns the signed token that says c. Parts of a second are dropped. It
// fails when a claim is missing, when the pass would be over before it began,
// and when the token would exceed MaxToken. It is signed by the key whose turn
// it is at the issue.
func (k *Keys) Mint(c Claims) (string, error) {
	if c.ID == "" || !opens(c.Live, c.Release, c.UID) || c.Subject == "" {
		return "", errors.New("a pass needs an ID, a subject, and a release with its UID, unless it is for what serves")
	}
	live := ""
	if c.Live {
		live = liveClaim
	}
	if c.IssuedAt.IsZero() || c.ExpiresAt.Unix() <= c.IssuedAt.Unix() {
		return "", errors.New("a pass must end at least a second after its issue")
	}
	r := k.ring.Load()
	token, err := jwt.Signed(r.keys[r.signs(c.IssuedAt)].signer).Claims(payload{
		Issuer:   r.issuer,
		Audience: jwt.Audience{Audience},
		ID:       c.ID,
		Subject:  c.Subject,
		Live:     live,
		Release:  c.Release,
		UID:      c.UID,
		IssuedAt: jwt.NewNumericDate(c.IssuedAt),
		Expires:  jwt.NewNumericDate(c.ExpiresAt),
		Paths:    c.Paths,
	}).Serialize()
	if err != nil {
		return "", fmt.Errorf("signing a pass: %w", err)
	}
	if len(token) > MaxToken {
		return "", fmt.Errorf("the pass would take %d bytes, more than the %d that fit: shorten its subject", len(token), MaxToken)
	}
	return token, nil
}

// Verify returns what a token says. Its error is ErrExpired, with the claims,
// or wraps ErrForged, without. A token seen lately costs a look into a map.
func (k *Keys) Verify(token string, now time.Time) (Claims, error) {
	c, ok := k.cache.get(token)
	if !ok {
		r := k.ring.Load()
		var err error
		if c, err = r.verify(token); err != nil {
			return Claims{}, fmt.Errorf("%w: %w", ErrForged, err)
		}
		k.cache.put(token, c, func() bool { return k.ring.Load() == r })
	}
	if c.IssuedAt.After(now.Add(Leeway)) {
		return Claims{}, fmt.Errorf("%w: issued in the future, at %s: compare the machines' clocks", ErrForged, c.IssuedAt.Format(time.RFC3339))
	}
	if !now.Before(c.ExpiresAt) {
		return c, ErrExpired
	}
	return c, nil
}

// verify checks all of a token but its times.
func (r *ring) verify(token string) (Claims, error) {
	if len(token) > MaxToken {
		return Claims{}, fmt.Errorf("longer than %d bytes", MaxToken)
	}
	if !canonical(token) {
		return Claims{}, errors.New("not written as we write it")
	}
	signed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return Claims{}, err
	}
	key, ok := r.public[signed.Headers[0].KeyID]
	if !ok {
		return Claims{}, errors.New("signed by an unknown key")
	}
	var p payload
	if err := signed.Claims(key, &p); err != nil {
		return Claims{}, err
	}
	if p.Issuer != r.issuer || len(p.Audience) != 1 || p.Audience[0] != Audience {
		return Claims{}, errors.New("made for something else")
	}
	if p.ID == "" || p.Live != "" && p.Live != liveClaim || !opens(p.Live != "", p.Release, p.UID) || p.Subject == "" || p.IssuedAt == nil || p.Expires == nil {
		return Claims{}, errors.New("a claim is missing")
	}
	return Claims{
		ID:        p.ID,
		Live:      p.Live != "",
		Release:   p.Release,
		UID:       p.UID,
		Subject:   p.Subject,
		IssuedAt:  p.IssuedAt.Time().UTC(),
		ExpiresAt: p.Expires.Time().UTC(),
		Paths:     p.Paths,
	}, nil
}

// canonical says whether every part of a token is the one encoding of what it
// decodes to. Decoders let line breaks and spare bits pass, and a token that
// can be written in many ways could fill the cache.
func canonical(token string) bool {
	for part := range strings.SplitSeq(token, ".") {
		b, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil || base64.RawURLEncoding.EncodeToString(b) != part {
			return false
		}
	}
	return true
}
