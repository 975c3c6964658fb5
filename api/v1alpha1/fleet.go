package v1alpha1

// Fleet describes services behind one edge. Its versions are only the first:
// once a fleet runs, releases change what serves, and applying the file again
// changes everything but versions.
type Fleet struct {
	// Always greenroom.dev/v1alpha1.
	APIVersion string `json:"apiVersion" jsonschema:"enum=greenroom.dev/v1alpha1"`
	// Always Fleet.
	Kind string `json:"kind" jsonschema:"enum=Fleet"`
	// The fleet's name.
	Metadata Metadata `json:"metadata"`
	// What the fleet consists of.
	Spec FleetSpec `json:"spec"`
}

// FleetSpec is what a fleet consists of.
type FleetSpec struct {
	// Where outside traffic enters.
	Edge Edge `json:"edge,omitzero"`
	// Where the HTTP API listens besides its unix socket.
	API API `json:"api,omitzero"`
	// How requests are marked on their way through the fleet.
	Stamp Stamp `json:"stamp,omitzero"`
	// The services, at least one. Names are unique.
	Services []Service `json:"services" jsonschema:"minItems=1"`
	// How long no hop must have seen a stamp before the versions behind it are
	// stopped, from 1s to 1h.
	Quiet Duration `json:"quiet,omitempty" between:"1s,1h" jsonschema:"default=60s"`
	// How many ended releases keep their executables, so that they can be
	// reverted to, from 0 to 1000.
	History *int `json:"history,omitempty" jsonschema:"default=10,minimum=0,maximum=1000"`
	// What every release needs before it goes live.
	Release ReleaseRules `json:"release,omitzero"`
	// Who is told of what happens to releases.
	Notify []Notification `json:"notify,omitempty" jsonschema:"maxItems=20"`
}

// Edge is where outside traffic enters.
type Edge struct {
	// host:port for cleartext: HTTP/1.1, and HTTP/2 with prior knowledge. Port
	// 0 takes any free one.
	Listen string `json:"listen,omitempty" jsonschema:"default=127.0.0.1:8080"`
	// The encrypted listener. Left out: there is none.
	TLS *TLS `json:"tls,omitempty"`
	// What people type to get here, for links and QR codes: http:// or
	// https://, host, optional port. Left out: derived from tls.listen, else
	// from listen.
	PublicURL string `json:"publicURL,omitempty" jsonschema:"pattern=^([Hh][Tt][Tt][Pp][Ss]?://[^/?#@ ]+/*)?$"`
	// Networks in CIDR form, or single addresses, whose X-Forwarded-* headers
	// are believed. Left out: nobody's are.
	TrustedProxies []string `json:"trustedProxies,omitempty"`
	// Which requests are logged.
	AccessLog AccessLog `json:"accessLog,omitzero"`
	// How long after a promotion a browser session may stay on the release it
	// began on, up to 24h. 0s turns pinning off.
	SessionPinning Duration `json:"sessionPinning,omitempty" between:"0s,24h" jsonschema:"default=0s"`
	// Name the release and the path through the services in every response.
	// Otherwise only pass holders see them.
	ShowRelease bool `json:"showRelease,omitempty" jsonschema:"default=false"`
	// How HTTP/1.1 is served here and between services: by Go's net/http (std),
	// or by greenroom's own code (fast), which costs less and behaves alike.
	// HTTP/2, gRPC and upgrades are always std.
	HTTP1 string `json:"http1,omitempty" jsonschema:"enum=std,enum=fast,default=std"`
	// Put a small badge into the pages that holders of a pass look at: which
	// release it is, how long the pass holds, and a switch. Nobody else gets it,
	// nor a page that it would break.
	Badge bool `json:"badge,omitempty" jsonschema:"default=false"`
	// Which request goes to which service; the first match wins. Left out in a
	// fleet of one service: everything goes there. Any other fleet needs routes.
	Routes []Route `json:"routes,omitempty"`
	// How many requests wait while the fleet is on hold, and what is said to
	// those that are turned away.
	Hold EdgeHold `json:"hold,omitzero"`
}

