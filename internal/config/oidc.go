package config

import (
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// oidc checks and completes the provider that logs people in.
func (p *problems) oidc(at path, o *v1alpha1.OIDC) *fleet.OIDC {
	if o == nil {
		return nil
	}
	out := &fleet.OIDC{
		Issuer: o.Issuer, Name: o.Name, ClientID: o.ClientID, UsernameClaim: o.UsernameClaim, GroupsClaim: o.GroupsClaim,
		Secret:  p.secretSource(at.field("clientSecretFrom"), o.ClientSecretFrom),
		Session: p.duration(at.field("session"), o.Session, 12*time.Hour, limits{5 * time.Minute, day}),
		Scopes:  p.scopes(at.field("scopes"), o.Scopes),
		Roles:   p.groups(at.field("roles"), o.Roles),
	}
	host := p.issuer(at.field("issuer"), o.Issuer)
	if out.Name == "" {
		out.Name = host
	}
	if strings.ContainsFunc(o.Name, unicode.IsControl) || len([]rune(o.Name)) > maxName {
		p.at(at.field("name"), "write at most 40 characters, on one line", "the button cannot say `%s`", cut(o.Name))
	}
	if o.ClientID == "" {
		p.at(at.field("clientId"), "write the client's id, as the provider shows it", "clientId is empty")
	}
	if out.GroupsClaim == "" {
		out.GroupsClaim = "groups"
	}
	if o.CAFile != "" {
		out.CAFile = regular(p, at.field("caFile"), o.CAFile, p.src.dir)
	}
	if o.PublicURL != "" {
		out.PublicURL = p.publicURL(at.field("publicURL"), o.PublicURL, fleet.Edge{})
	}
	if file := out.Secret.File; file != "" && OpenToOthers(file) {
		p.at(at.field("clientSecretFrom").field("file"), "chmod 600 "+file, "others than its owner can read the client's secret")
	}
	return out
}

// OpenToOthers reports whether others than its owner may read or change a file.
// It is false for one that is not there.
func OpenToOthers(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().Perm()&0o077 != 0
}

// issuer checks an issuer and returns its host.
func (p *problems) issuer(at path, s string) string {
	u, err := url.Parse(s)
	const hint = "write it as the provider's discovery document does, such as https://login.example.com/realms/staff"
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		p.at(at, hint, "`%s` is not an issuer", cut(s))
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(s, "?# "):
		p.at(at, hint, "`%s` is more than scheme, host, port and path", cut(u.Redacted()))
	case strings.HasSuffix(s, "/.well-known/openid-configuration"):
		p.at(at, "leave out /.well-known/openid-configuration", "this is the discovery document's address, not the issuer")
	case u.Scheme == "http" && !loopback(u.Host) && !loopback(u.Host+":80"):
		p.at(at, "write https://", "whoever is on the way could log in as anybody")
	default:
		return u.Host
	}
	return ""
}

func (p *problems) scopes(at path, scopes []string) []string {
	if len(scopes) == 0 {
		return []string{"email", "profile"}
	}
	out := []string{}
	for i, s := range scopes {
		switch {
		case s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }):
			p.at(at.index(i), "write one scope, such as groups", "`%s` is not a scope", cut(s))
		case s == "offline_access":
			p.at(at.index(i), "leave it out", "greenroom keeps no token of the provider")
		case s != "openid" && !slices.Contains(out, s): // which is asked for anyway
			out = append(out, s)
		}
	}
	return out
}

// groups checks which groups have which role.
func (p *problems) groups(at path, r v1alpha1.OIDCRoles) map[string][]string {
	out, at1 := map[string][]string{}, map[string]string{}
	for _, one := range []struct {
		role   string
		groups []string
	}{{"viewer", r.Viewer}, {"tester", r.Tester}, {"operator", r.Operator}, {"admin", r.Admin}} {
		for i, g := range one.groups {
			where := at.field(one.role).index(i)
			switch other := at1[g]; {
			case strings.TrimSpace(g) == "":
				p.at(where, "write the group as the provider names it", "a group's name is empty")
			case other != "":
				p.at(where, "keep one of them", "the group `%s` is %s and %s", cut(g), other, one.role)
			default:
				at1[g] = one.role
			}
		}
		if len(one.groups) > 0 {
			out[one.role] = slices.Clone(one.groups)
		}
	}
	if len(out) == 0 {
		p.at(at, "write roles: {operator: [release-managers], viewer: [staff]}", "no group has a role: nobody could log in")
	}
	return out
}

func exportOIDC(o *fleet.OIDC) *v1alpha1.OIDC {
	if o == nil {
		return nil
	}
	return &v1alpha1.OIDC{
		Issuer: o.Issuer, Name: o.Name, ClientID: o.ClientID, ClientSecretFrom: exportSource(o.Secret), CAFile: o.CAFile,
		PublicURL: o.PublicURL, Scopes: o.Scopes, UsernameClaim: o.UsernameClaim, GroupsClaim: o.GroupsClaim,
		Session: v1alpha1.DurationOf(o.Session),
		Roles: v1alpha1.OIDCRoles{
			Viewer: o.Roles["viewer"], Tester: o.Roles["tester"], Operator: o.Roles["operator"], Admin: o.Roles["admin"],
		},
	}
}
