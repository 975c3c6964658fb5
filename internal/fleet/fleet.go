// Package fleet holds the nouns that the embedded engine's parts exchange: a
// fleet, its services, and the immutable ways to run them, as they are after a
// document was parsed, checked and completed.
//
// It owns no behaviour beyond small questions about a value, does no I/O, and
// imports nothing else of greenroom: config produces these values; controller,
// platform, gateway and hook consume them. Every value is treated as immutable
// once it left config. They are persisted as JSON with the state, so a renamed
// field is a change of the store's format.
//
// Start at Fleet.
package fleet

import (
	"net/netip"
	"time"
)

// Fleet is a set of services behind one edge.
type Fleet struct {
	Name        string        `json:"name"`
	Dir         string        `json:"dir,omitempty"` // absolute folder of the document that was applied; "" of a fleet that none was kept of
	Edge        Edge          `json:"edge"`
	API         API           `json:"api"`
	StampHeader string        `json:"stampHeader"` // canonical form, X-Greenroom-Release unless told otherwise
	Services    []Service     `json:"services"`    // in document order; names unique
	Quiet       time.Duration `json:"quiet"`       // how long no hop must have seen a stamp before it ends
	History     int           `json:"history"`     // how many ended releases keep their executables, for revert

	Rules         Rules          `json:"rules,omitzero"`          // what every release needs before it goes live
	Notifications []Notification `json:"notifications,omitempty"` // names unique
}

// Rules are what every release needs before it goes live.
type Rules struct {
	Checklist []Item   `json:"checklist,omitempty"` // names unique
	Approvals int      `json:"approvals,omitempty"` // by others than who promotes
	Freezes   []Freeze `json:"freezes,omitempty"`   // names unique
}

// Item is something that a tester signs off.
type Item struct {
	Name string `json:"name"`
	Text string `json:"text,omitempty"`
}

// Freeze is a time during which nothing is promoted, as it was written and
// found right: from From to To, or each week.
type Freeze struct {
	Name   string `json:"name"`
	Why    string `json:"why,omitempty"`
	Zone   string `json:"zone"` // of the times; never empty
	From   string `json:"from,omitempty"`
	To     string `json:"to,omitempty"`
	Weekly bool   `json:"weekly,omitempty"` // From and To are of each week
}

// Notification tells somebody of events. It holds no secret, but where each is
// found when it is needed.
type Notification struct {
	Name    string        `json:"name"`
	Kind    string        `json:"kind"` // webhook | slack | grafana
	URL     string        `json:"url,omitempty"`
	URLFrom SecretSource  `json:"urlFrom,omitzero"`
	Secret  SecretSource  `json:"secret,omitzero"`
	CAFile  string        `json:"caFile,omitempty"` // absolute
	Events  []string      `json:"events,omitempty"` // types; none: those that are usual for Kind
	Tags    []string      `json:"tags,omitempty"`
	Timeout time.Duration `json:"timeout"`
}

// SecretSource is where a secret is kept.
type SecretSource struct {
	File string `json:"file,omitempty"` // absolute
	Env  string `json:"env,omitempty"`
}

// Service returns the service of that name.
func (f Fleet) Service(name string) (Service, bool) {
	for _, s := range f.Services {
		if s.Name == name {
			return s, true
		}
	}
	return Service{}, false
}

// Edge is where outside traffic enters.
type Edge struct {
	Listen         string         `json:"listen"` // host:port, cleartext: HTTP/1.1 and h2c
	TLS            *TLS           `json:"tls,omitempty"`
	PublicURL      string         `json:"publicURL"` // for links and QR codes; never empty, no trailing slash
	TrustedProxies []netip.Prefix `json:"trustedProxies,omitempty"`
	AccessLog      AccessLog      `json:"accessLog"`
	SessionPinning time.Duration  `json:"sessionPinning"`  // 0: off
	ShowRelease    bool           `json:"showRelease"`     // name the release in every response, not just to pass holders
	Badge          bool           `json:"badge,omitempty"` // pages of pass holders say which release they are
	HTTP1          HTTP1          `json:"http1,omitempty"` // how HTTP/1.1 is served, at the edge and between services
	Routes         []Route        `json:"routes"`          // first match wins
	Hold           Hold           `json:"hold"`
}

