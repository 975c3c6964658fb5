package operator

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
)

// arriving is how long a cache may take to show what was written.
const arriving = 5 * time.Second

// written is what is known of an object that was written: enough to tell
// whether it is still so, and no more, for there are many.
type written struct {
	digest      kubernetes.Digest // of what was desired
	at          time.Time
	uid         types.UID
	generation  int64  // 0 for a Service: the API server counts none there
	version     string // resourceVersion
	labels      map[string]string
	annotations map[string]string
	service     *corev1.Service // as it was desired, if it is one

	seen bool // a cache has shown it
}

// stands reports whether an object, as a cache shows it, is still what was
// written. A cache that is behind shows a former one, or none for a while: what
// comes is newer. Whoever changes a spec raises the generation.
func (w *written) stands(existing kubernetes.Object, now time.Time) bool {
	if existing == nil {
		return !w.seen && now.Sub(w.at) < arriving
	}
	if existing.GetUID() != w.uid {
		return false
	}
	w.seen = true
	if w.service != nil {
		return kubernetes.Same(w.service, existing)
	}
	return existing.GetGeneration() <= w.generation &&
		kubernetes.Within(w.labels, existing.GetLabels()) && kubernetes.Within(w.annotations, existing.GetAnnotations())
}
