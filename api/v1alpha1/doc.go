// Package v1alpha1 holds the documents that people write: Fleet and Release,
// version greenroom.dev/v1alpha1.
//
// It owns the names of the fields, what each of them means, and what is taken
// when it is left out. The doc comments are the reference: the JSON Schema in
// schema/ and docs/configuration.md are generated from them (go generate), so
// they speak to the author of a document rather than to a Go programmer. The
// same types serve as Kubernetes custom resources: where the difference between
// left out and zero matters a field is a pointer or a text.
//
// Bounds that other programs check too stand in tags: jsonschema for those
// that JSON Schema knows, between for the least and the most of a duration.
//
// The package imports nothing else of greenroom and does not check or complete
// a document; internal/config does.
//
// Start at Fleet and Release.
package v1alpha1

//go:generate go run ./gen

// APIVersion is what a document's apiVersion must be.
const APIVersion = "greenroom.dev/v1alpha1"

// The kinds of documents.
const (
	KindFleet   = "Fleet"
	KindRelease = "Release"
)

// Metadata names a document.
type Metadata struct {
	// Name of the fleet or the release: lower-case letters, digits and dashes,
	// at most 40 characters. A release must not be called baseline.
	Name string `json:"name" jsonschema:"pattern=^[a-z0-9]([-a-z0-9]*[a-z0-9])?$,maxLength=40"`
}