// Hold bounds what waits at the edge while the fleet is on hold, and is what is
// said to those who are turned away.
type Hold struct {
	MaxRequests int           `json:"maxRequests"`     // that wait at once; at least 1
	MaxBytes    int64         `json:"maxBytes"`        // of their headers and bodies
	MaxWait     time.Duration `json:"maxWait"`         // of each request, and so of a hold of that mode
	ResumeRate  int           `json:"resumeRate"`      // requests a second that go on afterwards; at least 1
	RetryAfter  time.Duration `json:"retryAfter"`      // what is said of a hold without an end
	Message     string        `json:"message"`         // never empty
	HTML        string        `json:"html,omitempty"`  // the page; empty: one with the message
	JSON        string        `json:"json,omitempty"`  // the same for programs; empty: a problem with the message
	Reads       []string      `json:"reads,omitempty"` // paths of which every request is a read, with everything below
}

// HTTP1 is a way to serve HTTP/1.1. Both behave alike.
type HTTP1 string

// HTTP1Std is net/http's, and what an empty HTTP1 means; HTTP1Fast is
// greenroom's own.
const (
	HTTP1Std  HTTP1 = "std"
	HTTP1Fast HTTP1 = "fast"
)

// TLS is the edge's encrypted listener. Certificate files are read again when
// they change on disk.
type TLS struct {
	Listen       string        `json:"listen"`
	Certificates []Certificate `json:"certificates"`
}

// Certificate names a PEM certificate chain and its key, as absolute paths.
type Certificate struct {
	CertFile string `json:"certFile"`
	KeyFile  string `json:"keyFile"`
}

// AccessLog is the budget of request logs: all errors or none, and a share of
// the rest.
type AccessLog struct {
	Format string  `json:"format"` // json | text
	Errors string  `json:"errors"` // all | none
	Sample float64 `json:"sample"` // 0..1
}

// Route sends requests that match every named condition to a service.
type Route struct {
	Host    string        `json:"host,omitempty"`    // exact, or *.suffix; empty: any
	Path    string        `json:"path,omitempty"`    // prefix by whole path segments; empty: any
	Methods []string      `json:"methods,omitempty"` // empty: any
	Service string        `json:"service"`
	Timeout time.Duration `json:"timeout,omitempty"` // to the answer's header; 0: none
}

// API is where the HTTP API listens besides the unix socket.
type API struct {
	Listen string `json:"listen,omitempty"` // host:port; empty: unix socket only
	TLS    *TLS   `json:"tls,omitempty"`    // needed off loopback
	OIDC   *OIDC  `json:"oidc,omitempty"`   // who else logs people in to the dashboard
}

// OIDC is an OpenID Connect provider that logs people in. It holds no secret,
// but where it is found when it is needed.
type OIDC struct {
	Issuer        string              `json:"issuer"`
	Name          string              `json:"name"` // for people; never empty
	ClientID      string              `json:"clientId"`
	Secret        SecretSource        `json:"secret,omitzero"`     // zero: a public client
	CAFile        string              `json:"caFile,omitempty"`    // absolute
	PublicURL     string              `json:"publicURL,omitempty"` // of the dashboard, no trailing slash
	Scopes        []string            `json:"scopes"`              // besides openid
	UsernameClaim string              `json:"usernameClaim,omitempty"`
	GroupsClaim   string              `json:"groupsClaim"`
	Session       time.Duration       `json:"session"`
	Roles         map[string][]string `json:"roles"` // groups by role
}

// Protocol is what a service's instances speak.
type Protocol string

// HTTP is HTTP/1.1 with upgrades; GRPC is HTTP/2 in cleartext with prior
// knowledge.
const (
	HTTP Protocol = "http"
	GRPC Protocol = "grpc"
)

// Service is a name with a protocol, a health check and what holds for every
// version of it. These fields may change while it runs (fleet apply).
type Service struct {
	Name       string        `json:"name"` // DNS label, at most 40 characters
	Protocol   Protocol      `json:"protocol"`
	Health     Health        `json:"health"`
	Drain      time.Duration `json:"drain"`           // from SIGTERM to SIGKILL; also how long streams may outlive their view
	Calls      []string      `json:"calls,omitempty"` // nil: every other service; empty: none
	Background bool          `json:"background,omitempty"`
	First      Version       `json:"first"` // what the Fleet document says; only the first version ever comes from here
}

