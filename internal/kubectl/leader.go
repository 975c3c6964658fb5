package kubectl

import (
	"context"
	"fmt"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// leaseName is the Lease that names the operator that leads.
const leaseName = "greenroom-operator"

// leader is who holds the operator's Lease.
type leader struct {
	pod  string
	seen time.Time // when it renewed the Lease last
	late bool      // it should have renewed it again by now: it is gone, or cut off
}

// findLeader asks for the Lease. A Lease that nobody holds is an error.
func findLeader(ctx context.Context, k kubernetes.Interface, namespace string, now time.Time) (leader, error) {
	lease, err := k.CoordinationV1().Leases(namespace).Get(ctx, leaseName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return leader{}, unreachable(fmt.Sprintf("no operator has run in the namespace %s", namespace),
			"install it: kubectl apply -k deploy/kustomize/operator; or name its namespace with --operator-namespace", err)
	case apierrors.IsForbidden(err):
		return leader{}, unreachable("you may not see who leads: "+reasonOf(err), "ask for the role greenroom-connect in the namespace "+namespace, err)
	case err != nil:
		return leader{}, clusterError(err, "look for the operator")
	}
	l := readLease(lease, now)
	if l.pod == "" {
		return leader{}, unreachable("no operator leads: the Lease "+namespace+"/"+leaseName+" has no holder",
			"kubectl -n "+namespace+" get pods shows what keeps it from running", nil)
	}
	return l, nil
}

// readLease says who holds a Lease. Identities are a pod's name, and for some a
// suffix after an underscore, which no name of a pod has.
func readLease(lease *coordinationv1.Lease, now time.Time) leader {
	var l leader
	if lease.Spec.HolderIdentity != nil {
		l.pod, _, _ = strings.Cut(*lease.Spec.HolderIdentity, "_")
	}
	if lease.Spec.RenewTime != nil {
		l.seen = lease.Spec.RenewTime.Time
	}
	if lease.Spec.LeaseDurationSeconds != nil {
		l.late = now.After(l.seen.Add(time.Duration(*lease.Spec.LeaseDurationSeconds) * time.Second))
	}
	return l
}
