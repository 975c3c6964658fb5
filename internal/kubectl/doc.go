// Package kubectl is the command line of kubectl greenroom, a plugin of kubectl:
// the commands that both engines have, over the Kubernetes operator.
//
// It owns how people reach the operator (kubeconfig, who leads, a port-forward,
// which credentials go along), which Fleet a command means, and the commands
// that only a cluster has: a release that is opened by applying its object,
// adopt, and the rollback without the operator. What is printed and asked is
// package command's; it must import neither the operator nor the embedded
// engine.
//
// Start at Main; connection.go is the way to the operator.
package kubectl

//go:generate go test -count=1 -run ReferenceUpToDate . -update
