package podlogs

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/operator/operatortest"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// world is pods in an API server, whose status and logs the test writes.
type world struct {
	*testing.T
	api       kubernetes.Interface
	node      *operatortest.Node
	namespace string

	mu    sync.Mutex
	lines []client.LogLine
	fresh chan struct{} // closed with the next line
}

func (w *world) pod(name string) *corev1.Pod {
	w.Helper()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{
		NodeName:   w.node.Name,
		Containers: []corev1.Container{{Name: "istio-proxy", Image: "proxy"}, {Name: "chat", Image: "chat"}},
	}}
	p, err := w.api.CoreV1().Pods(w.namespace).Create(w.Context(), p, metav1.CreateOptions{})
	if err != nil {
		w.Fatal(err)
	}
	w.status(p, 0, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
	return p
}

func (w *world) status(p *corev1.Pod, restarts int32, state corev1.ContainerState) {
	w.Helper()
	now, err := w.api.CoreV1().Pods(p.Namespace).Get(w.Context(), p.Name, metav1.GetOptions{})
	if err != nil {
		w.Fatal(err)
	}
	now.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "chat", RestartCount: restarts, State: state}}
	if _, err := w.api.CoreV1().Pods(p.Namespace).UpdateStatus(w.Context(), now, metav1.UpdateOptions{}); err != nil {
		w.Fatal(err)
	}
}

// pods finds all pods there are, as one version's.
func (w *world) pods(ctx context.Context) ([]Pod, error) {
	found, err := w.api.CoreV1().Pods(w.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var out []Pod
	for i := range found.Items {
		out = append(out, Pod{Pod: &found.Items[i], Service: "chat", Version: "chat@2"})
	}
	return out, nil
}

func (w *world) each(l client.LogLine) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, l)
	close(w.fresh)
	w.fresh = make(chan struct{})
	return nil
}

// said returns what a pod printed, as far as it was given.
func (w *world) said(pod string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, l := range w.lines {
		if l.Instance == pod {
			out = append(out, l.Line)
		}
	}
	return strings.Join(out, ",")
}

func (w *world) await(pod, want string) {
	w.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		w.mu.Lock()
		fresh := w.fresh
		w.mu.Unlock()
		if w.said(pod) == want {
			return
		}
		select {
		case <-fresh:
		case <-deadline:
			w.Fatalf("%s said %q, want %q", pod, w.said(pod), want)
		}
	}
}

// follow follows the logs until the returned function is called.
func (w *world) follow(q Query) (stop func()) {
	q.Follow, q.Every = true, 10*time.Millisecond
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan error, 1)
	go func() { done <- Logs(ctx, w.api.CoreV1(), q, w.pods, w.each) }()
	return func() {
		w.Helper()
		cancel()
		if err := <-done; err != nil {
			w.Errorf("following ended with %v", err)
		}
	}
}

func TestLogs(t *testing.T) {
	cluster := operatortest.Start(t)
	config := cluster.Admin()
	config.QPS = -1
	api, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]func(w *world){
		"the last lines of every pod":         testTail,
		"new lines, pods and restarts":        testFollow,
		"what a crashing container said":      testCrash,
		"a reader that goes away ends it":     testGone,
		"what cannot be read, and what may":   testErrors,
		"a line that is longer than a buffer": testLong,
	} {
		t.Run(name, func(t *testing.T) {
			test(&world{T: t, api: api, node: cluster.Node(t), namespace: cluster.Namespace(t), fresh: make(chan struct{})})
		})
	}
}

func testTail(w *world) {
	a, b := w.pod("a"), w.pod("b")
	w.node.Print(a, "chat", noon, "one", "two", "three")
	w.node.Print(a, "istio-proxy", noon, "noise")
	w.node.Print(b, "chat", noon, "four")
	if err := Logs(w.Context(), w.api.CoreV1(), Query{Tail: 2}, w.pods, w.each); err != nil {
		w.Fatal(err)
	}
	if w.said("a") != "two,three" || w.said("b") != "four" {
		w.Errorf("a said %s, b said %s", w.said("a"), w.said("b"))
	}
	if l := w.lines[0]; !l.Time.Equal(noon) || l.Version != "chat@2" || l.Stream != "stdout" {
		w.Errorf("a line is %+v", l)
	}
}

