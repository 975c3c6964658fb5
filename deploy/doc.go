// Package deploy is what is installed in a cluster: the manifests below
// kustomize, and the operator's own as the program prints them.
//
// It owns no decision. kustomize/crd is generated from package crd, rbac.yaml
// from internal/operator/rbac, and manifests/operator.yaml is what kustomize
// makes of kustomize/operator (go generate ./deploy); a test builds it anew with
// kustomize's Go API, which the program itself does not link. kustomize/service
// and kustomize/example are for users to copy and refer to; tests build them
// too, and hold the results to files in testdata.
//
// The package imports nothing of greenroom.
//
// Start at Manifests.
package deploy

//go:generate go test -count=1 -run UpToDate|TestExample|TestServiceWithPrefix . -update
