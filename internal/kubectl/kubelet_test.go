package kubectl

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// kubelet is as much of one as the API server needs to forward ports: it says
// which address stands for a pod's port.
type kubelet struct {
	t    *testing.T
	mu   sync.Mutex
	to   map[string]string // host:port by pod
	seen []string          // pod:port of each connection
}

// startKubelet runs a kubelet for a node that it makes.
func startKubelet(t *testing.T, k kubernetes.Interface) *kubelet {
	t.Helper()
	out := &kubelet{t: t, to: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/portForward/{namespace}/{pod}", out.forward)
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(at.Port())
	if err != nil {
		t.Fatal(err)
	}
	node, err := k.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	node.Status = corev1.NodeStatus{
		Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: at.Hostname()}},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(port)}},
	}
	if _, err := k.CoreV1().Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	return out
}

// run makes a pod that is found at an address; "" for nowhere.
func (l *kubelet) run(k kubernetes.Interface, namespace, name, address string) {
	l.t.Helper()
	l.mu.Lock()
	l.to[name] = address
	l.mu.Unlock()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{NodeName: "node", Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
	pod, err := k.CoreV1().Pods(namespace).Create(l.t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		l.t.Fatal(err)
	}
	pod.Status.Phase = corev1.PodRunning
	if _, err := k.CoreV1().Pods(namespace).UpdateStatus(l.t.Context(), pod, metav1.UpdateOptions{}); err != nil {
		l.t.Fatal(err)
	}
}

func (l *kubelet) connections() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string{}, l.seen...)
}

// forward joins the two streams of each request to a connection.
func (l *kubelet) forward(w http.ResponseWriter, r *http.Request) {
	if _, err := httpstream.Handshake(r, w, []string{portforward.PortForwardProtocolV1Name}); err != nil {
		l.t.Error(err)
		return
	}
	complaints := make(chan httpstream.Stream, 1)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, replySent <-chan struct{}) error {
		port := s.Headers().Get(corev1.PortHeader)
		if s.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
			complaints <- s
			return nil
		}
		go func() {
			<-replySent
			l.join(r.PathValue("pod"), port, s, <-complaints)
		}()
		return nil
	})
	if conn == nil {
		return
	}
	defer conn.Close()
	<-conn.CloseChan()
}

func (l *kubelet) join(pod, port string, data, complaint httpstream.Stream) {
	defer complaint.Close()
	defer data.Reset()
	l.mu.Lock()
	address := l.to[pod]
	l.seen = append(l.seen, pod+":"+port)
	l.mu.Unlock()
	there, err := net.Dial("tcp", address)
	if err != nil {
		fmt.Fprintf(complaint, "nobody listens at port %s of %s", port, pod)
		return
	}
	defer there.Close()
	go func() {
		_, _ = io.Copy(there, data) // ends with either
		_ = there.Close()
	}()
	_, _ = io.Copy(data, there)
}

func namespaceObject(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}
