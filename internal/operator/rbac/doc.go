// Package rbac is what the operator may do in a cluster, and why: one table,
// from which the manifests and the page for people are generated.
//
// It owns the rights of the operator's own ServiceAccount. What people may do is
// in deploy/kustomize/operator/people.yaml, and who may do what with a release
// is asked of the API server each time (package access). It imports nothing of
// greenroom.
//
// A right that is not in the table is not there: add a rule with its reason,
// run go generate ./internal/operator/rbac, and the operator gets it with the
// next install.
//
// Start at Rules.
package rbac

//go:generate go test -count=1 -run UpToDate . -update
