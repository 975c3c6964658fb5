package adopt

import (
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

const (
	window       = time.Hour        // a Release's rollback window where it names none
	defaultDrain = 30 * time.Second // a service's drain where the Fleet names none

	// After the active Service's name.
	previewSuffix = "-preview"
	formerSuffix  = "-former"
)

// Plan is what takes the place of a Deployment.
type Plan struct {
	Namespace, Name string // of the Deployment, and of the Rollout
	Pods            string // a selector of the Deployment's pods alone
	Active          *corev1.Service
	Replicas        int32         // as many as serve now
	Drain           time.Duration // how long the service ends what it has begun
	Autoscaler      *autoscalingv2.HorizontalPodAutoscaler
	Progress        *int32 // the Deployment's progressDeadlineSeconds
	MinReady        int32  // its minReadySeconds
	Labels          map[string]string
	Fleet           Snippet
	Notes           []string // what was found, and what it means
}

// Snippet is the part of a Fleet that speaks of the service.
type Snippet struct {
	Gateways []crd.Gateway
	Routes   []crd.Route
	Services []crd.Service
}

// Decide says what takes the Deployment's place. It fails where the Deployment
// cannot be adopted as it is, and says what to do first.
func Decide(f Found) (Plan, error) {
	d := f.Deployment
	if f.RolloutName != "" {
		return Plan{}, fmt.Errorf("the Rollout %s takes its template from Deployment %s already: there is nothing left to adopt; name it in the Fleet", f.RolloutName, d.Name)
	}
	active, others, err := f.active()
	if err != nil {
		return Plan{}, err
	}
	p := Plan{Namespace: d.Namespace, Name: d.Name, Pods: metav1.FormatLabelSelector(d.Spec.Selector) + "," + appsv1.DefaultDeploymentUniqueLabelKey, Active: active, Replicas: 1, Drain: defaultDrain, Autoscaler: f.Autoscaler,
		Progress: d.Spec.ProgressDeadlineSeconds, MinReady: d.Spec.MinReadySeconds, Labels: ownLabels(d.Labels)}
	if d.Spec.Replicas != nil {
		p.Replicas = *d.Spec.Replicas
	}
	if p.Replicas == 0 {
		return Plan{}, fmt.Errorf("no pods are wanted of Deployment %s, so nothing says how many the Rollout shall start: scale it up first", d.Name)
	}
	if grace := d.Spec.Template.Spec.TerminationGracePeriodSeconds; grace != nil && time.Duration(*grace)*time.Second > defaultDrain {
		p.Drain = time.Duration(*grace) * time.Second
	}
	p.workload(f, others)
	p.routing(f)
	return p, nil
}

// active chooses the Service that others call, and returns the rest by name.
func (f Found) active() (*corev1.Service, []string, error) {
	var names, open []string
	var services []*corev1.Service
	for _, s := range f.Services {
		if f.planned(s.Name) {
			continue
		}
		services, names = append(services, s), append(names, s.Name)
		if s.Spec.ClusterIP != corev1.ClusterIPNone {
			open = append(open, s.Name)
		}
	}
	choice := f.Active
	switch {
	case choice != "":
	case len(names) == 0:
		return nil, nil, fmt.Errorf("no Service selects the pods of Deployment %s: create one, so that there is a name to call and to route", f.Deployment.Name)
	case len(names) == 1:
		choice = names[0]
	case slices.Contains(open, f.Deployment.Name):
		choice = f.Deployment.Name
	case len(open) == 1:
		choice = open[0]
	default:
		return nil, nil, fmt.Errorf("the Services %s all select the pods of Deployment %s: say which one others call", strings.Join(names, ", "), f.Deployment.Name)
	}
	i := slices.Index(names, choice)
	if i < 0 {
		return nil, nil, fmt.Errorf("there is no Service %s that selects the pods of Deployment %s; there are: %s", choice, f.Deployment.Name, strings.Join(names, ", "))
	}
	return services[i], slices.Delete(names, i, i+1), nil
}

// planned reports whether a Service is one that an earlier Plan made.
func (f Found) planned(name string) bool {
	for _, suffix := range []string{previewSuffix, formerSuffix} {
		base, ok := strings.CutSuffix(name, suffix)
		if ok && slices.ContainsFunc(f.Services, func(s *corev1.Service) bool { return s.Name == base }) {
			return true
		}
	}
	return false
}

// ownLabels are those that belong to the Deployment itself, not to the tool that
// put it there.
func ownLabels(all map[string]string) map[string]string {
	out := map[string]string{}
	for key, value := range all {
		switch {
		case key == "app.kubernetes.io/managed-by", key == "app.kubernetes.io/instance", strings.HasPrefix(key, "helm.sh/"):
		default:
			out[key] = value
		}
	}
	return out
}

func (p *Plan) note(format string, args ...any) {
	p.Notes = append(p.Notes, fmt.Sprintf(format, args...))
}

// workload notes what of the Deployment's surroundings needs a person.
func (p *Plan) workload(f Found, others []string) {
	for _, name := range others {
		p.note("Service %s selects the pods too. It leads to those of every version, previews included: give it the selector of %s, or do without it.", name, p.Active.Name)
	}
	if f.Deployment.Spec.Paused {
		p.note("Deployment %s is paused. The Rollout is not: it runs the template as it is now.", p.Name)
	}
	if f.Deployment.Labels["app.kubernetes.io/managed-by"] == "Helm" {
		p.note("Deployment %s comes from a Helm chart: these objects belong in the chart.", p.Name)
	}
	if a := f.Autoscaler; a != nil {
		if owner := a.Labels["scaledobject.keda.sh/name"]; owner != "" {
			p.Autoscaler = nil
			p.note("HorizontalPodAutoscaler %s is KEDA's: once the Rollout is healthy, let the scaleTargetRef of ScaledObject %s name it (apiVersion argoproj.io/v1alpha1, kind Rollout).", a.Name, owner)
		}
	}
	service := crd.Service{Name: p.Name}
	if p.Active.Name != p.Name {
		service.Service = p.Active.Name
	}
	if p.Drain != defaultDrain {
		service.Drain = v1alpha1.DurationOf(p.Drain)
	}
	if len(p.Name) > 40 {
		p.note("%s is too long for a fleet's name of a service, which has at most 40 characters: choose another, and keep rollout: %s.", p.Name, p.Name)
	}
	p.Fleet.Services = []crd.Service{service}
}
