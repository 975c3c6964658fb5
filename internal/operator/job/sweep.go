package job

import (
	"context"
	"errors"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/internal/platform/kubernetes"
	"github.com/greenroom-dev/greenroom/internal/release"
)

// Sweep removes the Jobs and AnalysisRuns of releases that the state does not
// know any more; Run does so as well.
func (r *Runner) Sweep(ctx context.Context, s release.State) error {
	known := map[string]bool{}
	for _, rel := range s.Releases {
		known[rel.UID] = true
	}
	labels := client.MatchingLabels(kubernetes.LabelsOf(r.o.Fleet.Namespace, r.o.Fleet.Name))
	labels[labelPart] = partHook
	var errs []error
	runs := &unstructured.UnstructuredList{}
	runs.SetAPIVersion(argoVersion)
	runs.SetKind(kindRun + "List")
	for _, list := range []client.ObjectList{&batchv1.JobList{}, runs} {
		err := r.o.Client.List(ctx, list, client.InNamespace(r.o.Fleet.Namespace), labels)
		if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
			continue // without Argo's CRDs
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("looking for what hooks left: %w", err))
			continue
		}
		errs = append(errs, meta.EachListItem(list, func(o runtime.Object) error {
			object := o.(client.Object)
			if known[object.GetLabels()[labelUID]] {
				return nil
			}
			err := r.o.Client.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground))
			return client.IgnoreNotFound(err)
		}))
	}
	return errors.Join(errs...)
}
