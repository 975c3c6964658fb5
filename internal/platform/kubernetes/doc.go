// Package kubernetes is the engine where Argo Rollouts owns the pods and Istio
// the traffic: it says which objects a fleet's state comes to, and reads from
// the cluster how the versions are doing.
//
// It owns the names, labels and content of every object that greenroom makes
// in a cluster, the view of Rollouts that it needs, and the conditions that
// tell people what is in the way. What is here is pure: no client, no clock, no
// goroutine. It decides nothing about releases (package release does) and
// chooses no versions for a call (package route has the rules; tests hold the
// produced routes to them). It never imports the embedded engine: gateway,
// platform/local, store.
//
// What greenroom makes carries its labels, is applied server-side under
// FieldManager, and nothing else is ever changed or deleted.
//
// Start at Translate, then mesh.go for the routes between services and edge.go
// for those from outside.
package kubernetes
