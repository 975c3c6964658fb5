package adopt

import (
	"context"
	"fmt"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
)

// Scheme adds to a scheme every kind that Read asks for by type.
func Scheme(s *runtime.Scheme) error {
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, autoscalingv2.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme,
	} {
		if err := add(s); err != nil {
			return fmt.Errorf("registering the kinds of a Deployment's surroundings: %w", err)
		}
	}
	return nil
}

// Read finds a Deployment and what has to do with it. The client's scheme needs
// the kinds of Scheme. Istio's objects are looked for in every namespace where
// the caller may, else in the Deployment's own alone.
func Read(ctx context.Context, c client.Reader, namespace, name string) (Found, error) {
	r := reader{Context: ctx, client: c, namespace: namespace}
	out := Found{Deployment: &appsv1.Deployment{}, Elsewhere: true}
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, out.Deployment); err != nil {
		return Found{}, fmt.Errorf("reading Deployment %s/%s: %w", namespace, name, err)
	}
	for _, read := range []func(*Found) error{r.services, r.autoscaler, r.rollout, r.istio} {
		if err := read(&out); err != nil {
			return Found{}, fmt.Errorf("looking around Deployment %s/%s: %w", namespace, name, err)
		}
	}
	return out, nil
}

// reader reads the parts of a Found.
type reader struct {
	context.Context
	client    client.Reader
	namespace string
}

func (r reader) services(f *Found) error {
	var list corev1.ServiceList
	if err := r.client.List(r, &list, client.InNamespace(r.namespace)); err != nil {
		return err
	}
	for i := range list.Items {
		s := &list.Items[i]
		if s.Labels[kubernetes.LabelManaged] != kubernetes.ManagedBy && selects(s, f.Deployment) {
			f.Services = append(f.Services, s)
		}
	}
	return nil
}

func (r reader) autoscaler(f *Found) error {
	var list autoscalingv2.HorizontalPodAutoscalerList
	if err := r.client.List(r, &list, client.InNamespace(r.namespace)); err != nil {
		return err
	}
	for i := range list.Items {
		if to := list.Items[i].Spec.ScaleTargetRef; to.Kind == "Deployment" && to.Name == f.Deployment.Name {
			f.Autoscaler = &list.Items[i]
		}
	}
	return nil
}

func (r reader) rollout(f *Found) error {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(kubernetes.RolloutKind())
	err := r.client.List(r, list, client.InNamespace(r.namespace))
	if meta.IsNoMatchError(err) {
		return fmt.Errorf("the cluster knows no Rollouts: install Argo Rollouts first")
	}
	if err != nil {
		return err
	}
	for i := range list.Items {
		one, err := kubernetes.ReadRollout(&list.Items[i])
		if err != nil {
			return err
		}
		if ref := one.Spec.WorkloadRef; ref != nil && ref.Kind == "Deployment" && ref.Name == f.Deployment.Name {
			f.RolloutName = one.Metadata.Name
		}
	}
	return nil
}

func (r reader) istio(f *Found) error {
	var (
		virtual networkingv1.VirtualServiceList
		rules   networkingv1.DestinationRuleList
		gates   networkingv1.GatewayList
	)
	for _, list := range []client.ObjectList{&virtual, &rules, &gates} {
		err := r.client.List(r, list)
		if apierrors.IsForbidden(err) {
			f.Elsewhere = false
			err = r.client.List(r, list, client.InNamespace(r.namespace))
		}
		if meta.IsNoMatchError(err) {
			return fmt.Errorf("the cluster knows no VirtualServices: install Istio first")
		}
		if err != nil {
			return err
		}
	}
	for _, one := range virtual.Items {
		if one.Labels[kubernetes.LabelManaged] != kubernetes.ManagedBy {
			f.Istio.VirtualServices = append(f.Istio.VirtualServices, one)
		}
	}
	for _, one := range rules.Items {
		if one.Labels[kubernetes.LabelManaged] != kubernetes.ManagedBy {
			f.Istio.DestinationRules = append(f.Istio.DestinationRules, one)
		}
	}
	f.Istio.Gateways = gates.Items
	return nil
}
