package login

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/greenroom-dev/greenroom/internal/httpapi"
)

// LinkLife is how long a login link waits to be opened.
const LinkLife = 5 * time.Minute

// maxLinks bounds how many links wait.
const maxLinks = 100

// Links are one-time links that begin a session. They are kept in memory: one
// that a restart forgets is made again. What a link's session holds can not be
// read without its code. They are safe for concurrent use.
type Links struct {
	now  func() time.Time
	mu   sync.Mutex
	open map[string]link // by what the code is kept under
}

type link struct {
	sealed []byte
	ends   time.Time
}

// NewLinks returns Links.
func NewLinks(now func() time.Time) *Links {
	return &Links{now: now, open: map[string]link{}}
}

// Make returns a code that logs somebody in, once.
func (l *Links) Make(name string, role httpapi.Role) (code string, ends time.Time, err error) {
	return l.make(Session{Name: name, Role: role, Via: ByLink})
}

// MakeFor returns a code that logs the holder of a token in, once. The session
// is the token's: it may what the token may, and ends with it.
func (l *Links) MakeFor(name, token string) (code string, ends time.Time, err error) {
	return l.make(Session{Name: name, Via: ByToken, Secret: token})
}

func (l *Links) make(s Session) (code string, ends time.Time, err error) {
	var secret [32]byte
	rand.Read(secret[:]) // never fails
	code = hex.EncodeToString(secret[:])
	id, seal, err := of(code)
	if err != nil {
		return "", time.Time{}, err
	}
	data, err := json.Marshal(s)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("encode the link's session: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.makeRoom()
	ends = l.now().Add(LinkLife)
	// The key is used for this one message, so that one nonce is enough.
	l.open[id] = link{seal.Seal(nil, make([]byte, seal.NonceSize()), data, []byte(id)), ends}
	return code, ends, nil
}

// makeRoom forgets links that are over, and the oldest where too many wait.
func (l *Links) makeRoom() {
	first := ""
	for id, one := range l.open {
		if !l.now().Before(one.ends) {
			delete(l.open, id)
		} else if waits, ok := l.open[first]; !ok || one.ends.Before(waits.ends) {
			first = id
		}
	}
	if len(l.open) >= maxLinks {
		delete(l.open, first)
	}
}

// Take uses a code up. It returns the session that it begins; false when the
// code is not known, was used, or is too old.
func (l *Links) Take(code string) (Session, bool) {
	id, seal, err := of(code)
	if err != nil {
		return Session{}, false
	}
	l.mu.Lock()
	one, ok := l.open[id]
	delete(l.open, id)
	l.mu.Unlock()
	if !ok || !l.now().Before(one.ends) {
		return Session{}, false
	}
	data, err := seal.Open(nil, make([]byte, seal.NonceSize()), one.sealed, []byte(id))
	var s Session
	if err != nil || json.Unmarshal(data, &s) != nil {
		return Session{}, false
	}
	return s, true
}
