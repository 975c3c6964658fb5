package adopt_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/greenroom-dev/greenroom/internal/adopt"
	"github.com/greenroom-dev/greenroom/internal/golden"
)

// found reads what a cluster has from a file: the first Deployment, and all else.
func found(t *testing.T, file string) adopt.Found {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f := adopt.Found{Elsewhere: true}
	for document := range strings.SplitSeq(string(data), "\n---\n") {
		var head struct {
			Kind string `json:"kind"`
		}
		read(t, document, &head, yaml.Unmarshal)
		switch head.Kind {
		case "Deployment":
			f.Deployment = strict[appsv1.Deployment](t, document)
		case "Service":
			f.Services = append(f.Services, strict[corev1.Service](t, document))
		case "HorizontalPodAutoscaler":
			f.Autoscaler = strict[autoscalingv2.HorizontalPodAutoscaler](t, document)
		case "VirtualService":
			f.Istio.VirtualServices = append(f.Istio.VirtualServices, strict[networkingv1.VirtualService](t, document))
		case "DestinationRule":
			f.Istio.DestinationRules = append(f.Istio.DestinationRules, strict[networkingv1.DestinationRule](t, document))
		case "Gateway":
			f.Istio.Gateways = append(f.Istio.Gateways, strict[networkingv1.Gateway](t, document))
		default:
			t.Fatalf("%s has a %s", file, head.Kind)
		}
	}
	return f
}

func strict[T any](t *testing.T, document string) *T {
	t.Helper()
	out := new(T)
	read(t, document, out, yaml.UnmarshalStrict)
	return out
}

func read(t *testing.T, document string, into any, by func([]byte, any, ...yaml.JSONOpt) error) {
	t.Helper()
	if err := by([]byte(document), into); err != nil {
		t.Fatalf("%v in %s", err, document)
	}
}

// Each file testdata/NAME.in.yaml is a cluster, NAME.golden.yaml what is printed.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no clusters: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			var b strings.Builder
			if err := adopt.Write(&b, found(t, file)); err != nil {
				t.Fatal(err)
			}
			golden.Check(t, strings.TrimSuffix(file, ".in.yaml")+".golden.yaml", b.String())
		})
	}
}

// What cannot be adopted is refused before anything is printed.
func TestRefusals(t *testing.T) {
	zero := int32(0)
	for name, c := range map[string]struct {
		change    func(*adopt.Found)
		complaint string
	}{
		"adopted already": {func(f *adopt.Found) { f.RolloutName = "talk" }, "the Rollout talk takes its template"},
		"no pods":         {func(f *adopt.Found) { f.Deployment.Spec.Replicas = &zero }, "scale it up first"},
		"no Service":      {func(f *adopt.Found) { f.Services = nil }, "no Service selects"},
		"two Services": {func(f *adopt.Found) {
			other := f.Services[0].DeepCopy()
			f.Services[0].Name, other.Name = "a", "b"
			f.Services = append(f.Services, other)
		}, "Services a, b all select"},
		"no such Service": {func(f *adopt.Found) { f.Active = "talk" }, "there is no Service talk"},
	} {
		t.Run(name, func(t *testing.T) {
			f := found(t, "testdata/plain.in.yaml")
			c.change(&f)
			var b strings.Builder
			if err := adopt.Write(&b, f); err == nil || !strings.Contains(err.Error(), c.complaint) || b.Len() > 0 {
				t.Errorf("printed %q with %v, want a complaint about %q", b.String(), err, c.complaint)
			}
		})
	}
}
