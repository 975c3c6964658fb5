package kubernetes

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"strings"

	telemetryapi "istio.io/api/telemetry/v1alpha1"
	typeapi "istio.io/api/type/v1beta1"
	telemetryv1 "istio.io/client-go/pkg/apis/telemetry/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
)

// telemetries keep request logs to the Fleet's budget: at its gateways, and by
// the sidecars of its services.
func (t *translation) telemetries() []*telemetryv1.Telemetry {
	budget := t.Fleet.Spec.Edge.AccessLog
	if budget == nil {
		return nil
	}
	logging := accessLogging(*budget)
	budgeted := func(meta metav1.ObjectMeta, selector map[string]string) *telemetryv1.Telemetry {
		return &telemetryv1.Telemetry{
			TypeMeta:   metav1.TypeMeta{APIVersion: "telemetry.istio.io/v1", Kind: "Telemetry"},
			ObjectMeta: meta,
			Spec: telemetryapi.Telemetry{
				Selector:      &typeapi.WorkloadSelector{MatchLabels: maps.Clone(selector)},
				AccessLogging: []*telemetryapi.AccessLogging{logging},
			},
		}
	}
	var out []*telemetryv1.Telemetry
	for _, w := range t.workloads() {
		out = append(out, budgeted(t.meta(w.namespace, t.Fleet.Namespace, "log", w.name), w.selector))
	}
	for _, s := range t.Fleet.Spec.Services {
		base, ok := t.Services[s.Name]
		if !ok || s.Fixed || s.OutsideMesh || len(base.Spec.Selector) == 0 {
			continue
		}
		selector := maps.Clone(base.Spec.Selector)
		delete(selector, HashLabel)
		if len(selector) == 0 {
			continue
		}
		one := budgeted(t.meta(t.Fleet.Namespace, "log", s.Name), selector)
		one.Labels[LabelService] = s.Name
		out = append(out, one)
	}
	return out
}

// Errors, in the language of Envoy's filters. An attribute that is not there is
// an error of the expression, which counts as false unless another term holds.
const (
	noAnswer = "!has(response.code) || response.code == 0 || response.code >= 500"
	// A status of gRPC is made up for requests that are none: of every 200 it is
	// Unknown. So what kind of request it was has to be asked first.
	failedCall = "'content-type' in request.headers && request.headers['content-type'].startsWith('application/grpc') && response.grpc_status in [2, 4, 13, 14, 15]"
)

// accessLogging writes a budget as Istio's rule.
func accessLogging(b crd.AccessLog) *telemetryapi.AccessLogging {
	share, err := cmp.Or(b.Sample, v1alpha1.Percent("1%")).Parse()
	if err != nil {
		share = 0.01
	}
	var terms []string
	if sample := sampled(share); sample != "" {
		terms = append(terms, sample)
	}
	if b.Errors != "none" {
		terms = append(terms, noAnswer, failedCall)
	}
	out := &telemetryapi.AccessLogging{Providers: logProviders(b)}
	switch {
	case share >= 1:
	case len(terms) == 0:
		out.Disabled = wrapped(true)
	default:
		out.Filter = &telemetryapi.AccessLogging_Filter{Expression: strings.Join(terms, " || ")}
	}
	return out
}

// logProviders are named always: a mesh that logs by accessLogFile, as most do,
// has no default providers, and there Istio leaves aside what names none.
func logProviders(b crd.AccessLog) []*telemetryapi.ProviderRef {
	names := b.Providers
	if len(names) == 0 {
		names = []string{"envoy"} // built into Istio
	}
	var out []*telemetryapi.ProviderRef
	for _, name := range names {
		out = append(out, &telemetryapi.ProviderRef{Name: name})
	}
	return out
}

// sampled is an expression that holds for a share of requests, "" for none: for
// those whose id ends in a number below the share of 4,096. As far as services
// pass X-Request-Id on, a request is logged by all hops or by none.
func sampled(share float64) string {
	n := int(math.Round(share * 4096))
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf("request.id.matches('(%s)$')", below(min(n, 4095)))
}

// below is a regular expression for the three hexadecimal digits of the
// numbers below n, from 1 to 4095.
func below(n int) string {
	var out []string
	for place, fixed := 2, ""; place >= 0; place-- {
		digit := n >> (4 * place) & 15
		if digit > 0 {
			out = append(out, fixed+digits(digit)+strings.Repeat("[0-9a-f]", place))
		}
		fixed += fmt.Sprintf("%x", digit)
	}
	return strings.Join(out, "|")
}

// digits is a regular expression for the hexadecimal digits below n, from 1.
func digits(n int) string {
	switch {
	case n == 1:
		return "0"
	case n <= 10:
		return fmt.Sprintf("[0-%d]", n-1)
	case n == 11:
		return "[0-9a]"
	}
	return fmt.Sprintf("[0-9a-%x]", n-1)
}