// EdgeHold bounds what waits while the fleet is on hold (greenroom hold on), and
// says what those get who are turned away.
type EdgeHold struct {
	// How many requests wait at once, from 1 to 100000. More are turned away.
	MaxRequests *int `json:"maxRequests,omitempty" jsonschema:"default=1000,minimum=1,maximum=100000"`
	// How many bytes their headers and bodies may take together, from 65536. A
	// request that does not fit is turned away.
	MaxBytes *int `json:"maxBytes,omitempty" jsonschema:"default=67108864,minimum=65536,maximum=8589934592"`
	// How long a request may wait, and so the longest hold in which requests
	// wait, from 1s to 10m.
	MaxWait Duration `json:"maxWait,omitempty" between:"1s,10m" jsonschema:"default=60s"`
	// How many requests a second go on when the hold is over, the oldest first,
	// beside those that come then, from 1 to 100000.
	ResumeRate *int `json:"resumeRate,omitempty" jsonschema:"default=250,minimum=1,maximum=100000"`
	// When those who are turned away are told to try again, if the hold has no
	// end, from 1s to 24h.
	RetryAfter Duration `json:"retryAfter,omitempty" between:"1s,24h" jsonschema:"default=30s"`
	// What is said to those who are turned away, at most 1000 characters.
	Message string `json:"message,omitempty" jsonschema:"maxLength=1000,default=We are working on this right now. Please try again in a moment."`
	// The page that browsers are shown in mode page.
	Page HoldPage `json:"page,omitzero"`
	// Paths of which every request is a read, with everything below, whatever
	// its method: a search by POST, a gRPC method such as /shop.Cart/Get.
	Reads []string `json:"reads,omitempty" jsonschema:"pattern=^/[^?#* ]*$,maxItems=50"`
}

// HoldPage is what is shown in mode page. What is left out is made of the
// message.
type HoldPage struct {
	// The page itself, at most 256 KiB.
	HTML string `json:"html,omitempty" jsonschema:"maxLength=262144"`
	// A file with the page, read when the document is applied.
	HTMLFile string `json:"htmlFile,omitempty"`
	// The same for programs: any JSON, at most 256 KiB.
	JSON string `json:"json,omitempty" jsonschema:"maxLength=262144"`
	// A file with it, read when the document is applied.
	JSONFile string `json:"jsonFile,omitempty"`
}

// TLS is an encrypted listener: HTTP/2 and HTTP/1.1.
type TLS struct {
	// host:port.
	Listen string `json:"listen"`
	// At least one; chosen by the name that the client asks for.
	Certificates []Certificate `json:"certificates" jsonschema:"minItems=1"`
}

// Certificate names a certificate chain and its key, both PEM. The files are
// read again when they change.
type Certificate struct {
	// The chain, the server's own certificate first.
	CertFile string `json:"certFile"`
	// The private key.
	KeyFile string `json:"keyFile"`
}

// AccessLog is the budget of request logs.
type AccessLog struct {
	// One line per request: json or text.
	Format string `json:"format,omitempty" jsonschema:"enum=json,enum=text,default=json"`
	// Requests that were answered with 5xx or not at all, and gRPC calls that
	// failed in the service: all or none.
	Errors string `json:"errors,omitempty" jsonschema:"enum=all,enum=none,default=all"`
	// The share of all other requests that is logged, from 0% to 100%.
	Sample Percent `json:"sample,omitempty" jsonschema:"default=1%"`
}

// Route sends requests that meet every condition it names to a service.
type Route struct {
	// The host that is asked for, without port: a name, or *.name for the names
	// below it. Left out: any.
	Host string `json:"host,omitempty" jsonschema:"pattern=^([*][.])?[-A-Za-z0-9_.]*$,maxLength=255"`
	// The start of the path, by whole segments: /api takes /api and /api/x but
	// not /apix. Left out: any.
	Path string `json:"path,omitempty" jsonschema:"pattern=^(/[^?#* ]*)?$"`
	// HTTP methods. Left out: any.
	Methods []string `json:"methods,omitempty" jsonschema:"pattern=^[!#$%&'*+.^_|~0-9A-Z-]+$"`
	// The service that answers.
	Service string `json:"service" jsonschema:"pattern=^[a-z0-9]([-a-z0-9]*[a-z0-9])?$,maxLength=40"`
	// How long the service may take until it sends its answer's header, up to
	// 24h. Left out or 0s: as long as it likes.
	Timeout Duration `json:"timeout,omitempty" between:"0s,24h"`
}

// API is where the HTTP API listens besides its unix socket. Calls there need
// a token.
type API struct {
	// host:port. Left out: the unix socket only.
	Listen string `json:"listen,omitempty"`
	// Encrypts the listener; needed unless it listens on a loopback address.
	TLS *APITLS `json:"tls,omitempty"`
	// An OpenID Connect provider that logs people in to the dashboard. Left out:
	// by API token and by link alone.
	OIDC *OIDC `json:"oidc,omitempty"`
}

// APITLS encrypts the API's listener.
type APITLS struct {
	// At least one; chosen by the name that the client asks for.
	Certificates []Certificate `json:"certificates" jsonschema:"minItems=1"`
}

// Stamp is how requests are marked on their way through the fleet.
type Stamp struct {
	// The header that carries the stamp, beside the member greenroom.release of
	// W3C baggage.
	Header string `json:"header,omitempty" jsonschema:"pattern=^[!#$%&'*+.^_|~0-9A-Za-z-]*$,default=X-Greenroom-Release"`
}
