// Package pass makes and checks the signed tokens that let their holders see
// one release, and the links and QR codes that carry them.
//
// It owns the signing keys and the file that an embedded greenroom keeps them
// in, the form of a token, its verification, and how long a pass may hold; of
// greenroom it imports durable alone. Which passes were issued or revoked is
// its user's record, and what a pass opens is the edge's decision: neither is
// known here.
//
// Start at Keys, which OpenKeys reads or makes in a file, and Open in any Store.
package pass

import (
	"errors"
	"time"
)

// Audience is what every token says it is for.
const Audience = "greenroom-preview"

// Issuer is where the tokens of an embedded greenroom say they come from.
const Issuer = "greenroom"

// MaxToken is the length of the longest token that Verify looks at, in bytes.
const MaxToken = 4 << 10

// Leeway is how far in the future a token's issue may lie, since the clocks of
// two machines never agree. The expiry gets no leeway.
const Leeway = time.Minute

// Claims are what a pass says. Times are whole seconds, in UTC.
type Claims struct {
	ID        string // of the pass: by it a pass is listed and revoked
	Live      bool   // it opens whatever serves; then it names no release
	Release   string // name of the release that it opens
	UID       string // of the release, since a name may come again after an abort
	Subject   string // whom it was issued for
	IssuedAt  time.Time
	ExpiresAt time.Time
	Paths     []string // that it opens, as Paths returns them; nil: every one
}

// The ways in which a token can be refused.
var (
	// ErrExpired is returned for a token that was ours and is over.
	ErrExpired = errors.New("the pass has expired")
	// ErrForged is returned for everything that is no token of ours: garbage,
	// more than MaxToken bytes, another algorithm, an unknown key, a wrong
	// signature, issuer or audience, missing claims, an issue in the future.
	ErrForged = errors.New("not a pass of this greenroom")
)
