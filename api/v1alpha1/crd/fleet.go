package crd

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
)

// Fleet describes services behind one edge: Argo Rollouts of the Fleet's
// namespace, behind Istio Gateways. What runs at first is what the Rollouts
// run; afterwards releases change what serves.
type Fleet struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// What the fleet consists of.
	Spec FleetSpec `json:"spec" mapType:"atomic"`
	// What has become of it.
	Status FleetStatus `json:"status,omitzero"`
}

// FleetList is a list of Fleets.
type FleetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Fleet `json:"items"`
}

// FleetSpec is what a fleet consists of.
type FleetSpec struct {
	// Where outside traffic enters.
	Edge Edge `json:"edge"`
	// How requests are marked on their way through the fleet.
	Stamp v1alpha1.Stamp `json:"stamp,omitzero"`
	// The services, at least one. Names are unique.
	Services []Service `json:"services" listMapKey:"name" jsonschema:"minItems=1,maxItems=600"`
	// How long no hop must have seen a stamp before the versions behind it are
	// stopped, from 1s to 1h.
	Quiet v1alpha1.Duration `json:"quiet,omitempty" between:"1s,1h" jsonschema:"default=60s"`
	// How many ended releases are remembered, so that they can be reverted to,
	// from 0 to 1000.
	History *int `json:"history,omitempty" jsonschema:"default=10,minimum=0,maximum=1000"`
	// What every release needs before it goes live.
	Release v1alpha1.ReleaseRules `json:"release,omitzero"`
	// Who is told of what happens to releases.
	Notify []Notification `json:"notify,omitempty" listMapKey:"name" jsonschema:"maxItems=20"`
}

// Edge is where outside traffic enters.
type Edge struct {
	// What people type to get here, for links and QR codes: http:// or
	// https://, host, optional port. Left out: the first host of a gateway that
	// is no wildcard, by http:// where its Gateway takes no HTTPS for it.
	PublicURL string `json:"publicURL,omitempty" jsonschema:"pattern=^([Hh][Tt][Tt][Pp][Ss]?://[^/?#@ ]+/*)?$"`
	// The Istio Gateways through which traffic enters, at least one. Each gets
	// one VirtualService that holds every route of the fleet.
	Gateways []Gateway `json:"gateways" listMapKey:"name" jsonschema:"minItems=1,maxItems=16"`
	// Which requests are logged, at the gateways and by the services' sidecars.
	// Left out: what the mesh is set to stays.
	AccessLog *AccessLog `json:"accessLog,omitempty"`
	// How long after a promotion a browser session may stay on the release it
	// began on, up to 24h. 0s turns pinning off.
	SessionPinning v1alpha1.Duration `json:"sessionPinning,omitempty" between:"0s,24h" jsonschema:"default=0s"`
	// Name the release in every response. Otherwise only pass holders see it.
	ShowRelease bool `json:"showRelease,omitempty" jsonschema:"default=false"`
	// Which request goes to which service; the first match wins. Left out in a
	// fleet of one service: everything goes there. Any other fleet needs routes.
	Routes []Route `json:"routes,omitempty" jsonschema:"maxItems=400"`
	// What is said to those who are turned away while the fleet is on hold.
	Hold Hold `json:"hold,omitzero"`
}

// Hold is what those get who are turned away while the fleet is on hold
// (kubectl greenroom hold on). The gateways answer them, with at most 4096 bytes.
type Hold struct {
	// When they are told to try again, from 1s to 24h.
	RetryAfter v1alpha1.Duration `json:"retryAfter,omitempty" between:"1s,24h" jsonschema:"default=30s"`
	// What they are told.
	Message string `json:"message,omitempty" jsonschema:"maxLength=1000,default=We are working on this right now. Please try again in a moment."`
	// The page that browsers are shown in mode page. Left out: one with the
	// message.
	HTML string `json:"html,omitempty" jsonschema:"maxLength=4096"`
	// The same for programs. Left out: a problem with the message.
	JSON string `json:"json,omitempty" jsonschema:"maxLength=4096"`
}

