package signon

import (
	"slices"
	"time"

	"github.com/greenroom-dev/greenroom/internal/httpapi"
)

// Settings are what a fleet says of its provider.
type Settings struct {
	Issuer        string
	Name          string // for people; never empty
	ClientID      string
	PublicURL     string   // of the dashboard, no trailing slash; "" for what the browser asks
	Scopes        []string // besides openid
	UsernameClaim string   // "": the usual ones
	GroupsClaim   string
	Session       time.Duration             // how long somebody stays logged in
	Roles         map[httpapi.Role][]string // groups by role
	Secrets       func() (Secrets, error)   // read anew for each login
}

// Secrets are what is read where the settings say.
type Secrets struct {
	Client string // "": a public client
	Roots  []byte // authorities, PEM; none: those of the machine
}

// role is the highest role of somebody in these groups; 0 for none.
func (s *Settings) role(groups []string) httpapi.Role {
	for r := httpapi.Admin; r >= httpapi.Viewer; r-- {
		if slices.ContainsFunc(s.Roles[r], func(g string) bool { return slices.Contains(groups, g) }) {
			return r
		}
	}
	return 0
}
