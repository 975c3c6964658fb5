// Package podlogs gives the lines that a service's pods printed.
//
// It owns which container's log is meant, where reading begins, and that
// followers hear of pods and restarts that come later. Which pods a version has
// is its user's to say. Kubernetes keeps a container's two streams as one, so
// every line counts as of stdout. Of greenroom it imports client alone, for the
// form of a line.
//
// Start at Logs.
package podlogs

import (
	"context"
	"errors"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/greenroom-dev/greenroom/client"
)

// Pod is a pod and the version it is an instance of.
type Pod struct {
	*corev1.Pod
	Service string // the fleet's name for it
	Version string
}

// Query says what is wanted of the logs.
type Query struct {
	Tail   int  // lines of each pod to begin with
	Follow bool // go on with new lines, and with new pods
	// Every is how often a follower looks for new pods and for restarts; 2s
	// when 0.
	Every time.Duration
}

// Logs calls each with lines, one at a time: the last ones of every pod and,
// following, new ones until ctx is done, which is no error. The order is right
// within a pod. Of a container that keeps crashing it gives the lines from
// before the crash. It returns each's error, or why pods could not be found, or,
// unless it follows, why a log could not be read.
func Logs(ctx context.Context, api corev1client.PodsGetter, q Query, pods func(context.Context) ([]Pod, error), each func(client.LogLine) error) error {
	if q.Every == 0 {
		q.Every = 2 * time.Second
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &reader{api: api, q: q, each: each, fail: cancel, seen: map[types.UID]*seen{}}
	err := r.run(ctx, pods)
	if err != nil {
		cancel(err)
	}
	r.work.Wait()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return nil
}

// reader reads the logs of many pods.
type reader struct {
	api  corev1client.PodsGetter
	q    Query
	fail context.CancelCauseFunc // ends everything
	work sync.WaitGroup

	mu   sync.Mutex // one line at a time
	each func(client.LogLine) error

	seen map[types.UID]*seen // used by run alone
}

// seen is how far a pod's log was read.
type seen struct {
	reading  chan struct{} // closed when nobody does
	restarts int32         // of the container that was read
	last     time.Time     // of the last line; written while reading
}

// run reads what there is and, following, looks again and again.
func (r *reader) run(ctx context.Context, pods func(context.Context) ([]Pod, error)) error {
	tick := time.NewTicker(r.q.Every)
	defer tick.Stop()
	for first := true; ; first = false {
		found, err := pods(ctx)
		if err != nil && ctx.Err() == nil && (first || !r.q.Follow) {
			return err
		}
		for _, p := range found {
			r.look(ctx, p, first)
		}
		if !r.q.Follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look begins to read a pod's log, if there is something new to read.
func (r *reader) look(ctx context.Context, p Pod, first bool) {
	container := Container(p.Pod, p.Service)
	status := statusOf(p.Pod, container)
	o := corev1.PodLogOptions{Container: container, Follow: r.q.Follow, Timestamps: true}
	was, known := r.seen[p.UID]
	crashing := status.State.Waiting != nil && status.RestartCount > 0
	switch {
	case known && !was.over():
		return // it is being read
	case !known && first:
		tail := int64(r.q.Tail)
		o.TailLines = &tail
		o.Previous = crashing
	case status.State.Waiting != nil:
		return // nothing to read yet; what was there was read
	case known && status.RestartCount == was.restarts && status.State.Running == nil:
		return // read to its end
	}
	if status.State.Waiting != nil && !crashing {
		return // it has never run; a follower looks again
	}
	if known && status.RestartCount == was.restarts { // the connection broke
		since := was.last.Truncate(time.Second)
		if !was.last.IsZero() {
			o.SinceTime = timeOf(since)
		}
	}
	o.Follow = o.Follow && !o.Previous
	now := &seen{reading: make(chan struct{}), restarts: status.RestartCount}
	if known && now.restarts == was.restarts {
		now.last = was.last
	}
	if o.Previous { // the next container is new
		now.restarts--
	}
	r.seen[p.UID] = now
	r.work.Go(func() {
		defer close(now.reading)
		err := r.read(ctx, p, o, now)
		if err != nil && ctx.Err() == nil && !r.q.Follow && !apierrors.IsNotFound(err) {
			r.fail(err)
		}
	})
}

// over reports whether nobody reads.
func (s *seen) over() bool {
	select {
	case <-s.reading:
		return true
	default:
		return false
	}
}
