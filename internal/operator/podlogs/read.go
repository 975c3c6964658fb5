package podlogs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/greenroom-dev/greenroom/client"
)

// maxLine bounds a line, in bytes; what is longer comes as several.
const maxLine = 64 << 10

// defaultContainer is the annotation by which a pod names the container that
// people mean.
const defaultContainer = "kubectl.kubernetes.io/default-container"

// sidecar is what Istio calls the container that it adds.
const sidecar = "istio-proxy"

// Container says whose log is meant: the container that the pod says people
// mean, else the one called like the service, else the first that is no sidecar.
func Container(p *corev1.Pod, service string) string {
	named := p.Annotations[defaultContainer]
	first := ""
	for _, want := range []string{named, service} {
		for _, c := range p.Spec.Containers {
			if c.Name == want && c.Name != sidecar {
				return c.Name
			}
		}
	}
	for _, c := range p.Spec.Containers {
		if c.Name != sidecar {
			return c.Name
		}
		first = c.Name
	}
	return first
}

func statusOf(p *corev1.Pod, container string) corev1.ContainerStatus {
	for _, c := range p.Status.ContainerStatuses {
		if c.Name == container {
			return c
		}
	}
	return corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}}
}

func timeOf(t time.Time) *metav1.Time { return &metav1.Time{Time: t} }

// read gives the lines of one log to each.
func (r *reader) read(ctx context.Context, p Pod, o corev1.PodLogOptions, s *seen) error {
	log, err := r.api.Pods(p.Namespace).GetLogs(p.Name, &o).Stream(ctx)
	if err != nil {
		return fmt.Errorf("reading the log of pod %s: %w", p.Name, err)
	}
	defer log.Close()
	last := s.last // lines up to it were given before the connection broke
	lines := bufio.NewReaderSize(log, maxLine)
	for {
		text, continues, err := lines.ReadLine()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the log of pod %s: %w", p.Name, err)
		}
		at, line := parse(string(text), s.last)
		if o.SinceTime != nil && !at.After(last) {
			for continues && err == nil {
				_, continues, err = lines.ReadLine()
			}
			continue
		}
		s.last = at
		if err := r.give(client.LogLine{Time: at, Version: p.Version, Instance: p.Name, Stream: "stdout", Line: line}); err != nil {
			r.fail(err)
			return err
		}
	}
}

// give hands one line on.
func (r *reader) give(l client.LogLine) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.each(l)
}

// parse divides a line into when it was printed and what it says. What goes on
// from the line before has that one's time.
func parse(text string, before time.Time) (time.Time, string) {
	stamp, line, ok := strings.Cut(text, " ")
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if !ok && err == nil {
		return at, ""
	}
	if err != nil {
		return before, text
	}
	return at, line
}
