package job

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/internal/hook"
)

// The phases of an AnalysisRun that has ended.
const (
	phaseSuccessful   = "Successful"
	phaseFailed       = "Failed"
	phaseError        = "Error"
	phaseInconclusive = "Inconclusive"
)

func phaseEnded(phase string) bool {
	return phase == phaseSuccessful || phase == phaseFailed || phase == phaseError || phase == phaseInconclusive
}

// analysis runs an AnalysisRun to its end, one that is there already too.
func (r *Runner) analysis(ctx context.Context, t task) hook.Result {
	res := hook.Result{Started: r.o.Now()}
	run, err := r.startAnalysis(ctx, &t)
	if err == nil {
		res.Started = run.GetCreationTimestamp().Time
		err = r.awaitAnalysis(ctx, t, run)
		output := hook.NewOutput(t.token)
		fmt.Fprint(output, measured(run))
		res.Output = output.String()
	}
	res.Ended = r.o.Now()
	res.Passed = err == nil
	if err != nil {
		res.Err = fmt.Sprintf("hook %s: %v", t.hook.Name, err)
	}
	return res
}

// startAnalysis makes an AnalysisRun, or finds the one that was made for the
// same run of the hook.
func (r *Runner) startAnalysis(ctx context.Context, t *task) (*unstructured.Unstructured, error) {
	run := argo(kindRun)
	key := types.NamespacedName{Namespace: r.o.Fleet.Namespace, Name: t.name()}
	err := r.persist(ctx, *t, func() error {
		err := r.o.Client.Get(ctx, key, run)
		if meta.IsNoMatchError(err) {
			return permanent{errors.New("the cluster has no AnalysisRuns: Argo Rollouts' CRDs are not installed")}
		}
		if !apierrors.IsNotFound(err) {
			return err
		}
		template := argo(kindTemplate)
		err = r.o.Client.Get(ctx, types.NamespacedName{Namespace: key.Namespace, Name: t.hook.Analysis}, template)
		if apierrors.IsNotFound(err) {
			return permanent{fmt.Errorf("there is no AnalysisTemplate %s/%s", key.Namespace, t.hook.Analysis)}
		}
		if err != nil {
			return err
		}
		made, err := t.run(r.o.Fleet, template)
		if err != nil {
			return permanent{err}
		}
		if err := r.prepareSecret(ctx, t); err != nil {
			return err
		}
		if err := r.create(ctx, *t, made); err != nil {
			return err
		}
		run = made
		return nil
	})
	if err != nil {
		return nil, err
	}
	return run, r.persist(ctx, *t, func() error { return r.ownSecret(ctx, t, run) })
}

// awaitAnalysis returns how an AnalysisRun ended: nil, or why it failed. It has
// no deadline of its own, so it is asked to end at the hook's.
func (r *Runner) awaitAnalysis(ctx context.Context, t task, run *unstructured.Unstructured) error {
	name := "AnalysisRun " + run.GetName()
	deadline := run.GetCreationTimestamp().Add(t.timeout)
	for {
		phase, _, _ := unstructured.NestedString(run.Object, "status", "phase")
		message, _, _ := unstructured.NestedString(run.Object, "status", "message")
		late, _, _ := unstructured.NestedBool(run.Object, "spec", "terminate")
		switch {
		case phase == phaseSuccessful && !late:
			return nil
		case r.o.Now().After(deadline.Add(overdue)), late && r.o.Now().After(deadline) && phaseEnded(phase):
			return fmt.Errorf("%s: it took longer than its timeout of %s", name, t.timeout)
		case late && phaseEnded(phase):
			return fmt.Errorf("%s: somebody ended it before its time", name)
		case phaseEnded(phase):
			return fmt.Errorf("%s: %s: %s", name, phase, message)
		case !late && r.o.Now().After(deadline):
			end := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"terminate":true}}`))
			if err := r.o.Client.Patch(ctx, run.DeepCopy(), end); err != nil {
				r.o.Log.Debug("an AnalysisRun could not be ended", "run", run.GetName(), "error", err)
			}
		}
		if err := r.pause(ctx); err != nil {
			return err
		}
		err := r.o.Client.Get(ctx, client.ObjectKeyFromObject(run), run)
		if apierrors.IsNotFound(err) {
			return fmt.Errorf("%s: somebody deleted it before it had ended", name)
		}
		if err != nil {
			r.o.Log.Debug("an AnalysisRun could not be looked at", "run", run.GetName(), "error", err)
		}
	}
}

// measured is what an AnalysisRun found, a line per metric and the values of its
// measurements.
func measured(run *unstructured.Unstructured) string {
	var b strings.Builder
	results, _, _ := unstructured.NestedSlice(run.Object, "status", "metricResults")
	for _, one := range results {
		result, _ := one.(map[string]any)
		fmt.Fprintf(&b, "%v: %v%s\n", result["name"], result["phase"], prefixed(": ", result["message"]))
		measurements, _ := result["measurements"].([]any)
		for _, m := range measurements {
			measurement, _ := m.(map[string]any)
			fmt.Fprintf(&b, "  %v %v%s%s\n", measurement["finishedAt"], measurement["phase"],
				prefixed(" ", measurement["value"]), prefixed(": ", measurement["message"]))
		}
	}
	return b.String()
}

// prefixed is a text with what separates it from the one before, or nothing.
func prefixed(separator string, text any) string {
	if s, _ := text.(string); s != "" {
		return separator + s
	}
	return ""
}
