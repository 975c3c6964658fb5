// Package adopt says how a Deployment comes under greenroom without losing a pod
// or a rule on the way: which Rollout, Services and autoscaler take its place, and
// what its VirtualServices say that the Fleet has to say from then on.
//
// It owns the choice of what is made and the order in which it is applied. It
// changes nothing: Read only looks, Decide is pure, and Write prints what a person
// reads, keeps where the manifests are kept, and applies. What the objects mean to
// greenroom is package kubernetes' matter.
//
// The Deployment stays. Its Rollout takes the pod template from it (workloadRef)
// and starts as many pods beside it; both answer, since one Service selects both,
// until Argo narrows the Service to the Rollout's pods, all of which are ready by
// then. Only when that has reached every proxy may the Deployment's pods go, and
// until then another Service keeps them in the mesh.
//
// Start at Decide.
package adopt
