// Package operatortest runs a real API server with its etcd for tests of what
// speaks to Kubernetes, with the custom resources of greenroom, Istio and Argo
// Rollouts installed.
//
// There is no node, no controller manager and no scheduler: nothing makes
// pods, endpoints or service accounts, nothing collects garbage, and a
// Rollout's status is what the test writes. In exchange it needs no root, is
// ready in seconds, and any number of them run at the same time, on loopback
// ports of their own.
//
// It imports nothing of greenroom and is imported by tests alone. The binaries
// are those of test/cluster. Where they are not at hand a test is skipped and
// says how to make them; under CI=true they are made.
//
// Start at Start.
package operatortest