func testFollow(w *world) {
	a := w.pod("a")
	w.node.Print(a, "chat", noon, "one", "two")
	stop := w.follow(Query{Tail: 1})
	w.await("a", "two")
	w.node.Print(a, "chat", noon.Add(time.Second), "three", "")
	w.await("a", "two,three,")
	b := w.pod("b")
	w.node.Print(b, "chat", noon, "four", "five")
	w.await("b", "four,five") // from its beginning
	w.node.End(a, "chat")
	w.status(a, 0, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1}})
	w.node.Restart(a, "chat")
	w.node.Print(a, "chat", noon.Add(time.Minute), "again")
	w.status(a, 1, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
	w.await("a", "two,three,,again")
	stop()
}

func testCrash(w *world) {
	a := w.pod("a")
	w.node.Print(a, "chat", noon, "one", "two", "it is broken")
	w.node.Restart(a, "chat")
	w.status(a, 1, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}})
	if err := Logs(w.Context(), w.api.CoreV1(), Query{Tail: 2}, w.pods, w.each); err != nil || w.said("a") != "two,it is broken" {
		w.Errorf("it said %s (%v)", w.said("a"), err)
	}
	w.lines = nil
	stop := w.follow(Query{Tail: 1})
	w.await("a", "it is broken")
	w.node.Print(a, "chat", noon.Add(time.Minute), "better")
	w.status(a, 1, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
	w.await("a", "it is broken,better")
	stop()
}

func testGone(w *world) {
	w.node.Print(w.pod("a"), "chat", noon, "one", "two")
	gone := errors.New("the reader is gone")
	err := Logs(w.Context(), w.api.CoreV1(), Query{Tail: 10, Follow: true}, w.pods, func(client.LogLine) error { return gone })
	if !errors.Is(err, gone) {
		w.Errorf("it ended with %v", err)
	}
}

func testErrors(w *world) {
	broken := errors.New("no pods today")
	if err := Logs(w.Context(), w.api.CoreV1(), Query{}, func(context.Context) ([]Pod, error) { return nil, broken }, w.each); !errors.Is(err, broken) {
		w.Errorf("it ended with %v", err)
	}
	a := w.pod("a")
	known, err := w.pods(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	if err := w.api.CoreV1().Pods(w.namespace).Delete(w.Context(), a.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
		w.Fatal(err)
	}
	if err := Logs(w.Context(), w.api.CoreV1(), Query{}, func(context.Context) ([]Pod, error) { return known, nil }, w.each); err != nil {
		w.Errorf("a pod that ended meanwhile: %v", err)
	}
	lost := known[0].DeepCopy()
	w.pod("b")
	lost.Name, lost.Spec.Containers[1].Name, lost.Status.ContainerStatuses[0].Name = "b", "nobody", "nobody"
	if err := Logs(w.Context(), w.api.CoreV1(), Query{}, func(context.Context) ([]Pod, error) { return []Pod{{Pod: lost}}, nil }, w.each); err == nil {
		w.Error("a container that does not exist has a log")
	}
}

func testLong(w *world) {
	w.node.Print(w.pod("a"), "chat", noon, strings.Repeat("x", maxLine+10), "short")
	if err := Logs(w.Context(), w.api.CoreV1(), Query{Tail: 2}, w.pods, w.each); err != nil {
		w.Fatal(err)
	}
	if said := w.said("a"); len(said) != maxLine+10+len(",,short") || !strings.HasSuffix(said, ",short") {
		w.Errorf("%d bytes came, ending in %s", len(said), said[len(said)-10:])
	}
}

func TestContainer(t *testing.T) {
	pod := func(annotation string, containers ...string) *corev1.Pod {
		p := &corev1.Pod{}
		if annotation != "" {
			p.Annotations = map[string]string{defaultContainer: annotation}
		}
		for _, name := range containers {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: name})
		}
		return p
	}
	for _, c := range []struct {
		pod  *corev1.Pod
		want string
	}{
		{pod("", "istio-proxy", "app"), "app"},
		{pod("", "agent", "chat"), "chat"},
		{pod("agent", "chat", "agent"), "agent"},
		{pod("gone", "app", "agent"), "app"},
		{pod("istio-proxy", "istio-proxy", "app"), "app"},
		{pod("", "istio-proxy"), "istio-proxy"},
	} {
		if got := Container(c.pod, "chat"); got != c.want {
			t.Errorf("%v: %s, want %s", c.pod.Spec.Containers, got, c.want)
		}
	}
}