// HealthKind is how readiness is asked.
type HealthKind string

// The kinds of health checks.
const (
	HealthHTTP HealthKind = "http" // GET Path answers 2xx or 3xx
	HealthGRPC HealthKind = "grpc" // grpc.health.v1, service GRPCService
	HealthTCP  HealthKind = "tcp"  // accepts a connection
)

// Health says when an instance is ready.
type Health struct {
	Kind        HealthKind    `json:"kind"`
	Path        string        `json:"path,omitempty"`
	GRPCService string        `json:"grpcService,omitempty"`
	Interval    time.Duration `json:"interval"`    // between checks
	Timeout     time.Duration `json:"timeout"`     // of one check
	Failures    int           `json:"failures"`    // in a row until an instance is not ready; at least 1
	StartWithin time.Duration `json:"startWithin"` // a version not ready by then has failed
	MaxRestarts int           `json:"maxRestarts"` // before it was ever ready; more of them and the version has failed
}

// Version is one immutable way to run a service: processes (Run) or endpoints
// that something else runs, never both.
type Version struct {
	Service   string   `json:"service"`
	Name      string   `json:"name"` // "2.4.1", or the first 10 hex digits of Digest
	Digest    string   `json:"digest"`
	Source    Source   `json:"source,omitzero"`
	Run       *Run     `json:"run,omitempty"`
	Endpoints []string `json:"endpoints,omitempty"` // host:port
}

// ID names the version among all versions of all services: service@name.
func (v Version) ID() string { return v.Service + "@" + v.Name }

// Replicas is how many instances greenroom runs; 0 where something else does.
func (v Version) Replicas() int {
	if v.Run == nil {
		return 0
	}
	return v.Run.Replicas
}

// Source is where a version was built from, shown to people.
type Source struct {
	Commit string `json:"commit,omitempty"`
	URL    string `json:"url,omitempty"`
}

// Run is how to run a version's processes.
type Run struct {
	Command    []string          `json:"command"`           // argv as written; Command[0] is replaced by Executable at start
	Executable string            `json:"executable"`        // absolute path of Command[0] when the document was read
	SHA256     string            `json:"sha256"`            // of the executable, hex
	InPlace    bool              `json:"inPlace,omitempty"` // start Executable itself rather than the copy kept by SHA256
	Dir        string            `json:"dir"`               // absolute working directory
	Env        map[string]string `json:"env,omitempty"`
	EnvFile    string            `json:"envFile,omitempty"` // absolute; read at each start, never stored
	Replicas   int               `json:"replicas"`          // 1..100
}

// Hook is work that belongs to a release: a command or an HTTP check.
type Hook struct {
	Name    string            `json:"name"`
	Run     []string          `json:"run,omitempty"` // argv; Run[0] absolute or looked up in PATH
	Dir     string            `json:"dir,omitempty"`
	Env     map[string]string `json:"env,omitempty"`
	HTTP    *HTTPCheck        `json:"http,omitempty"`
	Timeout time.Duration     `json:"timeout"`
}

// HTTPCheck asks the edge for Path as a holder of a pass for the release.
type HTTPCheck struct {
	Path   string `json:"path"`
	Method string `json:"method"`
	Status int    `json:"status"` // expected; 0: any 2xx
}

// Hooks are a release's hooks by the moment they run at.
type Hooks struct {
	Prepare  []Hook `json:"prepare,omitempty"`
	Verify   []Hook `json:"verify,omitempty"`
	Settle   []Hook `json:"settle,omitempty"`
	Rollback []Hook `json:"rollback,omitempty"`
	Abort    []Hook `json:"abort,omitempty"`
}

// Release is what a Release document asks for, completed from the versions it
// replaces.
type Release struct {
	Name           string        `json:"name"`
	Description    string        `json:"description,omitempty"`
	RollbackWindow time.Duration `json:"rollbackWindow"`
	Keep           time.Duration `json:"keep"` // how long a rolled-back release is kept for a look
	Versions       []Version     `json:"versions"`
	Hooks          Hooks         `json:"hooks"`
	Checklist      []Item        `json:"checklist,omitempty"` // besides that of the fleet; names unique
}
