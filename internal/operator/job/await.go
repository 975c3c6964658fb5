package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/internal/hook"
)

// overdue is how long after its deadline we wait for Kubernetes or Argo to end
// something.
const overdue = time.Minute

// job runs a Job to its end, one that is there already too.
func (r *Runner) job(ctx context.Context, t task) hook.Result {
	res := hook.Result{Started: r.o.Now()}
	j, err := r.startJob(ctx, &t)
	if err != nil {
		res.Ended, res.Err = r.o.Now(), fmt.Sprintf("hook %s: %v", t.hook.Name, err)
		return res
	}
	res.Started = j.CreationTimestamp.Time
	f := r.follow(j, t.token)
	err = r.awaitJob(ctx, t, j, f)
	res.Output = f.end(ctx)
	res.Ended = r.o.Now()
	res.Passed = err == nil
	if err != nil {
		res.Err = fmt.Sprintf("hook %s: Job %s: %v", t.hook.Name, j.Name, err)
	}
	return res
}

// startJob makes a Job, or finds the one that was made for the same run.
func (r *Runner) startJob(ctx context.Context, t *task) (*batchv1.Job, error) {
	j := &batchv1.Job{}
	key := types.NamespacedName{Namespace: r.o.Fleet.Namespace, Name: t.name()}
	err := r.persist(ctx, *t, func() error {
		err := r.o.Client.Get(ctx, key, j)
		if !apierrors.IsNotFound(err) {
			return err
		}
		var template batchv1.CronJob
		err = r.o.Client.Get(ctx, types.NamespacedName{Namespace: key.Namespace, Name: t.hook.Job}, &template)
		if apierrors.IsNotFound(err) {
			return permanent{fmt.Errorf("there is no CronJob %s/%s, whose template it is to run: make it, with suspend: true", key.Namespace, t.hook.Job)}
		}
		if err != nil {
			return err
		}
		if err := r.prepareSecret(ctx, t); err != nil {
			return err
		}
		made := t.job(r.o.Fleet, template.Spec.JobTemplate)
		if err := r.create(ctx, *t, made); err != nil {
			return err
		}
		*j = *made
		return nil
	})
	if err != nil {
		return nil, err
	}
	j.SetGroupVersionKind(batchv1.SchemeGroupVersion.WithKind("Job"))
	return j, r.persist(ctx, *t, func() error { return r.ownSecret(ctx, t, j) })
}

// awaitJob returns how a Job ended: nil, or why it failed.
func (r *Runner) awaitJob(ctx context.Context, t task, j *batchv1.Job, f *follower) error {
	latest := j.CreationTimestamp.Add(t.timeout + overdue)
	for {
		f.look(ctx)
		if over, err := verdict(j, t.timeout, f.state()); over {
			return err
		}
		if r.o.Now().After(latest) {
			_ = r.o.Client.Delete(ctx, j, client.PropagationPolicy(metav1.DeletePropagationBackground))
			return fmt.Errorf("it has not ended %s after its timeout of %s: does the cluster's controller for Jobs run?", overdue, t.timeout)
		}
		if err := r.pause(ctx); err != nil {
			return err
		}
		err := r.o.Client.Get(ctx, client.ObjectKeyFromObject(j), j)
		if apierrors.IsNotFound(err) {
			return errors.New("somebody deleted it before it had ended")
		}
		if err != nil {
			r.o.Log.Debug("a hook's Job could not be looked at", "job", j.Name, "error", err)
		}
	}
}

// verdict reports whether a Job has ended, and why it failed if it did. pod is
// the state of its newest pod's container.
func verdict(j *batchv1.Job, timeout time.Duration, pod corev1.ContainerState) (over bool, err error) {
	for _, c := range j.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type {
		case batchv1.JobComplete:
			return true, nil
		case batchv1.JobFailed:
			return true, whyFailed(c, timeout, pod)
		}
	}
	return false, nil
}

func whyFailed(c batchv1.JobCondition, timeout time.Duration, pod corev1.ContainerState) error {
	switch {
	case c.Reason == batchv1.JobReasonDeadlineExceeded && pod.Waiting != nil && pod.Waiting.Reason != "":
		return fmt.Errorf("its container did not start within the timeout of %s: %s: %s", timeout, pod.Waiting.Reason, pod.Waiting.Message)
	case c.Reason == batchv1.JobReasonDeadlineExceeded:
		return fmt.Errorf("it took longer than its timeout of %s", timeout)
	case pod.Terminated != nil && pod.Terminated.Signal != 0:
		return fmt.Errorf("signal %d (%s)", pod.Terminated.Signal, pod.Terminated.Reason)
	case pod.Terminated != nil && pod.Terminated.ExitCode != 0:
		return fmt.Errorf("exit status %d (%s)", pod.Terminated.ExitCode, pod.Terminated.Reason)
	}
	return fmt.Errorf("%s: %s", c.Reason, c.Message)
}

// permanent is an error that no further try mends.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// persist tries until it is done, or what is wrong stays wrong: an API server
// that is away for a minute fails no release.
func (r *Runner) persist(ctx context.Context, t task, try func() error) error {
	latest := r.o.Now().Add(t.timeout + overdue)
	for {
		err := try()
		if err == nil || final(err) || r.o.Now().After(latest) {
			return err
		}
		r.o.Log.Debug("a hook is tried again", "error", err)
		if r.pause(ctx) != nil {
			return err
		}
	}
}

// final reports whether trying again is of no use.
func final(err error) bool {
	var p permanent
	return errors.As(err, &p) || apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err)
}

// pause returns after a while, or with the reason why ctx is done.
func (r *Runner) pause(ctx context.Context) error {
	timer := time.NewTimer(r.o.Every)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
