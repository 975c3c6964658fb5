package operator

import (
	"fmt"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	telemetryv1 "istio.io/client-go/pkg/apis/telemetry/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

// Scheme is every kind that the operator reads or writes by a Go type.
func Scheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, networkingv1.AddToScheme, securityv1.AddToScheme, telemetryv1.AddToScheme, crd.AddToScheme,
	} {
		if err := add(s); err != nil {
			return nil, fmt.Errorf("the operator's kinds: %w", err)
		}
	}
	return s, nil
}
