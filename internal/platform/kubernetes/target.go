package kubernetes

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

// serviceName is the Kubernetes Service that others call.
func serviceName(s crd.Service) string { return cmp.Or(s.Service, s.Name) }

// host is the name by which proxies know a Service of the fleet's namespace.
func (t *translation) host(service string) string {
	return service + "." + t.Fleet.Namespace + ".svc." + t.ClusterDomain
}

// requestPorts are the ports that proxies take requests at, as Istio tells
// them by appProtocol or the port's name. A port that says neither counts,
// since Istio looks at what is spoken there.
func requestPorts(s *corev1.Service) []int {
	var out []int
	for _, p := range s.Spec.Ports {
		protocol, _, _ := strings.Cut(p.Name, "-")
		if p.AppProtocol != nil {
			protocol = strings.TrimPrefix(*p.AppProtocol, "kubernetes.io/")
		}
		switch strings.ToLower(protocol) {
		case "tcp", "tls", "https", "udp", "mongo", "mysql", "redis":
			continue
		}
		if p.Protocol == "" || p.Protocol == corev1.ProtocolTCP {
			out = append(out, int(p.Port))
		}
	}
	return out
}

// mainPort is the port that the edge sends requests to; 0 if there is none.
func mainPort(s crd.Service, base *corev1.Service) int {
	ports := requestPorts(base)
	switch {
	case s.Port != 0:
		return s.Port
	case len(ports) == 0:
		return 0
	}
	for _, p := range base.Spec.Ports {
		if name, _, _ := strings.Cut(p.Name, "-"); name == cmp.Or(s.Protocol, "http") && slices.Contains(ports, int(p.Port)) {
			return int(p.Port)
		}
	}
	return ports[0]
}

// leadTo makes a route end at the version that a view has of a service. What
// has no such version is answered here, and never by another one.
func (t *translation) leadTo(r *v1alpha3.HTTPRoute, s crd.Service, stamp string, port int) {
	version := t.Value.State.Views[stamp].Versions[s.Name]
	host, ok := t.destination(s, version)
	switch {
	case !ok:
		r.DirectResponse = &v1alpha3.HTTPDirectResponse{Status: 503, Body: text(
			fmt.Sprintf("%s has no version of %s that is known to run.\n", stamp, s.Name))}
		return
	case port == 0: // Istio refuses the object for it, with all other routes
		r.DirectResponse = &v1alpha3.HTTPDirectResponse{Status: 503, Body: text(s.Name + " has no port for requests.\n")}
		return
	}
	r.Route = []*v1alpha3.HTTPRouteDestination{{Destination: to(host, port)}}
}

func to(host string, port int) *v1alpha3.Destination {
	return &v1alpha3.Destination{Host: host, Port: &v1alpha3.PortSelector{Number: uint32(port)}}
}

func text(s string) *v1alpha3.HTTPBody {
	return &v1alpha3.HTTPBody{Specifier: &v1alpha3.HTTPBody_String_{String_: s}}
}

// destination is the host that leads to a version's pods, and to these alone.
// It is the Service that others call only for what no view sees in another
// version, and only while that Service selects these very pods; else it is a
// Service of our own.
func (t *translation) destination(s crd.Service, version string) (string, bool) {
	base, ok := t.Services[s.Name]
	switch {
	case !ok:
		return "", false
	case s.Fixed || !t.held(s.Name):
		return t.host(serviceName(s)), true
	case version == "" || len(base.Spec.Ports) == 0: // a Service of our own would have none either, which cannot be
		return "", false
	}
	hash := t.Value.Templates[version].Hash
	if hash == "" {
		t.say(Condition{Type: PodsUnknown, Object: version, Blocks: true,
			Message: "it is not known which pods it has.",
			Remedy:  "Open the release again; for a version of the Fleet itself, delete nothing and look at the operator's log."})
		if t.inPlay(s.Name) || version != t.Value.State.DefaultVersion(s.Name) {
			return "", false
		}
		return t.host(serviceName(s)), true
	}
	active := base.Spec.Selector[HashLabel]
	if active == hash && !t.inPlay(s.Name) {
		return t.host(serviceName(s)), true
	}
	if active != hash && !t.inPlay(s.Name) {
		t.say(activeDiffers(s, version, active))
	}
	return t.host(t.pin(s, base, hash)), true
}

func activeDiffers(s crd.Service, version, active string) Condition {
	c := Condition{Type: ActiveDiffers, Object: s.Name,
		Message: fmt.Sprintf("the Kubernetes Service %s selects pods of %s, and ordinary requests get %s.", serviceName(s), active, version),
		Remedy:  "Promote or undo the Rollout so that both agree, or adopt what it runs as a release."}
	if active == "" {
		c.Message = fmt.Sprintf("the Kubernetes Service %s selects the pods of every version.", serviceName(s))
		c.Remedy = "Make it the Rollout's activeService."
	}
	return c
}

