package adopt

import (
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Found is a Deployment and what has to do with it.
type Found struct {
	Deployment *appsv1.Deployment
	// Active is the name of the Service that others call. Empty: the only one
	// that selects the pods, or the one called like the Deployment.
	Active      string
	Services    []*corev1.Service                      // that select the Deployment's pods
	Autoscaler  *autoscalingv2.HorizontalPodAutoscaler // nil: none
	RolloutName string                                 // that takes the Deployment's template already; empty: none
	Istio       Istio                                  // empty where there is no Istio
	Elsewhere   bool                                   // whether other namespaces could be looked at
}

// Istio is what routes requests, in every namespace that could be looked at.
type Istio struct {
	VirtualServices  []*networkingv1.VirtualService
	DestinationRules []*networkingv1.DestinationRule
	Gateways         []*networkingv1.Gateway
}

// selects reports whether a Service leads to the Deployment's pods.
func selects(s *corev1.Service, d *appsv1.Deployment) bool {
	return len(s.Spec.Selector) > 0 && labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(d.Spec.Template.Labels))
}
