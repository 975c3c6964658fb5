package crd

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
)

// Release names new versions of some services of the Fleet in its namespace:
// previewed together by pass holders, promoted together, rolled back together.
// What people do with it (promote, roll back, abort) are calls to the
// operator, never fields here.
type Release struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// What the release consists of.
	Spec ReleaseSpec `json:"spec"`
	// What has become of it.
	Status ReleaseStatus `json:"status,omitzero"`
}

// ReleaseList is a list of Releases.
type ReleaseList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Release `json:"items"`
}

// ReleaseSpec is what a release consists of.
type ReleaseSpec struct {
	// The Fleet, in the same namespace. Left out: the only one there is.
	Fleet string `json:"fleet,omitempty" jsonschema:"maxLength=40"`
	// What it is about, for people.
	Description string `json:"description,omitempty"`
	// How long after a promotion the former versions stay warm for a rollback,
	// up to 30d. 0s: the release settles at once and cannot be rolled back.
	RollbackWindow v1alpha1.Duration `json:"rollbackWindow,omitempty" between:"0s,30d" jsonschema:"default=1h"`
	// How long a release that was rolled back is kept for a look, from 1m to
	// 30d. Left out: the rollback window, at least 1m.
	Keep v1alpha1.Duration `json:"keep,omitempty" between:"1m,30d"`
	// The new versions, at least one and one per service at most.
	Services []ReleaseService `json:"services" listMapKey:"name" jsonschema:"minItems=1,maxItems=600"`
	// What testers sign off of this release, besides what they sign off of every
	// release of the fleet.
	Checklist []v1alpha1.ChecklistItem `json:"checklist,omitempty" listMapKey:"name" jsonschema:"maxItems=50"`
	// Checks and commands that belong to the release.
	Hooks Hooks `json:"hooks,omitzero"`
}

// ReleaseService is a new version of a service: the pods that its Rollout
// previews. Either somebody else changes the Rollout (GitOps), and the release
// adopts the preview that has this image; or, with apply, the operator sets
// the image.
type ReleaseService struct {
	// The service, declared in the Fleet.
	Name string `json:"name" jsonschema:"pattern=^[a-z0-9]([-a-z0-9]*[a-z0-9])?$,maxLength=40"`
	// The version's name, such as "2.5.0": letters, digits and . _ + -, at most
	// 64 characters. Left out: the pods' template hash.
	Version string `json:"version,omitempty" jsonschema:"pattern=^([A-Za-z0-9][-A-Za-z0-9._+]*)?$,maxLength=64"`
	// Where the version was built from, shown to people.
	Source v1alpha1.Source `json:"source,omitzero"`
	// The image that the preview must run. A tag is a reminder for people; what
	// counts is the digest, here (name@sha256:...) or of what runs. Left out:
	// whatever the Rollout previews.
	Image string `json:"image,omitempty"`
	// The container that runs image. Left out: the only one, else the one called
	// like the service.
	Container string `json:"container,omitempty"`
	// Set the image in the Rollout (or the Deployment it refers to), and set it
	// back after a rollback. Not for what GitOps owns.
	Apply bool `json:"apply,omitempty" jsonschema:"default=false"`
}

// Hooks are commands and checks by the moment they run at. They run at least
// once, in the order given, with a deadline.
type Hooks struct {
	// Before the versions start. A failure fails the release.
	Prepare []Hook `json:"prepare,omitempty" listMapKey:"name" jsonschema:"maxItems=20"`
	// When the preview is up. A failure refuses the promotion until they pass.
	Verify []Hook `json:"verify,omitempty" listMapKey:"name" jsonschema:"maxItems=20"`
	// After the former versions were stopped: there is no way back any more.
	Settle []Hook `json:"settle,omitempty" listMapKey:"name" jsonschema:"maxItems=20"`
	// After a rollback; they never delay it.
	Rollback []Hook `json:"rollback,omitempty" listMapKey:"name" jsonschema:"maxItems=20"`
	// After an abort; they never delay it.
	Abort []Hook `json:"abort,omitempty" listMapKey:"name" jsonschema:"maxItems=20"`
}

// Hook is one Job (job), one check (http) or one analysis of Argo Rollouts
// (analysis). A Job gets GREENROOM_RELEASE, GREENROOM_EDGE_URL, GREENROOM_PASS
// and GREENROOM_HOOK_ID; an analysis the arguments release, edge-url, pass and
// hook-id, of these the ones that its template declares.
type Hook struct {
	// Unique among the hooks of its moment; lower-case letters, digits and
	// dashes, at most 40 characters.
	Name string `json:"name" jsonschema:"pattern=^[a-z0-9]([-a-z0-9]*[a-z0-9])?$,maxLength=40"`
	// The name of a CronJob in the namespace, suspended, whose job template is
	// run.
	Job string `json:"job,omitempty"`
	// A request to the edge as a holder of a pass for the release.
	HTTP *v1alpha1.HTTPCheck `json:"http,omitempty"`
	// The name of an AnalysisTemplate in the namespace, of which an AnalysisRun
	// is made.
	Analysis string `json:"analysis,omitempty" jsonschema:"maxLength=253"`
	// When it counts as failed, from 1s to 24h.
	Timeout v1alpha1.Duration `json:"timeout,omitempty" between:"1s,24h" jsonschema:"default=1m"`
}

// ReleaseStatus is a view of the Fleet's state for one release; nothing reads
// it back.
type ReleaseStatus struct {
	// The generation that the rest speaks of.
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// The state's own number of this content; a promotion names it.
	Content int64 `json:"content,omitempty"`
	// Preparing, Previewing, Canary, Live, Settling, Settled, Aborted or Failed.
	Phase string `json:"phase,omitempty"`
	// From when on.
	Since *metav1.Time `json:"since,omitempty"`
	// What it waits for, or why it failed.
	Reason string `json:"reason,omitempty"`
	// The stamp of its view.
	Stamp string `json:"stamp,omitempty"`
	// It can be rolled back until then.
	Until *metav1.Time `json:"until,omitempty"`
	// The versions that it brings.
	Versions []ReleaseVersion `json:"versions,omitempty"`
	// What is wrong or missing, and what to do about it.
	Conditions []metav1.Condition `json:"conditions,omitempty" listMapKey:"type"`
}

// ReleaseVersion is a version as it was found in the cluster.
type ReleaseVersion struct {
	// The service.
	Service string `json:"service"`
	// The version's name.
	Version string `json:"version,omitempty"`
	// The pods' template hash, as Argo labels them.
	PodTemplateHash string `json:"podTemplateHash,omitempty"`
	// The image that its pods run, by digest.
	Image string `json:"image,omitempty"`
	// The version that it replaces.
	Replaces string `json:"replaces,omitempty"`
	// Pods that take requests.
	Ready int `json:"ready,omitempty"`
	// Pods that are wanted.
	Replicas int `json:"replicas,omitempty"`
}
