package v1alpha1

// OIDC is an OpenID Connect provider that logs people in to the dashboard. It
// has to know the address PUBLICURL/login/callback as one that it may send them
// back to.
type OIDC struct {
	// The provider's issuer, as its discovery document names it: https://. On
	// this machine http:// will do.
	Issuer string `json:"issuer" jsonschema:"pattern=^https?://[^?# ]+$,maxLength=500"`
	// What the login's button calls the provider, at most 40 characters. Left
	// out: the issuer's host.
	Name string `json:"name,omitempty" jsonschema:"maxLength=40"`
	// What greenroom is called at the provider.
	ClientID string `json:"clientId" jsonschema:"minLength=1,maxLength=500"`
	// Where the secret is kept that goes with clientId. A file must be readable
	// for its owner alone (chmod 600). Left out: greenroom is a public client.
	ClientSecretFrom *SecretSource `json:"clientSecretFrom,omitempty"`
	// A file with the certificates of authorities that the provider's is signed
	// by, PEM, relative to the document. Left out: those of the machine.
	CAFile string `json:"caFile,omitempty"`
	// Where browsers find the dashboard: http:// or https://, host, optional
	// port. Left out: where the browser says that it asks.
	PublicURL string `json:"publicURL,omitempty" jsonschema:"pattern=^(https?://[^/?#@ ]+/*)?$"`
	// What is asked for besides openid. Left out: email and profile.
	Scopes []string `json:"scopes,omitempty" jsonschema:"pattern=^[!#-\\[\\]-~]+$,maxItems=20"`
	// The claim with a person's name, which stands in events. Left out: email
	// unless the provider calls it unverified, else preferred_username, else sub.
	UsernameClaim string `json:"usernameClaim,omitempty" jsonschema:"maxLength=200"`
	// The claim with a person's groups: a list of texts, or one.
	GroupsClaim string `json:"groupsClaim,omitempty" jsonschema:"maxLength=200,default=groups"`
	// How long somebody stays logged in, from 5m to 24h. What the provider
	// changes about a person is seen when they log in again.
	Session Duration `json:"session,omitempty" between:"5m,24h" jsonschema:"default=12h"`
	// Which groups have which role. Who is in none of them is not let in; of
	// several roles the highest counts.
	Roles OIDCRoles `json:"roles"`
}

// OIDCRoles are groups by role, at least one. A group stands at one role.
type OIDCRoles struct {
	// Who may look.
	Viewer []string `json:"viewer,omitempty" jsonschema:"minLength=1,maxLength=256,maxItems=100"`
	// Who may also make passes and sign off.
	Tester []string `json:"tester,omitempty" jsonschema:"minLength=1,maxLength=256,maxItems=100"`
	// Who may also release.
	Operator []string `json:"operator,omitempty" jsonschema:"minLength=1,maxLength=256,maxItems=100"`
	// Who may also make tokens and login links.
	Admin []string `json:"admin,omitempty" jsonschema:"minLength=1,maxLength=256,maxItems=100"`
}
