package v1alpha1

// Notification tells somebody of what happens to releases.
type Notification struct {
	// Unique among the notifications: lower-case letters, digits and dashes, at
	// most 40 characters.
	Name string `json:"name" jsonschema:"pattern=^[a-z0-9]([-a-z0-9]*[a-z0-9])?$,maxLength=40"`
	// What is sent: webhook is an event as JSON, slack a message as Slack and
	// others like it take them, grafana an annotation for a Grafana.
	Kind string `json:"kind" jsonschema:"enum=webhook,enum=slack,enum=grafana"`
	// Where to: http:// or https://; of a Grafana its root. For what must not be
	// read by all, take urlFrom.
	URL string `json:"url,omitempty" jsonschema:"pattern=^(https?://[^ ]+)?$,maxLength=2000"`
	// Where the address is kept, where it is a secret, as Slack's are.
	URLFrom *SecretSource `json:"urlFrom,omitempty"`
	// Where the secret is kept: of a webhook the key that signs what is sent, of
	// a Grafana its token.
	SecretFrom *SecretSource `json:"secretFrom,omitempty"`
	// A file with the certificates of authorities that the receiver's is signed
	// by, PEM, relative to the document. Left out: those of the machine.
	CAFile string `json:"caFile,omitempty"`
	// The types of events that are told, such as ReleasePromoted. Left out: of a
	// webhook all, of slack the steps of releases and what waits for people, of
	// grafana promotions and rollbacks.
	Events []string `json:"events,omitempty" jsonschema:"pattern=^[A-Z][A-Za-z]*$,maxItems=50"`
	// Tags of a Grafana's annotations, besides greenroom, the fleet, the release
	// and the event's type.
	Tags []string `json:"tags,omitempty" jsonschema:"maxItems=20"`
	// How long the receiver may take to answer, from 1s to 1m.
	Timeout Duration `json:"timeout,omitempty" between:"1s,1m" jsonschema:"default=10s"`
}

// SecretSource is where a secret is kept: one of file and env. It is read when
// it is needed, and kept nowhere else.
type SecretSource struct {
	// A file, relative to the document. A line feed at its end does not count.
	File string `json:"file,omitempty"`
	// A variable of greenroom's own environment.
	Env string `json:"env,omitempty" jsonschema:"pattern=^([A-Za-z_][A-Za-z0-9_]*)?$"`
}
