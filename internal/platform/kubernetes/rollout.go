package kubernetes

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// RolloutKind is the kind of Argo's Rollouts.
func RolloutKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "Rollout"}
}

// Rollout is what greenroom reads of an Argo Rollout, under Argo's names. It is
// written nowhere: Argo owns Rollouts. The fields are those of Rollouts 1.6 and
// later.
type Rollout struct {
	Metadata struct {
		Name            string            `json:"name"`
		Namespace       string            `json:"namespace"`
		UID             string            `json:"uid"`
		Generation      int64             `json:"generation"`
		ResourceVersion string            `json:"resourceVersion"`
		Annotations     map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		Replicas    *int32          `json:"replicas"`
		Paused      bool            `json:"paused"`
		WorkloadRef *WorkloadRef    `json:"workloadRef"`
		Template    PodTemplate     `json:"template"`
		Strategy    RolloutStrategy `json:"strategy"`
	} `json:"spec"`
	Status struct {
		ObservedGeneration string           `json:"observedGeneration"`         // a text, as Argo writes it
		ObservedWorkload   string           `json:"workloadObservedGeneration"` // of the Deployment in spec.workloadRef
		Phase              string           `json:"phase"`                      // Progressing, Paused, Healthy or Degraded
		Message            string           `json:"message"`
		Abort              bool             `json:"abort"`
		CurrentPodHash     string           `json:"currentPodHash"` // of the template as it is now
		StableRS           string           `json:"stableRS"`
		PauseConditions    []PauseCondition `json:"pauseConditions"`
		BlueGreen          struct {
			ActiveSelector  string `json:"activeSelector"`  // hash of the pods that the active Service selects
			PreviewSelector string `json:"previewSelector"` // hash of the pods that the preview Service selects
		} `json:"blueGreen"`
		Conditions []RolloutCondition `json:"conditions"`
	} `json:"status"`
}

// WorkloadRef names the Deployment whose template a Rollout takes.
type WorkloadRef struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
}

// PodTemplate is what greenroom reads of a pod template.
type PodTemplate struct {
	Metadata struct {
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		Containers []Container `json:"containers"`
	} `json:"spec"`
}

// Container is a container of a pod template.
type Container struct {
	Name  string `json:"name"`
	Image string `json:"image"`
}

// RolloutStrategy is how a Rollout brings a new version: one of the two.
type RolloutStrategy struct {
	BlueGreen *BlueGreen `json:"blueGreen"`
	Canary    *struct{}  `json:"canary"`
}

// BlueGreen is what greenroom reads of the blue/green strategy.
type BlueGreen struct {
	ActiveService         string `json:"activeService"`
	PreviewService        string `json:"previewService"`
	AutoPromotionEnabled  *bool  `json:"autoPromotionEnabled"` // Argo's default is true
	AutoPromotionSeconds  int32  `json:"autoPromotionSeconds"`
	PreviewReplicaCount   *int32 `json:"previewReplicaCount"`   // nil: as many as are active
	ScaleDownDelaySeconds *int32 `json:"scaleDownDelaySeconds"` // Argo's default is 30
	ScaleDownDelayLimit   *int32 `json:"scaleDownDelayRevisionLimit"`
}

// PauseCondition is why a Rollout waits.
type PauseCondition struct {
	Reason string `json:"reason"` // BlueGreenPause is the wait for a promotion
}

// RolloutCondition is a condition as Argo writes it.
type RolloutCondition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// Argo's words that decisions hang on.
const (
	pauseForPromotion = "BlueGreenPause"
	phaseDegraded     = "Degraded"
)

// ReadRollout reads what greenroom uses of a Rollout. It fails when a field
// has another form than Rollouts have known so far.
func ReadRollout(u *unstructured.Unstructured) (Rollout, error) {
	var r Rollout
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &r); err != nil {
		return Rollout{}, fmt.Errorf("reading Rollout %s/%s: %w", u.GetNamespace(), u.GetName(), err)
	}
	return r, nil
}

// Observed reports whether Argo has seen the Rollout as it is now: before, its
// status speaks of a former template.
func (r Rollout) Observed() bool {
	return r.Status.ObservedGeneration == fmt.Sprint(r.Metadata.Generation)
}

// Active is the hash of the pods that Argo's active Service selects.
func (r Rollout) Active() string { return r.Status.BlueGreen.ActiveSelector }

// Preview is the hash of the pods that wait to be promoted; false if none do.
func (r Rollout) Preview() (string, bool) {
	hash := r.Status.CurrentPodHash
	if !r.Observed() || hash == "" || hash == r.Active() || r.Status.Abort {
		return "", false
	}
	return hash, true
}

// Waits reports whether Argo waits for a promotion.
func (r Rollout) Waits() bool {
	for _, p := range r.Status.PauseConditions {
		if p.Reason == pauseForPromotion {
			return true
		}
	}
	return false
}

// ScaleDownDelay is how long Argo keeps the former pods after a promotion.
func (b BlueGreen) ScaleDownDelay() time.Duration {
	if b.ScaleDownDelaySeconds == nil {
		return 30 * time.Second
	}
	return time.Duration(*b.ScaleDownDelaySeconds) * time.Second
}

// Replicas is how many pods the Rollout is to have; Argo's default is one.
func (r Rollout) Replicas() int {
	if r.Spec.Replicas == nil {
		return 1
	}
	return int(*r.Spec.Replicas)
}
