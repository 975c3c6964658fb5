package job

import (
	"context"
	"io"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/internal/hook"
)

// tailLines is how many lines are read of a log that was there before we looked.
const tailLines = 2000

// lastWords is how long a log is read on after its Job has ended.
const lastWords = 5 * time.Second

// defaultContainer is the annotation by which a pod names the container that
// people mean.
const defaultContainer = "kubectl.kubernetes.io/default-container"

// follower reads the log of a Job's newest pod while that runs: a Job that
// exceeds its deadline takes its pods along, and their logs. It is used by one
// goroutine.
type follower struct {
	r         *Runner
	job       *batchv1.Job
	container string
	secret    string

	pod    types.UID // whose log is, or was, read
	last   corev1.ContainerState
	output *hook.Output
	stop   context.CancelFunc
	done   chan struct{} // closed when the log has ended
}

func (r *Runner) follow(j *batchv1.Job, secret string) *follower {
	done := make(chan struct{})
	close(done)
	return &follower{
		r: r, job: j, container: mainContainer(j.Spec.Template), secret: secret,
		output: hook.NewOutput(secret), stop: func() {}, done: done,
	}
}

// mainContainer is the one whose output and exit are the hook's.
func mainContainer(t corev1.PodTemplateSpec) string {
	if name := t.Annotations[defaultContainer]; name != "" {
		return name
	}
	return t.Spec.Containers[0].Name
}

// state is that of the main container of the newest pod.
func (f *follower) state() corev1.ContainerState { return f.last }

// look finds the newest pod, and begins to read its log once it has one.
func (f *follower) look(ctx context.Context) {
	var pods corev1.PodList
	err := f.r.o.Client.List(ctx, &pods, client.InNamespace(f.job.Namespace), client.MatchingLabels{batchv1.JobNameLabel: f.job.Name})
	if err != nil || len(pods.Items) == 0 {
		return
	}
	newest := pods.Items[0]
	for _, p := range pods.Items[1:] {
		if newest.CreationTimestamp.Before(&p.CreationTimestamp) {
			newest = p
		}
	}
	f.last = corev1.ContainerState{}
	for _, c := range newest.Status.ContainerStatuses {
		if c.Name == f.container {
			f.last = c.State
		}
	}
	running := f.last.Running != nil
	if !running && f.last.Terminated == nil {
		return
	}
	if newest.UID == f.pod && (!running || !f.idle()) {
		return // it is read, or was to its end
	}
	f.read(ctx, newest)
}

func (f *follower) idle() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// read begins to read a pod's log, in place of what was read before.
func (f *follower) read(ctx context.Context, p corev1.Pod) {
	f.stop()
	<-f.done
	ctx, f.stop = context.WithCancel(ctx)
	f.pod, f.output, f.done = p.UID, hook.NewOutput(f.secret), make(chan struct{})
	lines := int64(tailLines)
	request := f.r.o.Pods.Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{Container: f.container, Follow: true, TailLines: &lines})
	go func(output *hook.Output, done chan struct{}) {
		defer close(done)
		log, err := request.Stream(ctx)
		if err == nil {
			_, err = io.Copy(output, log)
			log.Close()
		}
		if err != nil && ctx.Err() == nil {
			f.r.o.Log.Warn("the output of a hook could not be read", "pod", p.Name, "error", err)
		}
	}(f.output, f.done)
}

// end returns what was read, after what is still on its way.
func (f *follower) end(ctx context.Context) string {
	timer := time.NewTimer(lastWords)
	defer timer.Stop()
	select {
	case <-f.done:
	case <-timer.C:
	case <-ctx.Done():
	}
	f.stop()
	<-f.done
	return f.output.String()
}
