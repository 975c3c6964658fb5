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
	// Which request goes to which service; the first match wins. Left out in a
	// fleet of one service: everything goes there. Any other fleet needs routes.
	Routes []Route `json:"routes,omitempty"`
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
	// Requests that were answered with 5xx or not at all: all or none.
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
