// Package crd holds Fleet and Release as Kubernetes keeps them: the custom
// resources of greenroom.dev/v1alpha1.
//
// It owns what is Kubernetes' own of the two: object metadata, status, and the
// fields that only a cluster has. A field that means the same as in the
// document of the embedded engine has the same name, the same type and the
// same bounds, and where a whole type means the same it is that of package
// v1alpha1; the generator's tests hold them to it. The doc comments are the
// descriptions in the CRDs under deploy/kustomize/crd, which are generated
// (go generate ./api/...), so they speak to the author of a document.
//
// The API server takes a whole object apart with every write of its status, and a
// switch waits for that of a Fleet. A field with the tag mapType:"atomic" counts as
// one there, however much is in it, so that nobody has to be asked whose each part
// of it is; and the rules about services and routes are asked where it is the spec
// that is written (gen/specalone.go).
//
// The package imports package v1alpha1 and k8s.io/apimachinery. Package
// v1alpha1 must never import it: greenroom links nothing of Kubernetes. It
// decides nothing; internal/platform/kubernetes does.
//
// Start at Fleet and Release.
package crd

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the API group and version of both kinds.
func GroupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: "greenroom.dev", Version: "v1alpha1"}
}

// AddToScheme makes both kinds known to a scheme. It never fails; the error is
// there so that it can stand where scheme builders are wanted.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion(), &Fleet{}, &FleetList{}, &Release{}, &ReleaseList{})
	metav1.AddToGroupVersion(s, GroupVersion())
	return nil
}
