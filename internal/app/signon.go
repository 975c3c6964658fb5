package app

import (
	"fmt"
	"os"

	"github.com/greenroom-dev/greenroom/internal/config"
	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/signon"
)

// signOnOf is what a fleet's document says of the provider that logs people in;
// nil where it names none.
func signOnOf(f fleet.Fleet) *signon.Settings {
	o := f.API.OIDC
	if o == nil {
		return nil
	}
	out := &signon.Settings{
		Issuer: o.Issuer, Name: o.Name, ClientID: o.ClientID, PublicURL: o.PublicURL, Scopes: o.Scopes,
		UsernameClaim: o.UsernameClaim, GroupsClaim: o.GroupsClaim, Session: o.Session,
		Roles: map[httpapi.Role][]string{}, Secrets: func() (signon.Secrets, error) { return signOnSecrets(*o) },
	}
	for name, groups := range o.Roles {
		if role, ok := httpapi.ParseRole(name); ok {
			out.Roles[role] = groups
		}
	}
	return out
}

// signOnSecrets reads what the provider's settings do not hold, as it is now.
func signOnSecrets(o fleet.OIDC) (out signon.Secrets, err error) {
	if o.Secret != (fleet.SecretSource{}) {
		if o.Secret.File != "" && config.OpenToOthers(o.Secret.File) {
			return out, fmt.Errorf("others than its owner can read the provider's client secret: chmod 600 %s", o.Secret.File)
		}
		if out.Client, err = secretOf("the provider's client secret", o.Secret); err != nil {
			return out, err
		}
	}
	if o.CAFile != "" {
		if out.Roots, err = os.ReadFile(o.CAFile); err != nil {
			return out, fmt.Errorf("read the provider's authorities: %w", err)
		}
	}
	return out, nil
}
