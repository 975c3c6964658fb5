// Package e2e tells the stories of the Kubernetes engine on a real Kubernetes
// with Istio and Argo Rollouts: with pods, sidecars, an ingress gateway, and
// traffic from outside.
//
// It owns the demo fleet of these stories (package hop and manifests/), the
// traffic that it is put under, and what counts there as failed and as mixed.
// How a cluster comes about is test/cluster's. The tests have the build tag
// e2e, need root and some 12 minutes with the cluster's binaries at hand, and
// run one after the other, since they share the machine:
//
//	go test -tags e2e -timeout 40m ./test/e2e
//
// With GREENROOM_CLUSTER=DIR they use the cluster that
// `go run ./test/cluster/cmd --state DIR up` left running, and leave it so.
//
// It is a module of its own, since it needs test/cluster, which the root module
// must not; internal packages of the root are open to it by its path. Start at
// main_test.go; every other file is one story, or one part of the stage.
package e2e
