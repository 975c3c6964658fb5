package v1alpha1

// Release names new versions of some services of a fleet: previewed together
// by pass holders, promoted together, rolled back together.
type Release struct {
	// Always greenroom.dev/v1alpha1.
	APIVersion string `json:"apiVersion" jsonschema:"enum=greenroom.dev/v1alpha1"`
	// Always Release.
	Kind string `json:"kind" jsonschema:"enum=Release"`
	// The release's name.
	Metadata Metadata `json:"metadata"`
	// What the release consists of.
	Spec ReleaseSpec `json:"spec"`
}

// ReleaseSpec is what a release consists of.
type ReleaseSpec struct {
	// What it is about, for people.
	Description string `json:"description,omitempty"`
	// How long after a promotion the former versions stay warm for a rollback,
	// up to 30d. 0s: the release settles at once and cannot be rolled back.
	RollbackWindow Duration `json:"rollbackWindow,omitempty" between:"0s,30d" jsonschema:"default=1h"`
	// How long a release that was rolled back is kept for a look, from 1m to
	// 30d. Left out: the rollback window, at least 1m.
	Keep Duration `json:"keep,omitempty" between:"1m,30d"`
	// The new versions, at least one and one per service at most.
	Services []ReleaseService `json:"services" jsonschema:"minItems=1"`
	// What testers sign off of this release, besides what they sign off of every
	// release of the fleet.
	Checklist []ChecklistItem `json:"checklist,omitempty" jsonschema:"maxItems=50"`
	// Commands and checks that belong to the release.
	Hooks Hooks `json:"hooks,omitzero"`
}

// ReleaseService is a new version of a service. What it leaves out comes from
// the version that it replaces: the command whole, the environment key by key,
// the rest field by field. The version's name and source are not taken over
// unless nothing else changes.
type ReleaseService struct {
	// The service, declared in the Fleet.
	Name string `json:"name" jsonschema:"pattern=^[a-z0-9]([-a-z0-9]*[a-z0-9])?$,maxLength=40"`
	// The version's name, such as "2.5.0": letters, digits and . _ + -, at most
	// 64 characters. Left out: the first ten digits of its digest.
	Version string `json:"version,omitempty" jsonschema:"pattern=^([A-Za-z0-9][-A-Za-z0-9._+]*)?$,maxLength=64"`
	// Where the version was built from, shown to people.
	Source Source `json:"source,omitzero"`
	// How greenroom runs it.
	Run *Run `json:"run,omitempty"`
	// host:port of the instances, where something else runs them.
	Endpoints []string `json:"endpoints,omitempty"`
	// A container image. Kubernetes only.
	Image string `json:"image,omitempty"`
}

// Hooks are commands and checks by the moment they run at. They run at least
// once, in the order given, with a deadline.
type Hooks struct {
	// Before the versions start. A failure fails the release.
	Prepare []Hook `json:"prepare,omitempty"`
	// When the preview is up. A failure refuses the promotion until they pass.
	Verify []Hook `json:"verify,omitempty"`
	// After the former versions were stopped: there is no way back any more.
	Settle []Hook `json:"settle,omitempty"`
	// After a rollback; they never delay it.
	Rollback []Hook `json:"rollback,omitempty"`
	// After an abort; they never delay it.
	Abort []Hook `json:"abort,omitempty"`
}

// Hook is one command (run) or one check (http). It gets GREENROOM_RELEASE,
// GREENROOM_EDGE_URL and GREENROOM_PASS.
type Hook struct {
	// Unique among the hooks of its moment; lower-case letters, digits and
	// dashes, at most 40 characters.
	Name string `json:"name" jsonschema:"pattern=^[a-z0-9]([-a-z0-9]*[a-z0-9])?$,maxLength=40"`
	// The executable and its arguments. A path with a slash is relative to the
	// document, a bare name is looked up in PATH.
	Run []string `json:"run,omitempty"`
	// The command's working directory, relative to the document. Left out: the
	// document's folder.
	Dir string `json:"dir,omitempty"`
	// Environment variables of the command.
	Env map[string]string `json:"env,omitempty"`
	// A request to the edge as a holder of a pass for the release.
	HTTP *HTTPCheck `json:"http,omitempty"`
	// When it counts as failed, from 1s to 24h.
	Timeout Duration `json:"timeout,omitempty" between:"1s,24h" jsonschema:"default=1m"`
}

// HTTPCheck is a request to the edge as a holder of a pass for the release.
type HTTPCheck struct {
	// The path, with the query if there is one.
	Path string `json:"path" jsonschema:"pattern=^/"`
	// The method.
	Method string `json:"method,omitempty" jsonschema:"default=GET"`
	// The expected status, from 100 to 599. Left out: any 2xx.
	Status *int `json:"status,omitempty" jsonschema:"minimum=100,maximum=599"`
}
