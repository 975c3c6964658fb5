package kubernetes

import (
	"cmp"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	telemetryv1 "istio.io/client-go/pkg/apis/telemetry/v1"
	corev1 "k8s.io/api/core/v1"
)

// Same reports whether an object in the cluster says what is desired of it:
// everything that greenroom writes, whatever the API server has added.
func Same(desired, existing Object) bool {
	if !Within(desired.GetLabels(), existing.GetLabels()) || !Within(desired.GetAnnotations(), existing.GetAnnotations()) {
		return false
	}
	switch d := desired.(type) {
	case *corev1.Service:
		e, ok := existing.(*corev1.Service)
		return ok && sameService(d.Spec, e.Spec)
	case *networkingv1.VirtualService:
		e, ok := existing.(*networkingv1.VirtualService)
		return ok && proto.Equal(&d.Spec, &e.Spec)
	case *networkingv1.DestinationRule:
		e, ok := existing.(*networkingv1.DestinationRule)
		return ok && proto.Equal(&d.Spec, &e.Spec)
	case *securityv1.RequestAuthentication:
		e, ok := existing.(*securityv1.RequestAuthentication)
		return ok && proto.Equal(&d.Spec, &e.Spec)
	case *securityv1.AuthorizationPolicy:
		e, ok := existing.(*securityv1.AuthorizationPolicy)
		return ok && proto.Equal(&d.Spec, &e.Spec)
	case *telemetryv1.Telemetry:
		e, ok := existing.(*telemetryv1.Telemetry)
		return ok && proto.Equal(&d.Spec, &e.Spec)
	}
	return false
}

// Within reports whether all of some labels or annotations stand in others.
func Within(some, all map[string]string) bool {
	for key, value := range some {
		if have, ok := all[key]; !ok || have != value {
			return false
		}
	}
	return true
}

func sameService(a, b corev1.ServiceSpec) bool {
	return cmp.Or(a.Type, corev1.ServiceTypeClusterIP) == cmp.Or(b.Type, corev1.ServiceTypeClusterIP) &&
		maps.Equal(a.Selector, b.Selector) &&
		slices.EqualFunc(a.Ports, b.Ports, func(x, y corev1.ServicePort) bool {
			return x.Name == y.Name && x.Port == y.Port && x.TargetPort == y.TargetPort &&
				cmp.Or(x.Protocol, corev1.ProtocolTCP) == cmp.Or(y.Protocol, corev1.ProtocolTCP) &&
				(x.AppProtocol == nil) == (y.AppProtocol == nil) && (x.AppProtocol == nil || *x.AppProtocol == *y.AppProtocol)
		})
}
