// Package operator is the Kubernetes engine: it keeps the fleets of a cluster,
// each by one controller over the state in its Fleet object, and sees that
// Istio's objects and Argo's Rollouts follow.
//
// It owns what is read from the cluster and written to it, in which order, and
// what a person's verb waits for. What objects a state comes to, and what to do
// about Rollouts, is platform/kubernetes's decision, which is pure; the rules of
// releases are release's. It never imports the embedded engine: gateway,
// platform/local, store, app.
//
// Start at Run; then Engine, of which there is one for each Fleet: engine.go
// builds it, round.go takes in the world, applier.go writes what follows, and
// way.go keeps the way clear for switches.
package operator