// Gateway is an Istio Gateway and the pods that do its work.
type Gateway struct {
	// Namespace and name of the Gateway, such as istio-ingress/public.
	Name string `json:"name" jsonschema:"pattern=^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-.a-z0-9]*[a-z0-9])?$,maxLength=317"`
	// The fleet's hosts at this Gateway: names, or *.name for the names below
	// it. No other VirtualService may name them there.
	Hosts []string `json:"hosts" listType:"set" jsonschema:"minItems=1,maxItems=100"`
	// The labels of the Gateway's pods, as in its spec.selector. Passes are
	// checked there, and pods with all of these labels must serve no JWT rules
	// of others.
	Selector map[string]string `json:"selector"`
	// The namespace of the Gateway's pods. Left out: the Gateway's own.
	Namespace string `json:"namespace,omitempty"`
	// The ports at which HTTP requests arrive at those pods, by the pods' own
	// numbers. Needed where they take plain TCP as well: a rule about passes
	// without ports refuses it all. Left out: every port.
	Ports []int `json:"ports,omitempty" jsonschema:"minimum=1,maximum=65535,maxItems=20"`
}

// AccessLog is the budget of request logs.
type AccessLog struct {
	// Requests that were answered with 5xx or not at all: all or none.
	Errors string `json:"errors,omitempty" jsonschema:"enum=all,enum=none,default=all"`
	// The share of all other requests that is logged, from 0% to 100%.
	Sample v1alpha1.Percent `json:"sample,omitempty" jsonschema:"default=1%"`
	// Where logs go: names of the mesh's extensionProviders. Left out: envoy,
	// which every mesh has, and which writes to the proxies' standard output.
	// The mesh's other providers get nothing of the fleet.
	Providers []string `json:"providers,omitempty" listType:"set" jsonschema:"maxItems=10"`
}

// Route sends requests that meet every condition it names to a service.
type Route struct {
	v1alpha1.Route `json:",inline"`
	// When a failed request is sent again. Left out: as the mesh is set.
	Retries *Retries `json:"retries,omitempty"`
	// Which pages of other origins may call here.
	CORS *CORS `json:"cors,omitempty"`
}

// Retries is when a failed request is sent again.
type Retries struct {
	// How often at most, from 0 to 100. 0 turns retries off.
	Attempts int `json:"attempts" jsonschema:"minimum=0,maximum=100"`
	// How long each attempt may take. Left out: the route's timeout.
	PerTryTimeout v1alpha1.Duration `json:"perTryTimeout,omitempty" between:"1ms,24h"`
	// On what, in Envoy's words, such as connect-failure,refused-stream. Left
	// out: as the mesh is set.
	RetryOn string `json:"retryOn,omitempty"`
}

// CORS says which pages of other origins may call.
type CORS struct {
	// The origins, exactly, or * for all.
	AllowOrigins []string `json:"allowOrigins" jsonschema:"minItems=1"`
	// The methods.
	AllowMethods []string `json:"allowMethods,omitempty"`
	// The request headers.
	AllowHeaders []string `json:"allowHeaders,omitempty"`
	// The response headers that pages may read.
	ExposeHeaders []string `json:"exposeHeaders,omitempty"`
	// How long browsers may remember the answer.
	MaxAge v1alpha1.Duration `json:"maxAge,omitempty" between:"0s,30d"`
	// Whether cookies may be sent along.
	AllowCredentials *bool `json:"allowCredentials,omitempty"`
}

