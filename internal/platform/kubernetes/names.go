package kubernetes

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

// FieldManager is who applies what greenroom makes.
const FieldManager = "greenroom-operator"

// The labels of what greenroom makes. An object without LabelManaged and the
// fleet's two labels is somebody else's.
const (
	LabelManaged   = "app.kubernetes.io/managed-by"
	ManagedBy      = "greenroom"
	LabelFleet     = "greenroom.dev/fleet"
	LabelNamespace = "greenroom.dev/fleet-namespace" // since objects of a gateway lie in the gateway's namespace
	LabelService   = "greenroom.dev/service"         // the fleet's name for it
)

// HashLabel is the label by which Argo tells the pods of a Rollout's versions
// apart, and which it sets in the selectors of its Services.
const HashLabel = "rollouts-pod-template-hash"

// Labels are those of everything that belongs to a fleet.
func Labels(f *crd.Fleet) map[string]string { return LabelsOf(f.Namespace, f.Name) }

// LabelsOf returns the labels of everything that belongs to the fleet of that
// namespace and name.
func LabelsOf(namespace, fleet string) map[string]string {
	return map[string]string{LabelManaged: ManagedBy, LabelFleet: fleet, LabelNamespace: namespace}
}

// NameOf returns the name of an object of a fleet. Parts are joined by dots,
// which no name of a fleet or a service contains, so that no two objects get
// the same name.
func NameOf(fleet string, parts ...string) string {
	return "greenroom." + fleet + "." + strings.Join(parts, ".")
}

// Owns reports whether an object is one that greenroom made for a fleet.
func Owns(f *crd.Fleet, o metav1.Object) bool {
	for key, value := range Labels(f) {
		if o.GetLabels()[key] != value {
			return false
		}
	}
	return true
}

// ours reports whether greenroom made an object, for whichever fleet.
func ours(o metav1.Object) bool { return o.GetLabels()[LabelManaged] == ManagedBy }

// meta names an object of a fleet.
func (t *translation) meta(namespace string, parts ...string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: namespace,
		Name:      NameOf(t.Fleet.Name, parts...),
		Labels:    Labels(t.Fleet),
	}
}

// pinnedName is the name of the Service that selects the pods of one version:
// a DNS label, since a service's name has at most 40 characters.
func pinnedName(service, hash string) string { return "gr-" + service + "-" + hash }
