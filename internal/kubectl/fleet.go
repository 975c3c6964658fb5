package kubectl

import (
	"context"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/command"
)

// fleetName is the Fleet that a command means: the one named, else the only one
// of the namespace.
func fleetName(ctx context.Context, named string, c kube.Client, namespace string) (string, error) {
	if named != "" {
		return named, nil
	}
	var list crd.FleetList
	if err := c.List(ctx, &list, kube.InNamespace(namespace)); err != nil {
		return "", clusterError(err, "look for Fleets in the namespace "+namespace)
	}
	var names []string
	for _, f := range list.Items {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	switch len(names) {
	case 1:
		return names[0], nil
	case 0:
		return "", command.BadInputf("there is no Fleet in the namespace %s; name another with -n, or apply one: kubectl apply -f fleet.yaml", namespace)
	}
	return "", command.BadInputf("the namespace %s has several Fleets: %s; name one with --fleet", namespace, strings.Join(names, ", "))
}

// clusterError says what an error of the API server means to the caller, who
// was about to do something.
func clusterError(err error, doing string) error {
	switch {
	case meta.IsNoMatchError(err):
		return unreachable("the cluster does not know Fleets and Releases", "install greenroom: kubectl apply -k deploy/kustomize/operator", err)
	case apierrors.IsForbidden(err):
		return &command.CodedError{Err: &reachError{doing + ": " + reasonOf(err), "ask for the role greenroom-viewer in that namespace", err}, Code: command.Refused}
	case apierrors.IsUnauthorized(err):
		return unreachable("the cluster does not know you", "log in to it again: kubectl auth whoami tells whether it knows you", err)
	case apierrors.IsNotFound(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return command.BadInputf("%s: %s", doing, reasonOf(err))
	}
	return unreachable(doing+": "+err.Error(), "kubectl cluster-info tells whether the cluster answers", err)
}
