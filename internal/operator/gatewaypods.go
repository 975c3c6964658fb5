package operator

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
)

// gatewaysEvery is how often the labels of gateways' pods are read, while they
// decide anything.
const gatewaysEvery = 30 * time.Second

// gatewayLabels are the labels of gateways' pods as they were read last.
type gatewayLabels struct {
	at   time.Time
	pods []kubernetes.GatewayPods
}

// lookAtGateways reads the labels of the gateways' pods, where JWT rules of
// others may hold for them. Without an answer every such rule counts. It is used
// by rounds alone.
func (e *Engine) lookAtGateways(ctx context.Context, w *world) {
	if !(kubernetes.Input{Fleet: w.fleet, RequestAuthentications: w.requestAuthentications}).ForeignRules() {
		e.gatewaySeen = gatewayLabels{}
		return
	}
	if !e.gatewaySeen.at.IsZero() && e.d.Now().Sub(e.gatewaySeen.at) < gatewaysEvery {
		return
	}
	next := gatewayLabels{at: e.d.Now()}
	for _, g := range w.fleet.Spec.Edge.Gateways {
		namespace, _, _ := strings.Cut(g.Name, "/")
		if g.Namespace != "" {
			namespace = g.Namespace
		}
		labels, err := e.labelsAt(ctx, namespace, g.Selector)
		if err != nil {
			e.log.Warn("the labels of a gateway's pods are not known; every JWT rule that may hold there counts", "gateway", g.Name, "error", err)
			continue
		}
		next.pods = append(next.pods, kubernetes.GatewayPods{Namespace: namespace, Selector: g.Selector, Labels: labels})
	}
	e.gatewaySeen = next
}

// labelsAt are the labels of pods that a selector takes in, equal ones once.
func (e *Engine) labelsAt(ctx context.Context, namespace string, selector map[string]string) ([]map[string]string, error) {
	pods := &metav1.PartialObjectMetadataList{}
	pods.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PodList"))
	if err := e.d.Direct.List(ctx, pods, client.InNamespace(namespace), client.MatchingLabels(selector)); err != nil {
		return nil, fmt.Errorf("list the pods in %s: %w", namespace, err)
	}
	var out []map[string]string
	for _, p := range pods.Items {
		if !slices.ContainsFunc(out, func(known map[string]string) bool { return maps.Equal(known, p.Labels) }) {
			out = append(out, p.Labels)
		}
	}
	return out, nil
}
