package job

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
)

// The labels of what hooks leave, beside the fleet's.
const (
	labelPart    = "greenroom.dev/part"
	partHook     = "hook"
	labelRelease = "greenroom.dev/release"
	labelUID     = "greenroom.dev/release-uid"
	annotationID = "greenroom.dev/hook-id"
)

// What a hook is told.
const (
	envRelease = "GREENROOM_RELEASE"
	envEdgeURL = "GREENROOM_EDGE_URL"
	envID      = "GREENROOM_HOOK_ID"
	envPass    = "GREENROOM_PASS" // also the Secret's field
)

// Jobs and AnalysisRuns stay for a day after their end, or as long as their
// template says, but long enough to be looked at once.
const (
	usualStay = 24 * time.Hour
	leastStay = 10 * time.Minute
)

// name is that of everything made for the task: what it is about, for people,
// and the run, for us. A pod's label holds it, so it has at most 63 characters.
func (t task) name() string {
	sum := sha256.Sum256([]byte(t.id))
	name := "gr-" + string(t.moment) + "-" + t.hook.Name
	return name[:min(len(name), 50)] + "-" + hex.EncodeToString(sum[:])[:12]
}

func (t task) meta(f types.NamespacedName) metav1.ObjectMeta {
	labels := kubernetes.LabelsOf(f.Namespace, f.Name)
	maps.Copy(labels, map[string]string{labelPart: partHook, labelRelease: t.release, labelUID: t.uid})
	return metav1.ObjectMeta{
		Namespace: f.Namespace, Name: t.name(), Labels: labels, Annotations: map[string]string{annotationID: t.id},
	}
}

// secret is the one with the task's pass.
func (t task) secret(f types.NamespacedName) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: t.meta(f), Data: map[string][]byte{envPass: []byte(t.token)}}
}

// job is what a CronJob's template comes to.
func (t task) job(f types.NamespacedName, template batchv1.JobTemplateSpec) *batchv1.Job {
	j := &batchv1.Job{ObjectMeta: t.meta(f), Spec: *template.Spec.DeepCopy()}
	j.Labels = merged(template.Labels, j.Labels)
	j.Annotations = merged(template.Annotations, j.Annotations)
	pods := &j.Spec.Template
	pods.Labels = merged(pods.Labels, map[string]string{labelPart: partHook, labelRelease: t.release})

	deadline := max(1, int64(t.timeout/time.Second))
	if own := j.Spec.ActiveDeadlineSeconds; own != nil {
		deadline = min(deadline, *own)
	}
	j.Spec.ActiveDeadlineSeconds = &deadline
	if j.Spec.BackoffLimit == nil {
		j.Spec.BackoffLimit = new(int32)
	}
	stay := int32(usualStay / time.Second)
	if own := j.Spec.TTLSecondsAfterFinished; own != nil {
		stay = max(*own, int32(leastStay/time.Second))
	}
	j.Spec.TTLSecondsAfterFinished = &stay

	env := []corev1.EnvVar{
		{Name: envRelease, Value: t.release},
		{Name: envEdgeURL, Value: t.edgeURL},
		{Name: envID, Value: t.id},
		{Name: envPass, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: t.name()}, Key: envPass,
		}}},
	}
	for _, list := range [][]corev1.Container{pods.Spec.InitContainers, pods.Spec.Containers} {
		for i := range list {
			list[i].Env = withEnv(list[i].Env, env)
		}
	}
	return j
}

// withEnv returns a container's environment with ours, which wins and comes
// first, so that the container's own may refer to it.
func withEnv(own, ours []corev1.EnvVar) []corev1.EnvVar {
	kept := slices.DeleteFunc(slices.Clone(own), func(e corev1.EnvVar) bool {
		return slices.ContainsFunc(ours, func(o corev1.EnvVar) bool { return o.Name == e.Name })
	})
	return append(slices.Clone(ours), kept...)
}

// merged returns a with what b has over it.
func merged(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, b)
	return out
}

// The kinds of Argo Rollouts. They are handled without its types, so that
// go.mod does not follow the Kubernetes that it was built for.
const (
	argoVersion  = "argoproj.io/v1alpha1"
	kindTemplate = "AnalysisTemplate"
	kindRun      = "AnalysisRun"
)

func argo(kind string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetAPIVersion(argoVersion)
	o.SetKind(kind)
	return o
}

// run is what an AnalysisTemplate comes to. It fails where the template wants
// something that greenroom does not know.
func (t task) run(f types.NamespacedName, template *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	spec, _, _ := unstructured.NestedMap(template.Object, "spec") // a copy
	if _, nested := spec["templates"]; nested {
		return nil, fmt.Errorf("the AnalysisTemplate %s refers to other templates: copy their metrics into it", template.GetName())
	}
	args, err := t.arguments(template.GetName(), spec["args"])
	if err != nil {
		return nil, err
	}
	out := map[string]any{"ttlStrategy": map[string]any{"secondsAfterCompletion": int64(usualStay / time.Second)}}
	for _, field := range []string{"metrics", "dryRun", "measurementRetention"} {
		if spec[field] != nil {
			out[field] = spec[field]
		}
	}
	if len(args) > 0 {
		out["args"] = args
	}
	o := argo(kindRun)
	m := t.meta(f)
	o.SetNamespace(m.Namespace)
	o.SetName(m.Name)
	o.SetLabels(m.Labels)
	o.SetAnnotations(m.Annotations)
	o.Object["spec"] = out
	return o, nil
}

// arguments are those that a template declares, ours with our values.
func (t task) arguments(template string, declared any) ([]any, error) {
	ours := map[string]map[string]any{
		"release":  {"value": t.release},
		"edge-url": {"value": t.edgeURL},
		"hook-id":  {"value": t.id},
		"pass":     {"valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": t.name(), "key": envPass}}},
	}
	var out []any
	list, _ := declared.([]any)
	for _, one := range list {
		arg, _ := one.(map[string]any)
		name, _ := arg["name"].(string)
		if value, known := ours[name]; known {
			arg = maps.Clone(value)
			arg["name"] = name
		} else if arg["value"] == nil && arg["valueFrom"] == nil {
			return nil, fmt.Errorf("the AnalysisTemplate %s declares the argument %q, which greenroom does not know: give it a value", template, name)
		}
		out = append(out, arg)
	}
	return out, nil
}