// Service is a name that others call, and the Rollout whose pods answer.
type Service struct {
	// Lower-case letters, digits and dashes, at most 40 characters.
	Name string `json:"name" jsonschema:"pattern=^[a-z0-9]([-a-z0-9]*[a-z0-9])?$,maxLength=40"`
	// What its instances speak: http is HTTP/1.1 with upgrades, grpc is HTTP/2
	// in cleartext with prior knowledge.
	Protocol string `json:"protocol,omitempty" jsonschema:"enum=http,enum=grpc,default=http"`
	// From asking an instance to stop until it is killed, up to 24h; streams may
	// outlive their release that long.
	Drain v1alpha1.Duration `json:"drain,omitempty" between:"0s,24h" jsonschema:"default=30s"`
	// The services it may call. Left out: every other. []: none.
	Calls []string `json:"calls,omitzero" listType:"set" jsonschema:"maxItems=200"`
	// It has work without requests (queues, timers), done by the version on
	// stage alone: what serves ordinary requests.
	Background bool `json:"background,omitempty" jsonschema:"default=false"`
	// The Argo Rollout that runs it, blue/green with autoPromotionEnabled:
	// false. Left out: the service's name.
	Rollout string `json:"rollout,omitempty" jsonschema:"maxLength=253"`
	// The Kubernetes Service that others call, the Rollout's activeService. Left
	// out: the service's name.
	Service string `json:"service,omitempty" jsonschema:"maxLength=63"`
	// The port of the Kubernetes Service that the edge sends requests to. Left
	// out: its only port for requests, or the one named like the protocol.
	Port int `json:"port,omitempty" jsonschema:"minimum=1,maximum=65535"`
	// There is no Rollout: requests go wherever the Kubernetes Service leads,
	// and no release can name it.
	Fixed bool `json:"fixed,omitempty" jsonschema:"default=false"`
	// Its pods have no sidecar: calls to it are routed by who calls, but what it
	// calls itself is routed by nobody.
	OutsideMesh bool `json:"outsideMesh,omitempty" jsonschema:"default=false"`
	// How long a call from another service may take, up to 24h. Left out, or 0s: as
	// the mesh is set.
	Timeout v1alpha1.Duration `json:"timeout,omitempty" between:"0s,24h"`
	// When a failed call from another service is sent again. Left out: as the
	// mesh is set.
	Retries *Retries `json:"retries,omitempty"`
}

// FleetStatus is what has become of a Fleet.
type FleetStatus struct {
	// The generation that the rest speaks of.
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// The revision of the state. Every write of another state has another one.
	Revision int64 `json:"revision,omitempty"`
	// What ordinary requests get now.
	Serving Serving `json:"serving,omitzero"`
	// The state of all releases of the fleet as one value. It belongs to the
	// operator; changing it by hand changes what serves.
	State *runtime.RawExtension `json:"state,omitempty" mapType:"atomic"`
	// The latest events, oldest first; all of them are in ConfigMaps.
	Events []Event `json:"events,omitempty" jsonschema:"maxItems=50"`
	// What is wrong or missing, and what to do about it.
	Conditions []metav1.Condition `json:"conditions,omitempty" listMapKey:"type"`
}

// Serving is what ordinary requests get.
type Serving struct {
	// A release's name, or baseline.
	Release string `json:"release,omitempty"`
	// The stamp that requests carry.
	Stamp string `json:"stamp,omitempty"`
	// From when on.
	Since *metav1.Time `json:"since,omitempty"`
	// It can be rolled back until then. Left out: it can not.
	Until *metav1.Time `json:"until,omitempty"`
	// What a rollback returns to: a release's name, or baseline.
	Before string `json:"before,omitempty"`
}

// Event is one change of a release.
type Event struct {
	// When.
	Time metav1.Time `json:"time"`
	// The kind, such as ReleasePromoted.
	Type string `json:"type"`
	// The release it is about.
	Release string `json:"release,omitempty"`
	// Who did it.
	Who string `json:"who"`
	// The reason given.
	Why string `json:"why,omitempty"`
	// What happened, for people.
	Message string `json:"message"`
	// The revision of the state that it came with.
	Revision int64 `json:"revision,omitempty"`
}
