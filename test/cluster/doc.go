// Package cluster runs a real Kubernetes with Istio and Argo Rollouts on one
// plain Linux machine, for tests and for trying things out: no virtual
// machine, no image registry, no container daemon that is there already.
//
// Everything is either built from Go modules (the modules under tools/ say
// which, and at which versions), or comes from a Debian or Python package;
// images are written by this package and handed to its own containerd. Start
// brings all of it up, waits until it answers, and returns a Cluster; Stop, or
// Down in another process, takes away what Start made and nothing else. What
// was made is written down before it is made, so that a process killed in the
// middle leaves nothing that the next Start or Down doesn't clean up.
//
// It needs root, since it makes a bridge, network namespaces, mounts and
// cgroups. Its addresses are 10.244.0.0/24 (pods; the node is 10.244.0.1) and
// 10.96.0.0/16 (services); from outside only loopback is listened on: the
// ingress gateway at Cluster.Gateway. One cluster runs on a machine at a time.
//
// A reader starts at cluster.go; each part of the cluster has a file of its
// name, and teardown.go is the end. The package imports nothing of greenroom but
// how images are written, and nothing of Kubernetes: it speaks to the API server
// over HTTP and with the kubectl that it built.
package cluster
