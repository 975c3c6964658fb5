package crd

import "github.com/greenroom-dev/greenroom/api/v1alpha1"

// Notification tells somebody of what happens to releases.
type Notification struct {
	// Unique among the notifications: lower-case letters, digits and dashes, at
	// most 40 characters.
	Name string `json:"name" jsonschema:"pattern=^[a-z0-9]([-a-z0-9]*[a-z0-9])?$,maxLength=40"`
	// What is sent: webhook is an event as JSON, slack a message as Slack and
	// others like it take them, grafana an annotation for a Grafana.
	Kind string `json:"kind" jsonschema:"enum=webhook,enum=slack,enum=grafana"`
	// Where to: http:// or https://. For what must not be read by all, leave it
	// out and keep it in the Secret, whose url goes before this one. A Grafana's
	// stands in the Secret: its token is sent nowhere else.
	URL string `json:"url,omitempty" jsonschema:"pattern=^(https?://[^ ]+)?$,maxLength=2000"`
	// The name of a Secret in the Fleet's namespace that bears the label
	// greenroom.dev/notify with the Fleet's name. Its url is where to, of a
	// Grafana its root; its secret the key that signs a webhook, or a Grafana's
	// token; its ca.crt the authorities that the receiver's certificate is signed
	// by.
	Secret string `json:"secret,omitempty" jsonschema:"pattern=^([a-z0-9]([-.a-z0-9]*[a-z0-9])?)?$,maxLength=253"`
	// The types of events that are told, such as ReleasePromoted. Left out: of a
	// webhook all, of slack the steps of releases and what waits for people, of
	// grafana promotions and rollbacks.
	Events []string `json:"events,omitempty" jsonschema:"pattern=^[A-Z][A-Za-z]*$,maxItems=50"`
	// Tags of a Grafana's annotations, besides greenroom, the fleet, the release
	// and the event's type.
	Tags []string `json:"tags,omitempty" jsonschema:"maxItems=20"`
	// How long the receiver may take to answer, from 1s to 1m.
	Timeout v1alpha1.Duration `json:"timeout,omitempty" between:"1s,1m" jsonschema:"default=10s"`
}
