package operator

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
)

// Kubernetes cuts the name that a pod has from its Rollout's.
func TestPodsOfARolloutWithALongName(t *testing.T) {
	name := strings.Repeat("chat-", 12) + "rollout"
	r := &kubernetes.Rollout{}
	r.Metadata.Name = name
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name[:58] + "x7k2p", Labels: map[string]string{kubernetes.HashLabel: "5d4f"}}}
	other := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name[:58] + "b9w4c", Labels: map[string]string{kubernetes.HashLabel: "77aa"}}}
	w := &world{seen: map[string]kubernetes.Seen{"chat": {Rollout: r}}, pods: map[string][]*corev1.Pod{name: {p, other}, "web": {p}}}
	if got := podsOf(w, "chat", "5d4f"); len(got) != 1 || got[0] != p {
		t.Errorf("got %d pods", len(got))
	}
}
