package login

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/greenroom-dev/greenroom/internal/httpapi"
)

// The ways by which sessions begin.
const (
	ByToken = "token" // an API token, or the cluster's
	ByLink  = "link"  // a one-time link
	ByOIDC  = "oidc"  // the OpenID Connect provider
)

// How long sessions last at the longest. Those that no token stands behind can
// be ended by nobody else, and are shorter.
const (
	TokenLife = 7 * 24 * time.Hour
	OtherLife = 24 * time.Hour
)

// ErrNone is returned when there is no session: it never was, is over, or what
// it was begun with is not good any more. Logging in again is what helps.
var ErrNone = errors.New("there is no session")

// Session is one login of a browser.
type Session struct {
	Name   string       `json:"name"`
	Role   httpapi.Role `json:"role,omitempty"` // 0 with a token, or a provider: they say
	Via    string       `json:"via"`
	Secret string       `json:"secret,omitempty"` // the token that it was begun with
	From   Provider     `json:"from,omitzero"`    // who vouched, ByOIDC
	Began  time.Time    `json:"began"`
	Ends   time.Time    `json:"ends"`
}

// Provider is who vouched for somebody, and what for. What the groups may do is
// asked each time.
type Provider struct {
	Issuer string        `json:"issuer"`
	Client string        `json:"client"`
	Groups []string      `json:"groups"`
	Life   time.Duration `json:"life"` // of the session, OtherLife at the most
}

// Roles says what those may do now whom a provider vouched for: 0 for nothing.
type Roles interface {
	Role(issuer, client string, groups []string) httpapi.Role
}

// Keeper keeps sessions. What it is given can not be read without the cookie.
type Keeper interface {
	PutSession(id string, ends time.Time, sealed []byte) error
	// Session returns what was put; false when there is none.
	Session(id string) (sealed []byte, ok bool, err error)
	DropSession(id string) error
}

// Sessions are the logins of browsers. They are safe for concurrent use.
type Sessions struct {
	keeper Keeper
	links  *Memory // of those that began by a link
	access httpapi.Access
	roles  Roles
	now    func() time.Time
}

// NewSessions returns Sessions kept by keeper, but for those that began by a
// link: nothing can end them but their time and a restart. access knows whether tokens are
// still good, and roles what groups are; nil where no provider vouches.
func NewSessions(keeper Keeper, access httpapi.Access, roles Roles, now func() time.Time) *Sessions {
	return &Sessions{keeper, NewMemory(now), access, roles, now}
}

// ByToken begins a session with an API token. It returns a
// *httpapi.DeniedError when nobody has it.
func (s *Sessions) ByToken(ctx context.Context, secret string) (cookie string, session Session, err error) {
	who, err := s.access.Holder(ctx, secret)
	if err != nil {
		return "", Session{}, err
	}
	return s.Begin(Session{Name: who.Name, Via: ByToken, Secret: secret})
}

// Begin keeps a session and returns the value of its cookie, 256 random bits.
// Began and Ends are set here.
func (s *Sessions) Begin(session Session) (cookie string, _ Session, err error) {
	session.Began = s.now()
	session.Ends = session.Began.Add(OtherLife)
	switch session.Via {
	case ByToken:
		session.Ends = session.Began.Add(TokenLife)
	case ByOIDC:
		session.Ends = session.Began.Add(min(session.From.Life, OtherLife))
	}
	var secret [32]byte
	rand.Read(secret[:]) // never fails
	cookie = hex.EncodeToString(secret[:])
	data, err := json.Marshal(session)
	if err != nil {
		return "", Session{}, fmt.Errorf("encode the session: %w", err)
	}
	id, seal, err := of(cookie)
	if err != nil {
		return "", Session{}, err
	}
	// The key is used for this one message, so that one nonce is enough.
	sealed := seal.Seal(nil, make([]byte, seal.NonceSize()), data, []byte(id))
	keeper := s.keeper
	if session.Via == ByLink {
		keeper = s.links
	}
	if err := keeper.PutSession(id, session.Ends, sealed); err != nil {
		return "", Session{}, fmt.Errorf("keep the session: %w", err)
	}
	return cookie, session, nil
}

// Find returns whose session a cookie is, as they are known now.
func (s *Sessions) Find(ctx context.Context, cookie string) (httpapi.Identity, Session, error) {
	id, seal, err := of(cookie)
	if err != nil {
		return httpapi.Identity{}, Session{}, ErrNone
	}
	sealed, ok, _ := s.links.Session(id) // memory does not fail
	if !ok {
		if sealed, ok, err = s.keeper.Session(id); err != nil {
			return httpapi.Identity{}, Session{}, fmt.Errorf("look up the session: %w", err)
		}
	}
	if !ok {
		return httpapi.Identity{}, Session{}, ErrNone
	}
	var session Session
	data, err := seal.Open(nil, make([]byte, seal.NonceSize()), sealed, []byte(id))
	if err != nil || json.Unmarshal(data, &session) != nil || !s.now().Before(session.Ends) {
		return httpapi.Identity{}, Session{}, errors.Join(ErrNone, s.drop(id))
	}
	if session.Via == ByOIDC {
		if s.roles != nil {
			session.Role = s.roles.Role(session.From.Issuer, session.From.Client, session.From.Groups)
		}
		if session.Role == 0 {
			return httpapi.Identity{}, Session{}, errors.Join(ErrNone, s.drop(id))
		}
	}
	if session.Via != ByToken {
		return httpapi.Identity{Name: session.Name, Role: session.Role, Via: session.Via}, session, nil
	}
	who, err := s.access.Holder(ctx, session.Secret)
	var denied *httpapi.DeniedError
	if errors.As(err, &denied) {
		return httpapi.Identity{}, Session{}, errors.Join(ErrNone, s.drop(id))
	}
	return who, session, err
}

// End ends a session. One that is not there is no error.
func (s *Sessions) End(cookie string) error {
	id, _, err := of(cookie)
	if err != nil {
		return nil
	}
	if err := s.drop(id); err != nil {
		return fmt.Errorf("end the session: %w", err)
	}
	return nil
}

func (s *Sessions) drop(id string) error {
	_ = s.links.DropSession(id) // memory does not fail
	return s.keeper.DropSession(id)
}

// of derives from a cookie under which name its session is kept, and what
// seals it. Neither leads back to the cookie.
func of(cookie string) (id string, seal cipher.AEAD, err error) {
	secret, err := hex.DecodeString(cookie)
	if err != nil || len(secret) != 32 {
		return "", nil, ErrNone
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "greenroom session", 32)
	if err != nil {
		return "", nil, fmt.Errorf("derive a key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", nil, fmt.Errorf("derive a key: %w", err)
	}
	if seal, err = cipher.NewGCM(block); err != nil {
		return "", nil, fmt.Errorf("derive a key: %w", err)
	}
	sum := sha256.Sum256(secret)
	return hex.EncodeToString(sum[:]), seal, nil
}
