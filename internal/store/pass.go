package store

import (
	"errors"
	"time"
)

// Pass is what is kept of a pass that was issued; never its token.
type Pass struct {
	ID        string    `json:"id"`
	Release   string    `json:"release"`
	UID       string    `json:"uid"` // of the release
	Subject   string    `json:"subject"`
	By        string    `json:"by"` // who issued it
	Issued    time.Time `json:"issued"`
	Expires   time.Time `json:"expires"`
	Revoked   time.Time `json:"revoked,omitzero"` // zero: not revoked
	RevokedBy string    `json:"revokedBy,omitempty"`
	LastUse   time.Time `json:"lastUse,omitzero"` // coarse; zero: never
}

// PutPass records a pass that was issued, with the events that came with it.
// It returns ErrExists when the ID is taken.
func (s *Store) PutPass(p Pass, events ...Event) error { return errors.ErrUnsupported }

// Passes returns all passes on record, by time of issue.
func (s *Store) Passes() ([]Pass, error) { return nil, errors.ErrUnsupported }

// RevokePass marks a pass as revoked at a time by somebody. Revoking it again
// changes nothing and writes no event. It returns ErrNotFound for an unknown
// ID.
func (s *Store) RevokePass(id string, at time.Time, by string, events ...Event) error {
	return errors.ErrUnsupported
}

// UsePasses notes when passes were last used, by ID; unknown ones and earlier
// times are left out. Call it every minute or so rather than at each request.
func (s *Store) UsePasses(last map[string]time.Time) error { return errors.ErrUnsupported }

// PrunePasses forgets the passes that expired before a time.
func (s *Store) PrunePasses(expiredBefore time.Time) error { return errors.ErrUnsupported }
