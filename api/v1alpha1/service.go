package v1alpha1

// Service is a name that others call, how it is asked whether it is well, and
// the first version of it. A version is either run by greenroom (run) or by
// something else (endpoints).
type Service struct {
	// Lower-case letters, digits and dashes, at most 40 characters. Others find
	// the service by environment: CHAT_SERVICE_HOST, CHAT_SERVICE_PORT and
	// GREENROOM_URL_CHAT for one called chat.
	Name string `json:"name" jsonschema:"pattern=^[a-z0-9]([-a-z0-9]*[a-z0-9])?$,maxLength=40"`
	// What its instances speak: http is HTTP/1.1 with upgrades, grpc is HTTP/2
	// in cleartext with prior knowledge.
	Protocol string `json:"protocol,omitempty" jsonschema:"enum=http,enum=grpc,default=http"`
	// The first version's name, such as "2.4.1": letters, digits and . _ + -,
	// at most 64 characters. Left out: the first ten digits of its digest.
	Version string `json:"version,omitempty" jsonschema:"pattern=^([A-Za-z0-9][-A-Za-z0-9._+]*)?$,maxLength=64"`
	// Where the first version was built from, shown to people.
	Source Source `json:"source,omitzero"`
	// How greenroom runs it.
	Run *Run `json:"run,omitempty"`
	// host:port of the instances, where something else runs them.
	Endpoints []string `json:"endpoints,omitempty"`
	// A container image. Kubernetes only.
	Image string `json:"image,omitempty"`
	// When an instance is ready for requests.
	Health Health `json:"health,omitzero"`
	// From asking an instance to stop until it is killed, up to 24h; streams may
	// outlive their release that long.
	Drain Duration `json:"drain,omitempty" between:"0s,24h" jsonschema:"default=30s"`
	// The services it may call. Left out: every other. []: none.
	Calls []string `json:"calls,omitzero"`
	// It has work without requests (queues, timers), done by the version on
	// stage alone: what serves ordinary requests.
	Background bool `json:"background,omitempty" jsonschema:"default=false"`
}

// Source is where a version was built from.
type Source struct {
	// The commit.
	Commit string `json:"commit,omitempty"`
	// A page about it.
	URL string `json:"url,omitempty"`
}

// Run is how greenroom runs a version's processes. They get PATH, HOME, LANG
// and TMPDIR, what is declared here, the port to listen on as PORT, and the
// addresses of the other services.
type Run struct {
	// The executable and its arguments. A path with a slash is relative to the
	// document, and the executable is copied into the state folder, so that a
	// later build does not change what runs. A bare name is looked up in PATH
	// and runs where it is.
	Command []string `json:"command,omitempty"`
	// Run the executable where it is rather than from a copy. A change on disk
	// then changes the version at its next start, which is reported. Left out:
	// true for a bare name, false for a path.
	InPlace *bool `json:"inPlace,omitempty"`
	// The working directory, relative to the document. Left out: the document's
	// folder.
	Dir string `json:"dir,omitempty"`
	// Environment variables. In a Release null removes one. PORT, GREENROOM_*
	// and the addresses of the fleet's services are set by greenroom.
	Env map[string]*string `json:"env,omitempty"`
	// A file of KEY=value lines, read at each start and stored nowhere: the
	// place for secrets. Relative to the document.
	EnvFile string `json:"envFile,omitempty"`
	// How many processes, from 1 to 100.
	Replicas *int `json:"replicas,omitempty" jsonschema:"default=1,minimum=1,maximum=100"`
}

// Health says when an instance is ready for requests: one of path, grpc and
// tcp. Left out: path /healthz for http, grpc for grpc, tcp for endpoints.
type Health struct {
	// GET this path answers 2xx or 3xx.
	Path string `json:"path,omitempty" jsonschema:"default=/healthz"`
	// grpc.health.v1 says SERVING.
	GRPC *GRPCHealth `json:"grpc,omitempty"`
	// true: the port accepts connections.
	TCP bool `json:"tcp,omitempty"`
	// Between two checks, from 100ms to 1h.
	Interval Duration `json:"interval,omitempty" jsonschema:"default=2s"`
	// Of one check, from 10ms to 10m.
	Timeout Duration `json:"timeout,omitempty" jsonschema:"default=1s"`
	// Failed checks in a row until an instance is not ready, from 1 to 100.
	Failures *int `json:"failures,omitempty" jsonschema:"default=3,minimum=1,maximum=100"`
	// A version that is not ready by then has failed, from 1s to 24h.
	StartWithin Duration `json:"startWithin,omitempty" jsonschema:"default=60s"`
	// How often an instance may exit before it was ever ready, from 0 to 1000;
	// once more and the version has failed.
	MaxRestarts *int `json:"maxRestarts,omitempty" jsonschema:"default=5,minimum=0,maximum=1000"`
}

// GRPCHealth asks the grpc.health.v1 service.
type GRPCHealth struct {
	// The service to ask about. Left out: the server as a whole.
	Service string `json:"service,omitempty"`
}
