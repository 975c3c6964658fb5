package kubernetes

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	telemetryapi "istio.io/api/telemetry/v1alpha1"
	telemetryv1 "istio.io/client-go/pkg/apis/telemetry/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// The documents' query for calls without a stamp selects exactly the routes that
// such calls take, also where a service has several ports, and by the label that
// the documents' Telemetry adds.
func TestDocumentedQueryFindsUnstampedCalls(t *testing.T) {
	text, err := os.ReadFile("../../../docs/kubernetes.md")
	if err != nil {
		t.Fatal(err)
	}
	_, query, _ := strings.Cut(string(text), "```promql\n")
	query, _, _ = strings.Cut(query, "```")
	found := regexp.MustCompile(`\b(\w+)=~"([^"]*)"`).FindAllStringSubmatch(query, -1)
	if len(found) != 1 {
		t.Fatalf("the query is %q", query)
	}
	label, expression := found[0][1], regexp.MustCompile("^(?:"+found[0][2]+")$") // as Prometheus anchors it
	for _, pair := range []string{"()", "{}", "[]"} {
		if outside := regexp.MustCompile(`"[^"]*"`).ReplaceAllString(query, ""); strings.Count(outside, pair[:1]) != strings.Count(outside, pair[1:]) || !strings.Contains(outside, pair[:1]) {
			t.Errorf("the query's %s do not fit each other: %s", pair, query)
		}
	}

	example, err := os.ReadFile("../../../docs/examples/kubernetes/unstamped.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var telemetry telemetryv1.Telemetry
	if err := yaml.UnmarshalStrict(example, &telemetry); err != nil {
		t.Fatal(err)
	}
	override := telemetry.Spec.Metrics[0].Overrides[0]
	if override.TagOverrides[label].GetValue() != "xds.route_name" || override.Match.GetMetric() != telemetryapi.MetricSelector_REQUEST_COUNT {
		t.Errorf("the example adds %v, and the query asks for %s", override, label)
	}

	w := newWorld(t, "web", "chat")
	w.open("r1", "web", "2", "chat", "2")
	chat := w.in.Services["chat"]
	chat.Spec.Ports = append(chat.Spec.Ports, corev1.ServicePort{Name: "http-more", Port: 81})
	objects, _ := Translate(w.in)
	kinds := map[string]int{}
	for _, vs := range objects.Mesh {
		for _, r := range vs.Spec.Http {
			kind := slices.IndexFunc([]string{"default", "source", "member", "stamp"}, func(k string) bool {
				return strings.HasPrefix(r.Name, k+".") || strings.Contains(r.Name, "."+k+".")
			})
			kinds[r.Name[:1]]++
			if got, want := expression.MatchString(r.Name), kind == 0 || kind == 1; got != want || kind < 0 {
				t.Errorf("route %s: the query finds it: %v, want %v", r.Name, got, want)
			}
		}
	}
	for _, begin := range []string{"d", "s", "m", "8"} { // all kinds, and of a port
		if kinds[begin] == 0 {
			t.Errorf("no route begins with %s: %v", begin, kinds)
		}
	}
}
