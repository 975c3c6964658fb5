package operator

import (
	"context"
	"maps"
	"slices"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
)

// guardEvery is how often the guards are looked for.
const guardEvery = time.Minute

// guards are the policies that are installed beside the operator, and what can
// happen without each.
func guards() map[string]string {
	return map[string]string{
		"greenroom-guard":       "a newer image that comes while a release previews makes Argo scale the release's pods down",
		"greenroom-opened-by":   "who may write Releases can write that somebody else did",
		"greenroom-break-glass": "who may write Fleets or VirtualServices can write that somebody else rolled back without the operator",
	}
}

// guardCheck remembers which guards are not installed.
type guardCheck struct {
	at      time.Time
	missing []string
}

// lookForGuard says what nothing keeps people from, if it is so. It is used by
// rounds alone.
func (e *Engine) lookForGuard(ctx context.Context) []kubernetes.Condition {
	known := guards()
	if e.guardSeen.at.IsZero() || e.d.Now().Sub(e.guardSeen.at) >= guardEvery {
		e.guardSeen = guardCheck{at: e.d.Now()}
		for _, name := range slices.Sorted(maps.Keys(known)) {
			key := client.ObjectKey{Name: name}
			policy := e.d.Direct.Get(ctx, key, &admissionv1.ValidatingAdmissionPolicy{})
			binding := e.d.Direct.Get(ctx, key, &admissionv1.ValidatingAdmissionPolicyBinding{})
			if apierrors.IsNotFound(policy) || apierrors.IsNotFound(binding) {
				e.guardSeen.missing = append(e.guardSeen.missing, name)
			}
		}
	}
	var out []kubernetes.Condition
	for _, name := range e.guardSeen.missing {
		out = append(out, kubernetes.Condition{Type: kubernetes.GuardMissing, Object: "ValidatingAdmissionPolicy " + name,
			Message: "it is not installed, or not bound: " + known[name] + ".",
			Remedy:  "Apply deploy/kustomize/operator, or what greenroom-operator manifests prints."})
	}
	return out
}