// pin makes the Service that selects the pods of one version, and returns its
// name.
func (t *translation) pin(s crd.Service, base *corev1.Service, hash string) string {
	name := pinnedName(s.Name, hash)
	if _, made := t.pinned[name]; made {
		return name
	}
	out := &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Namespace: t.Fleet.Namespace, Name: name, Labels: Labels(t.Fleet)},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, Selector: maps.Clone(base.Spec.Selector)},
	}
	if out.Spec.Selector == nil {
		out.Spec.Selector = map[string]string{}
	}
	out.Labels[LabelService] = s.Name
	out.Spec.Selector[HashLabel] = hash
	for _, p := range base.Spec.Ports {
		port := corev1.ServicePort{Name: p.Name, Protocol: p.Protocol, AppProtocol: p.AppProtocol, Port: p.Port, TargetPort: p.TargetPort}
		if port.TargetPort == (intstr.IntOrString{}) {
			port.TargetPort = intstr.FromInt32(p.Port)
		}
		if port.AppProtocol == nil && int(p.Port) == mainPort(s, base) && s.Protocol == "grpc" {
			port.AppProtocol = new("grpc")
		}
		out.Spec.Ports = append(out.Spec.Ports, port)
	}
	t.pinned[name] = out
	return name
}

// pinAll makes the Services of every version that views differ in, also where
// no route leads: at a service that greenroom has no rules for.
func (t *translation) pinAll() {
	for _, s := range t.Fleet.Spec.Services {
		base, ok := t.Services[s.Name]
		if !ok || s.Fixed || !t.inPlay(s.Name) || len(base.Spec.Ports) == 0 {
			continue
		}
		for _, stamp := range t.stamps {
			if hash := t.Value.Templates[t.Value.State.Views[stamp].Versions[s.Name]].Hash; hash != "" {
				t.pin(s, base, hash)
			}
		}
	}
}

// destinationRules copies, for every pinned Service, the rule that governs the
// Service it stands in for. Subsets are left out: no route of ours names one.
func (t *translation) destinationRules(pinned []*corev1.Service) []*networkingv1.DestinationRule {
	var out []*networkingv1.DestinationRule
	for _, p := range pinned {
		s, _ := t.service(p.Labels[LabelService])
		rule := t.governing(t.host(serviceName(s)))
		if rule == nil {
			continue
		}
		one := &networkingv1.DestinationRule{
			TypeMeta:   metav1.TypeMeta{APIVersion: "networking.istio.io/v1", Kind: "DestinationRule"},
			ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name, Labels: maps.Clone(p.Labels)},
		}
		rule.Spec.DeepCopyInto(&one.Spec)
		one.Spec.Host = t.host(p.Name)
		one.Spec.Subsets = nil
		out = append(out, one)
	}
	return out
}

// governing returns the rule that proxies keep to for a host: an exact one
// before a wildcard, of the fleet's namespace before others, the oldest, the
// first by name.
func (t *translation) governing(host string) *networkingv1.DestinationRule {
	var best *networkingv1.DestinationRule
	rank := func(r *networkingv1.DestinationRule) string {
		wild, far := "0", "0"
		if strings.HasPrefix(t.longHost(r.Spec.Host, r.Namespace), "*") {
			wild = "1"
		}
		if r.Namespace != t.Fleet.Namespace {
			far = "1"
		}
		return far + wild + r.CreationTimestamp.UTC().Format("20060102150405") + r.Namespace + "/" + r.Name
	}
	for _, r := range t.DestinationRules {
		if ours(r) || !covers(t.longHost(r.Spec.Host, r.Namespace), host) {
			continue
		}
		if best == nil || rank(r) < rank(best) {
			best = r
		}
	}
	return best
}

// longHost completes a short name as Istio does: by the namespace of the
// object that it stands in.
func (t *translation) longHost(host, namespace string) string {
	if host == "*" || strings.Contains(host, ".") {
		return host
	}
	return host + "." + namespace + ".svc." + t.ClusterDomain
}

// covers reports whether a host, or a wildcard, takes in another.
func covers(a, b string) bool {
	suffix, wild := strings.CutPrefix(a, "*")
	if wild {
		return strings.HasSuffix(strings.TrimPrefix(b, "*"), suffix)
	}
	return a == b
}

// timeoutOf is a timeout as Istio takes one: whole milliseconds, and nothing for
// 0s, since it refuses what is shorter than one.
func timeoutOf(d v1alpha1.Duration) *durationpb.Duration {
	if duration(d) == 0 {
		return nil
	}
	return durationpb.New(wholly(duration(d), time.Millisecond))
}

// wholly is a length of time in whole units, rounded up.
func wholly(d, unit time.Duration) time.Duration { return (d + unit - 1) / unit * unit }

// retriesOf says nothing but that there are none where there are none: Istio
// refuses to be told of what else.
func retriesOf(r *crd.Retries) *v1alpha3.HTTPRetry {
	switch {
	case r == nil:
		return nil
	case r.Attempts == 0:
		return &v1alpha3.HTTPRetry{}
	}
	return &v1alpha3.HTTPRetry{
		Attempts: int32(r.Attempts), PerTryTimeout: timeoutOf(r.PerTryTimeout), RetryOn: strings.ReplaceAll(r.RetryOn, " ", ""),
	}
}

func wrapped(b bool) *wrapperspb.BoolValue { return wrapperspb.Bool(b) }
